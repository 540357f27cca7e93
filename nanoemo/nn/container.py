"""Modules in a row."""
import operator

from nanoemo.modes import anomalies_are_detected
from nanoemo.nn import trace
from nanoemo.hints import type_of
from nanoemo.nn.fused import fused
from nanoemo.nn.module import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Layers one after the other. Indexing gives a layer, slicing a Sequential that shares the layers.

    A layer can be replaced by its index, or deleted; those behind it are then numbered anew. Other attributes belong to the
    module, but are no layers.

    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> model[-1]
    Linear(4, 2)
    >>> len(model[:2]), [name for name, _ in model.named_parameters()]
    (2, ['0.weight', '0.bias', '2.weight', '2.bias'])
    >>> model[-1] = nn.Linear(4, 7)
    >>> model[2]
    Linear(4, 7)
    >>> del model[1]
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '1.weight', '1.bias']
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
        for step in list(self) if one_by_one else fused(list(self)):
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

    def __delitem__(self, index):
        if not isinstance(index, slice):
            self._name(index)
        names, layers = self._names(), list(self)
        del layers[index]
        for name, layer in zip(names, layers):          # in the places that there are: the order of all attributes stays
            setattr(self, name, layer)
        for name in names[len(layers):]:
            delattr(self, name)

    def _name(self, index):
        names = self._names()
        try:
            return names[operator.index(index)]
        except IndexError:
            raise IndexError(f"Sequential: there is no layer {index}; it has {len(names)}") from None
