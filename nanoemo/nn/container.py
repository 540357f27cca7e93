"""Modules in a row."""
from nanoemo.nn import trace
from nanoemo.nn.activation import ReLU
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
            raise TypeError(f"Sequential: layer {len(self)} must be a Module, got {type(layer).__name__}")
        setattr(self, str(len(self)), layer)
        return self

    def forward(self, x):
        layers = list(self)
        for layer in layers if trace.is_watched() else _pooled_before_relu(layers):
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


def _pooled_before_relu(layers):
    """The layers, each ReLU before a max pooling moved behind it, where there are fewer values to compute on.

    max over a window of max(x, 0) is max(max over the window of x, 0), and both ways the gradient goes to the
    same cell, or nowhere where no x of the window is positive. So the numbers are the same to the last bit.

    >>> from nanoemo import nn
    >>> _pooled_before_relu([nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1)])
    [MaxPool2d(2, stride=2, padding='valid'), ReLU(), Dropout(0.1)]
    """
    layers = list(layers)
    for i in range(len(layers) - 1):
        if type(layers[i]) is ReLU and type(layers[i + 1]) in (MaxPool1d, MaxPool2d):
            layers[i], layers[i + 1] = layers[i + 1], layers[i]
    return layers
