"""Modules in a row."""
from nanoemo.nn.module import Module

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
        for layer in self:
            x = layer(x)
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
