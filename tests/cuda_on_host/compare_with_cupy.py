"""What the stand-in for CuPy has and CuPy has not, a line each: run with CuPy's folder on PYTHONPATH. It needs no card.

A name must be there, and a function's parameters must be CuPy's, in CuPy's order. CuPy's compiled functions tell theirs in
the first line of their documentation; one that tells nothing is taken to be right.
"""
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

STAND_IN = Path(__file__).with_name("cupy")
PARAMETER = re.compile(r"\*{0,2}(\w+)\s*(?:[:=].*)?$")       # the last word before a default or an annotation


def load_stand_in():
    spec = importlib.util.spec_from_file_location("stand_in", STAND_IN / "__init__.py",
                                                  submodule_search_locations=[str(STAND_IN)])
    sys.modules["stand_in"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documented_parameters(function):
    """Names of the parameters in "f(self, int n, *, x=None) -> y"; None where there is no such line."""
    line = (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]
    listed = re.match(r"[\w.]+\((.*?)\)(?: ->.*)?$", line)
    if not listed:
        return None
    words = [PARAMETER.search(word.strip()) for word in listed[1].replace("\\*", "*").split(",")]
    return [word[1] for word in words if word]


def parameters(function):
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return documented_parameters(function)


def named(function):
    """Names of the stand-in's own parameters that may be given by position, and those that must be given by name."""
    kinds = inspect.signature(function).parameters.values()
    by_position = [p.name for p in kinds if p.kind == p.POSITIONAL_OR_KEYWORD]
    return by_position, [p.name for p in kinds if p.kind == p.KEYWORD_ONLY] + list(getattr(function, "takes", ()))


def misfit(ours, theirs):
    """What of a function's parameters is not CuPy's; "" where all are."""
    known = parameters(theirs)
    if known is None or {"args", "kwargs"} <= set(known):
        return ""
    by_position, by_name = named(ours)
    if "kwargs" in known:
        by_name = []
    if by_position != known[:len(by_position)]:
        return f"takes ({', '.join(by_position)}), CuPy's ({', '.join(known)})"
    return ", ".join(f"takes {name}, CuPy's does not" for name in by_name if name not in known)


def public(thing):
    """(name, value) of what the stand-in itself defines: neither what it imports nor NumPy's."""
    for name, value in vars(thing).items():
        whose = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or "stand_in"
        if not name.startswith("_") and whose.startswith("stand_in") and whose != "stand_in._device":
            yield name, value


def differences(ours, theirs, path="cupy"):
    for name, value in public(ours):
        where, made_when_built = f"{path}.{name}", isinstance(ours, type) and not callable(value)
        if not hasattr(theirs, name):
            if not made_when_built:             # an attribute that CuPy sets in __init__ cannot be seen on its class
                yield f"{where}: CuPy has no such name"
            continue
        other = getattr(theirs, name)
        if isinstance(value, (ModuleType, SimpleNamespace, type)):
            yield from differences(value, other, where)
        elif callable(value) and (wrong := misfit(value, other)):
            yield f"{where}: {wrong}"


if __name__ == "__main__":
    folder = sys.path.pop(0)            # of this script, where the stand-in is found under CuPy's own name
    import cupy
    sys.path.append(folder)
    here = load_stand_in()
    print(f"CuPy {cupy.__version__}")
    print(*differences(here, cupy), sep="\n")
