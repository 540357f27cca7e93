"""The door to the kernels: raw arrays in, raw arrays out.

The kernels themselves lie in the folder `kernels/` at the top of the project, where a reader sees them first;
in an installed package they lie inside `nanoemo/kernels/`. Either way `nanoemo.kernels.conv` is the file
`kernels/conv.py`. Each family has a NumPy file and, for the GPU, a twin `<family>_cupy.py` with the same names
and signatures.

>>> from nanoemo import kernels
>>> relu_forward = kernels.find("relu_forward")
>>> y, cache = relu_forward(__import__("numpy").array([-1.0, 2.0]))
>>> y.tolist()
[0.0, 2.0]
"""
import difflib
import importlib
import inspect
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path

_beside_package = Path(__file__).resolve().parent.parent / "kernels"
_inside_package = Path(__file__).resolve().parent / "kernels"
__path__ = [str(_inside_package if _inside_package.is_dir() else _beside_package)]

SUFFIXES = {"cpu": "", "cuda": "_cupy"}     # of the files of a device
FAMILIES = ("conv", "pool", "conv_pool", "norm", "dropout", "dense", "activation", "recurrent", "loss", "optim", "resample")

# NaN and infinity are results, as `quiet` in nanoemo/backend.py says; np.errstate would not reach the kernels' threads.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"nanoemo\.kernels\.")

_families = {}      # kernel name -> family
_loaded = {}        # (kernel name, device) -> function
_blocks = {}        # open `override` blocks, in the order of their beginnings -> {kernel name: function, on either device}
_overrides = {}     # what holds of them at the moment: for each kernel name the last one's function
_settling = threading.Lock()


def _family_of():
    if not _families:
        for family in FAMILIES:
            module = importlib.import_module(f"nanoemo.kernels.{family}")
            _families.update(dict.fromkeys(module.__all__, family))
    return _families


def find(name, device="cpu"):
    """The kernel of that name for a device: the one given to `override`, else the project's own.

    Raises KeyError for a name that no kernel has, ValueError for a device that is neither "cpu" nor "cuda".
    """
    function = _overrides.get(name, _loaded.get((name, device)))
    if function is None:
        if device not in SUFFIXES:
            raise ValueError(f"find: device is {device!r}; expected 'cpu' or 'cuda'")
        _check_name("find", name, _family_of())
        module = importlib.import_module(f"nanoemo.kernels.{_family_of()[name]}{SUFFIXES[device]}")
        function = _loaded[name, device] = getattr(module, name)
    return function


def __getattr__(name):
    if name in FAMILIES:            # its file, where nothing has needed it so far
        return importlib.import_module(f"nanoemo.kernels.{name}")
    raise AttributeError(f"nanoemo.kernels has no attribute {name!r}; the files of kernels are {', '.join(FAMILIES)}")


def _check_name(where, name, known):
    if name not in known:
        close = difflib.get_close_matches(name, known, 3)
        hint = f"; did you mean {', '.join(close)}?" if close else "; kernels.names() lists them"
        raise KeyError(f"{where}: there is no kernel called {name!r}{hint}")


def is_overridden(*names):
    """Whether any of these kernels is replaced at the moment."""
    return any(name in _overrides for name in names)


def overridden():
    """What is replaced at the moment: pairs (kernel name, function)."""
    return frozenset(_overrides.items())


def names():
    """Names of all kernels that can be overridden, sorted: not of the definitions (`*_plain`), which nothing calls."""
    return sorted(name for name in _family_of() if not name.endswith("_plain"))


@contextmanager
def override(**functions):
    """Use your own kernels inside a `with` block, on either backend.

    It holds for all threads; of two open blocks that replace the same kernel the one that began later counts.

    A replacement takes the arguments of the kernel it replaces. A forward kernel returns its result and the cache, which
    is all that the backward kernel gets beside dy: whoever replaces only one of the two must keep to the cache of the other. The
    keyword `needs` (which gradients are wanted) may be left out of a backward kernel: then it computes them all. Raises
    KeyError for a name that no kernel has, TypeError for what is not a function, ValueError for one of our definitions without
    its other half; a forward kernel that returns something else raises TypeError when it is called.

    >>> from nanoemo import Tensor, kernels
    >>> def shouting_relu(x):
    ...     print("relu of", x.shape)
    ...     return x * (x > 0), x
    >>> with kernels.override(relu_forward=shouting_relu, relu_backward=lambda dy, x: dy * (x > 0)):
    ...     y = Tensor([-1.0, 2.0]).relu()
    relu of (2,)
    """
    known = names()
    for name in functions:
        _check_name("override", name, known)
        if not callable(functions[name]):
            raise TypeError(f"override: {name}: expected a function, got {type(functions[name]).__name__}")
        twin = _other_half(name)
        if twin in known and twin not in functions and getattr(functions[name], "__name__", "") == f"{name}_plain":
            raise ValueError(f"override: the cache of {name}_plain is not that of {name}; give {twin}={twin}_plain as well")
    block, replacements = object(), {name: _replacement(name, function) for name, function in functions.items()}
    _settle(lambda: _blocks.update({block: replacements}))
    try:
        yield
    finally:
        _settle(lambda: _blocks.pop(block))


def _other_half(name):
    """Of the name of a forward kernel that of the backward one, and the other way round."""
    start, _, end = name.rpartition("_")
    return f"{start}_{'backward' if end == 'forward' else 'forward'}"


def _settle(change):
    """Change `_blocks`, and `_overrides` with it: blocks of several threads may end in another order than they begin."""
    global _overrides
    with _settling:
        change()
        _overrides = {name: function for replacements in _blocks.values() for name, function in replacements.items()}


def _replacement(name, function):
    if not name.endswith("_forward"):
        return _without_needs(function)

    def checked(x, *args, **kwargs):
        result = function(x, *args, **kwargs)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"the {name} given to override returned {type(result).__name__}; it must return (result, cache), "
                            "where the cache is all that the backward kernel will need")
        of_result = getattr(result[0], "dtype", x.dtype)            # an LSTM's result is a tuple of three arrays
        if of_result != x.dtype:
            raise TypeError(f"the {name} given to override made {of_result} of {x.dtype}; a kernel keeps the dtype of its input")
        return result

    return checked


def _without_needs(function):
    parameters = inspect.signature(function).parameters.values()
    if any(p.name == "needs" or p.kind is p.VAR_KEYWORD for p in parameters):
        return function
    return lambda *args, needs=None: function(*args)
