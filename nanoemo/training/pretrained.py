"""Transfer: starting from the weights of another run, with some layers frozen."""
from fnmatch import fnmatchcase

from nanoemo.data.classnames import common_name
from nanoemo.training import checkpoint
from nanoemo.training.runfolder import RunFolder

__all__ = ["best_weights", "fitting", "freeze", "has_classes", "layers"]


def best_weights(run):
    """{name: array} of the best epoch of the run in the folder `run`. Raises RunFolderError or
    CheckpointError where there are none."""
    arrays, _ = checkpoint.load(RunFolder.open(run).finished_best_path())
    return checkpoint.part(arrays, "model.")


def has_classes(run, classes):
    """Whether the run in the folder `run` has these classes in this order, whatever it calls them."""
    return list(map(common_name, RunFolder.open(run).config()["data"]["classes"])) == list(map(common_name, classes))


def layers(state):
    """{path of a layer: {name: array}} of a state dictionary, in its order.

    >>> layers({"0.weight": 1, "0.bias": 2, "3.weight": 3})
    {'0': {'0.weight': 1, '0.bias': 2}, '3': {'3.weight': 3}}
    """
    found = {}
    for name, array in state.items():
        found.setdefault(name.rpartition(".")[0], {})[name] = array
    return found


def fitting(model, state, same_classes=True):
    """Those arrays of `state` that a model can begin with: of its layers, from the input on, as many as are alike in both.

    A layer is alike where all its arrays have the same names and shapes. After the first that is not, none is taken: what a
    layer has learnt is of use on what the layers before it give. Another number of classes changes the last layer's shape:
    that layer then keeps its own new weights. Raises ValueError where the first layers differ.

    same_classes: whether the scores mean the same in both; where they do not, the last layer is not taken either

    >>> from nanoemo import nn
    >>> seven, three = (nn.Sequential(nn.Linear(4, 8), nn.Linear(8, classes)) for classes in (7, 3))
    >>> sorted(fitting(three, seven.state_dict()))
    ['0.bias', '0.weight']
    """
    theirs, fits = layers(state), {}
    own = layers(model.state_dict())
    if not same_classes:
        own.popitem()
    for path, arrays in own.items():
        found = theirs.get(path, {})
        if _shapes(found) != _shapes(arrays):
            break
        fits.update(found)
    if not fits:
        raise ValueError(f"none of its {len(theirs)} layers can be taken over: the networks differ from the first layer on; "
                         "start from a run of the same model, on inputs of the same shape")
    return fits


def _shapes(arrays):
    return {name: array.shape for name, array in arrays.items()}


def freeze(model, patterns):
    """Freeze each module whose path or class one of the comma-separated patterns names; returns the paths.

    patterns: with * and ? as in file names. "0,1" are the first two layers of a Sequential, "extractor*" a part with all
        that is in it, "Conv2d" all convolutions
    Raises ValueError for a pattern that names nothing, and where nothing would be left to learn.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    >>> freeze(model, "Conv*,1")
    ['0', '1']
    """
    modules = {path: module for path, module in model.named_modules() if path}
    frozen = set()
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        named = [path for path, module in modules.items()
                 if fnmatchcase(path, pattern) or fnmatchcase(type(module).__name__, pattern)]
        if not named:
            layers = ", ".join(f"{path} ({type(module).__name__})" for path, module in modules.items())
            raise ValueError(f"freeze: {pattern!r} names no layer; there are {layers}")
        for path in named:
            modules[path].freeze()
        frozen.update(named)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"freeze: {patterns!r} freezes all that could learn; leave a layer out")
    return [path for path in modules if path in frozen]
