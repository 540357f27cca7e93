"""Modules in a row."""
import operator
from functools import partial

from nanoemo import kernels, ops
from nanoemo.modes import anomalies_are_detected
from nanoemo.nn import trace
from nanoemo.nn.activation import ReLU
from nanoemo.nn.checks import type_of
from nanoemo.nn.conv import Conv2d
from nanoemo.nn.module import Module
from nanoemo.nn.pool import MaxPool1d, MaxPool2d

__all__ = ["Sequential"]


class Sequential(Module):
    """Layers one after the other. Indexing gives a layer, slicing a Sequential that shares the layers.

    A layer can be replaced by its index. Other attributes belong to the module, but are no layers.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> model[-1]
    Linear(4, 2)
    >>> len(model[:2]), [name for name, _ in model.named_parameters()]
    (2, ['0.weight', '0.bias', '2.weight', '2.bias'])
    >>> model[-1] = nn.Linear(4, 7)
    >>> model[2]
    Linear(4, 7)
    """

    def __init__(self, *layers):
        for layer in layers:
            self.append(layer)

    def append(self, layer):
        """Put one more layer at the end; returns self. TypeError for what is no module."""
        self._put(max(map(int, self._names()), default=-1) + 1, layer)
        return self

    def _put(self, name, layer):
        if not isinstance(layer, Module):
            hint = "; layers are given one by one: Sequential(*layers)" if isinstance(layer, (list, tuple)) else ""
            raise TypeError(f"Sequential: layer {name} must be a Module, got {type_of(layer)}{hint}")
        setattr(self, str(name), layer)

    def _names(self):
        return [name for name, _ in self._layers()]

    def _layers(self):
        """(name, layer): those attributes that are called by a number."""
        return ((name, layer) for name, layer in self.children() if name.isdecimal())

    def forward(self, x):
        one_by_one = trace.is_watched() or anomalies_are_detected()
        for step in list(self) if one_by_one else _fused(list(self)):
            x = step(x)
        return x

    def __iter__(self):
        return (layer for _, layer in self._layers())

    def __len__(self):
        return len(self._names())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Sequential(*list(self)[index])
        return getattr(self, self._name(index))

    def __setitem__(self, index, layer):
        self._put(self._name(index), layer)

    def _name(self, index):
        names = self._names()
        try:
            return names[operator.index(index)]
        except IndexError:
            raise IndexError(f"Sequential: there is no layer {index}; it has {len(names)}") from None


POOLS = {(ReLU, MaxPool2d): "max_pool2d", (ReLU, MaxPool1d): "max_pool1d"}


def _fused(layers):
    """What the layers compute, as functions of x: convolution, ReLU and max pooling in one where they follow each other.

    The numbers are those of the layers one by one, but for the rounding of sums added up in another order
    (kernels/pool.py and kernels/conv_pool.py say why). And one by one they run where somebody has put a kernel of their
    own in the place of one of theirs, or a `forward`.
    """
    steps, layers = [], list(layers)
    while layers:
        kinds = tuple(None if "forward" in vars(layer) else type(layer) for layer in layers[:3])
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
