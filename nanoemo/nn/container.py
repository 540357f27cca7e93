"""Modules in a row."""
from functools import partial

from nanoemo import kernels, ops
from nanoemo.nn import trace
from nanoemo.nn.activation import ReLU
from nanoemo.nn.module import Module
from nanoemo.nn.pool import MaxPool2d

__all__ = ["Sequential"]


class Sequential(Module):
    """Layers one after the other. Indexing gives a layer, slicing a Sequential that shares the layers.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> model[-1]
    Linear(4, 2)
    >>> len(model[:2]), [name for name, _ in model.named_parameters()]
    (2, ['0.weight', '0.bias', '2.weight', '2.bias'])
    """

    def __init__(self, *layers):
        for layer in layers:
            self.append(layer)

    def append(self, layer):
        """Put one more layer at the end; returns self. TypeError for what is no module."""
        if not isinstance(layer, Module):
            raise TypeError(f"Sequential: layer {len(self)} must be a Module, got {type(layer).__name__}")
        setattr(self, str(len(self)), layer)
        return self

    def forward(self, x):
        for step in list(self) if trace.is_watched() else _fused(list(self)):
            x = step(x)
        return x

    def __iter__(self):
        return (layer for _, layer in self.children())

    def __len__(self):
        return sum(1 for _ in self)

    def __getitem__(self, index):
        layers = list(self)
        if isinstance(index, slice):
            return Sequential(*layers[index])
        try:
            return layers[index]
        except IndexError:
            raise IndexError(f"Sequential: there is no layer {index}; it has {len(layers)}") from None


def _fused(layers):
    """What the layers compute, as functions of x: a ReLU and the max pooling behind it in one.

    The numbers and the gradients are the same to the last bit (kernels/pool.py says why). The layers run one by one
    where somebody has put a kernel of their own in the place of one of theirs.
    """
    theirs = ("relu_forward", "relu_backward", "max_pool2d_forward", "max_pool2d_backward")
    if kernels.is_overridden(*theirs) and not kernels.is_overridden("relu_max_pool2d_forward"):
        return layers
    steps, layers = [], list(layers)
    while layers:
        step = layers.pop(0)
        if type(step) is ReLU and layers and type(layers[0]) is MaxPool2d:
            pool = layers.pop(0)
            step = partial(ops.relu_max_pool2d, kernel_size=pool.kernel_size, stride=pool.stride, padding=pool.padding)
        steps.append(step)
    return steps
