"""What the layers of a network give for some inputs. A layer's name is its path in the model: "0", "extractor.1".

A module that a model calls several times has several outputs: "act:1" is what it gives the first time, "act" the last.
"""
import difflib
from collections import Counter
from contextlib import contextmanager

import numpy as np

from nanoemo import ops
from nanoemo.nn import Activation, evaluating, undisturbed, watch
from nanoemo.nn.trace import module_device
from nanoemo.tensor import Tensor

__all__ = ["as_tensors", "constant", "find_layer", "images_first", "map_layers", "outputs_of", "probabilities", "runs_of",
           "sparsity"]


def find_layer(model, name):
    """The module of that name. ValueError, with the names there are, where there is none.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    >>> find_layer(model, "0")
    Linear(4, 2)
    >>> find_layer(model, "7")
    Traceback (most recent call last):
        ...
    ValueError: there is no layer '7'; there are 0 (Linear), 1 (ReLU)
    """
    modules = {path: module for path, module in model.named_modules() if path}
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=1)
        hint = f"did you mean {near[0]!r}? There" if near else "there"
        known = ", ".join(f"{path} ({type(module).__name__})" for path, module in modules.items())
        raise ValueError(f"there is no layer {name!r}; {hint} are {known}")
    return modules[name]


def outputs_of(model, inputs, names):
    """What the layers `names` give for `inputs`, as {name: NumPy array}.

    inputs: array (N, ...), or a tuple of them for a model of several inputs
    Raises ValueError for an unknown name, and for a layer that does not take part, or not so often.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Flatten(), nn.ReLU())
    >>> outputs_of(model, np.array([[[-1.0, 2.0]]], np.float32), ["1"])
    {'1': array([[0., 2.]], dtype=float32)}
    """
    if isinstance(names, str):
        raise TypeError(f"outputs_of: expected a list of names, got {names!r}; write [{names!r}]")
    runs = {name: find_run(model, name) for name in names}
    found = {id(module): [] for module, _ in runs.values()}

    def keep(module, output):
        if id(module) in found:
            found[id(module)].append(output.cpu().numpy())

    with undisturbed(model), watch(keep):
        model(*as_tensors(model, inputs))
    return {name: found[id(module)][check_run(name, number, len(found[id(module)]))] for name, (module, number) in runs.items()}


@contextmanager
def runs_of(module):
    """Inside the `with` block, a list of what the module gave each time that it ran: tensors, the first run first.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Flatten(), nn.ReLU())
    >>> with runs_of(model[1]) as outputs:
    ...     y = model(Tensor([[[-1.0, 2.0]]]))
    >>> outputs
    [Tensor([[0. 2.]])]
    """
    outputs = []
    with watch(lambda ran, output: outputs.append(output) if ran is module else None):
        yield outputs


def find_run(model, name):
    """The module of a name, and which of its runs is meant: "act" -> (module, None), "act:2" -> (module, 2)."""
    if not isinstance(name, str):
        raise TypeError(f"layer {name!r}: expected its name, such as {str(name)!r}; model.named_modules() gives them")
    path, _, number = name.partition(":")
    if number and not (number.isdecimal() and int(number)):
        raise ValueError(f"layer {name!r}: expected the number of a run behind the colon, as in '{path}:1'")
    return find_layer(model, path), int(number) if number else None


def check_run(name, number, runs):
    """Index of the run `number`, from 1, or of the last where it is None; ValueError where there are not so many."""
    if runs < (number or 1):
        raise ValueError(f"layer {name!r} does not run {'so often ' if runs else ''}when the model does")
    return (number or runs) - 1


def map_layers(model, inputs):
    """Names of the layers whose outputs are worth seeing as maps: activations (N, H, W, C), in the order they run.

    Of a layer that runs several times those of its runs, "act:1", "act:2". Raises ValueError where there are none.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.ReLU())
    >>> map_layers(model, np.zeros((1, 4, 4, 1), np.float32))
    ['1']
    """
    names = {id(module): path for path, module in model.named_modules()}
    ran = []                                    # (name, whether it gave maps)

    def note(module, output):
        if isinstance(module, Activation):
            ran.append((names[id(module)], output.ndim == 4))

    with undisturbed(model), watch(note):
        model(*as_tensors(model, inputs))
    runs = Counter(name for name, _ in ran)
    so_far, found = Counter(), []
    for name, gave_maps in ran:
        so_far[name] += 1
        if gave_maps:
            found.append(name if runs[name] == 1 else f"{name}:{so_far[name]}")
    if not found:
        raise ValueError("the model has no activation layer that gives maps (N, H, W, C)")
    return found


def sparsity(activations):
    """The share of values that are 0: of a ReLU's outputs, the share that is switched off.

    >>> sparsity(np.array([[0.0, 0.0, 3.0, 0.0]]))
    0.75
    """
    return float(np.mean(np.asarray(activations) == 0))


def probabilities(model, inputs):
    """The classes' probabilities (N, K): the softmax of the model's scores.

    >>> from nanoemo import nn
    >>> probabilities(nn.Flatten(), np.zeros((1, 4), np.float32))
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    with undisturbed(model):
        return ops.softmax(class_scores(model, as_tensors(model, inputs))).cpu().numpy()


def class_scores(model, inputs):
    """The model's output, checked to be scores (N, K)."""
    scores = model(*inputs)
    if scores.ndim != 2:
        raise ValueError(f"the model gives {scores.shape}, not scores (N, classes), so it knows no classes")
    return scores


def as_tensors(model, inputs):
    """`inputs`, an array or a tuple of arrays, as a list of tensors on the model's device."""
    several = inputs if isinstance(inputs, (tuple, list)) else [inputs]
    return [Tensor(array, device=module_device(model)) for array in several]


def images_first(inputs):
    """`inputs`, an array or a tuple of arrays, as a list. ValueError where the first of them is not images (N, H, W, C).

    >>> images_first(np.zeros((2, 48, 48)))
    Traceback (most recent call last):
        ...
    ValueError: expected images (N, H, W, C), got shape (2, 48, 48); gray ones have C = 1: images[..., None]
    """
    several = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    shape = np.shape(several[0])
    if len(shape) != 4:
        remedy = ""
        if len(shape) == 3:
            one = shape[2] in (1, 3)
            remedy = "; images[None] makes a batch of one" if one else "; gray ones have C = 1: images[..., None]"
        raise ValueError(f"expected images (N, H, W, C), got shape {shape}{remedy}")
    return several


@contextmanager
def constant(model):
    """Inside the `with` block the model's weights are constants, and it is in `eval` mode.

    So the graph begins where somebody sets `requires_grad`: at the input, or at the output of a layer. Nothing before
    that is recorded, and no time goes into gradients of weights.
    """
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learned:
            parameter.requires_grad = False
        with evaluating(model):
            yield
    finally:
        for parameter in learned:
            parameter.requires_grad = True
