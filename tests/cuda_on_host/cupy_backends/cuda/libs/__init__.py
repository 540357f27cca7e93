"""As in CuPy, a library is looked for and loaded when its module is asked for as an attribute, `from … import cublas`."""
import importlib

loaded = set()


def __getattr__(name):
    if name != "cublas":
        raise AttributeError(name)
    loaded.add(name)
    return importlib.import_module(f"{__name__}.{name}")
