"""Modules in a row."""
from functools import partial

from nanoemo import kernels, ops
from nanoemo.nn import trace
from nanoemo.nn.activation import ReLU
from nanoemo.nn.conv import Conv2d
from nanoemo.nn.module import Module
from nanoemo.nn.pool import MaxPool1d, MaxPool2d

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
            got = type(layer).__name__
            if isinstance(layer, type):
                got = f"the class {layer.__name__}; write {layer.__name__}(...)"
            elif isinstance(layer, (list, tuple)):
                got += "; layers are given one by one: Sequential(*layers)"
            raise TypeError(f"Sequential: layer {len(self)} must be a Module, got {got}")
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


POOLS = {(ReLU, MaxPool2d): "max_pool2d", (ReLU, MaxPool1d): "max_pool1d"}


def _fused(layers):
    """What the layers compute, as functions of x: convolution, ReLU and max pooling in one where they follow each other.

    The numbers are those of the layers one by one, but for the rounding of sums added up in another order
    (kernels/pool.py and kernels/conv_pool.py say why). And one by one they run where somebody has put a kernel of their
    own in the place of one of theirs.
    """
    steps, layers = [], list(layers)
    while layers:
        kinds = tuple(type(layer) for layer in layers[:3])
        if kinds == (Conv2d, ReLU, MaxPool2d) and layers[2].tiles and _may_fuse("conv2d", "relu", "max_pool2d"):
            steps.append(partial(_conv_relu_pool, layers[0], layers[2]))
            del layers[:3]
        elif kinds[:2] in POOLS and _may_fuse("relu", POOLS[kinds[:2]]):
            pool = layers[1]
            steps.append(partial(getattr(ops, f"relu_{POOLS[kinds[:2]]}"), kernel_size=pool.kernel_size, stride=pool.stride,
                                 padding=pool.padding))
            del layers[:2]
        else:
            steps.append(layers.pop(0))
    return steps


def _conv_relu_pool(conv, pool, x):
    return ops.conv2d_relu_max_pool2d(x, conv.weight, conv.bias, conv.stride, conv.padding,
                                      kernel_size=pool.kernel_size, pool_padding=pool.padding)


def _may_fuse(*names):
    """Whether the kernels of these operations are the project's own, or the one for all of them is replaced as well."""
    parts = [f"{name}_{direction}" for name in names for direction in ("forward", "backward")]
    return not kernels.is_overridden(*parts) or kernels.is_overridden("_".join(names) + "_forward")
