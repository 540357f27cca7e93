"""Looking on while a model computes: which modules ran, and what came out of each."""
import numbers
import threading
from contextlib import contextmanager

import numpy as np

from nanoemo import backend
from nanoemo.capture import uncaptured
from nanoemo.modes import no_grad
from nanoemo.tensor import Tensor

__all__ = ["evaluating", "watch", "undisturbed", "output_shape", "shapes_of_inputs", "zero_inputs", "module_device"]


class _Watching(threading.local):
    """Each thread watches what it computes itself."""

    def __init__(self):
        self.watchers = []


_here = _Watching()


def report(module, output):
    """Tell the watchers that `module` has computed `output`; Module.__call__ does. Of several results they see the first."""
    for watcher in _here.watchers:
        watcher(module, _first(output))


def _first(output):
    return output[0] if isinstance(output, tuple) else output


def is_watched():
    """Whether this thread looks on, so that every layer has to show its output."""
    return bool(_here.watchers)


@contextmanager
def watch(watcher):
    """Inside the `with` block, call `watcher(module, output)` after each module that this thread runs, innermost first.

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU())
    >>> with nn.watch(lambda module, output: print(type(module).__name__, output.shape)):
    ...     y = model(Tensor(np.ones((1, 2, 2), np.float32)))
    Flatten (1, 4)
    Linear (1, 2)
    ReLU (1, 2)
    Sequential (1, 2)
    """
    _here.watchers.append(watcher)
    try:
        with uncaptured():          # the launch of a record calls no module
            yield
    finally:
        _here.watchers.remove(watcher)


@contextmanager
def evaluating(module):
    """Inside the `with` block the model is in `eval` mode; each module's mode is put back after.

    So neither running statistics nor the random state change.

    >>> from nanoemo import Tensor, nn
    >>> model = nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5))
    >>> with nn.evaluating(model):
    ...     model.training, model(Tensor([[0.0]])).numpy().tolist()
    (False, [[0.0, 0.0]])
    >>> model.training
    True
    """
    modes = [(part, part.training) for _, part in module.named_modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def undisturbed(module):
    """Inside the `with` block the model is `evaluating` and records no graph.

    >>> from nanoemo import Tensor, nn
    >>> model = nn.Linear(1, 2)
    >>> with nn.undisturbed(model):
    ...     model(Tensor([[0.0]])).requires_grad
    False
    """
    with evaluating(module), no_grad():
        yield


def shapes_of_inputs(input_shape):
    """The shape of each input of a model: the only one's, or those of a tuple of shapes. TypeError for what is no shape,
    ValueError for one with a size that is no whole number above 0.

    >>> shapes_of_inputs((48, 48, 1)), shapes_of_inputs(((48, 48, 1), (900,)))
    ([(48, 48, 1)], [(48, 48, 1), (900,)])
    """
    if not isinstance(input_shape, (tuple, list)):
        raise TypeError(f"input_shape: expected the shape of one example, such as (48, 48, 1), got {input_shape!r}")
    several = any(isinstance(size, (tuple, list)) for size in input_shape)
    shapes = list(input_shape) if several else [input_shape]
    for shape in shapes:
        if not isinstance(shape, (tuple, list)) or not all(isinstance(size, numbers.Integral) and size > 0 for size in shape):
            raise ValueError(f"input_shape: expected sizes of at least 1, such as (48, 48, 1), got {shape!r}")
    return shapes


def zero_inputs(module, input_shape):
    """A batch of one example of zeros for `module`: a list of tensors, one an input, of its dtype and device."""
    tensors = [*module.parameters(), *module.buffers()]
    dtype = tensors[0].dtype if tensors else np.float32
    return [Tensor(np.zeros((1, *shape), dtype), device=module_device(module)) for shape in shapes_of_inputs(input_shape)]


def module_device(module):
    """Where the parameters and buffers of a module are; the default device where it has none.

    >>> from nanoemo import nn
    >>> module_device(nn.Linear(2, 3))
    'cpu'
    """
    first = next(iter([*module.parameters(), *module.buffers()]), None)
    return backend.default_device() if first is None else first.device


def output_shape(module, input_shape):
    """Shape of what `module` makes of one example of `input_shape`, both without the batch axis; of several results the first.

    input_shape: a tuple of shapes for a module of several inputs
    It is found by running one example of zeros through it.

    >>> from nanoemo import nn
    >>> nn.output_shape(nn.Sequential(nn.Conv2d(1, 8, 3), nn.MaxPool2d(2), nn.Flatten()), (48, 48, 1))
    (4232,)
    """
    with undisturbed(module):
        return _first(module(*zero_inputs(module, input_shape))).shape[1:]
