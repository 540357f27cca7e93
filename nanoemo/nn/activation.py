"""Activations as layers. Each calls the operation of the same name."""
from nanoemo import ops
from nanoemo.nn.module import Module

__all__ = ["Activation", "ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax"]


class Activation(Module):
    """Base of the layers that apply a function element by element (softmax: row by row) and learn nothing."""


class ReLU(Activation):
    """max(x, 0).

    >>> from nanoemo import Tensor, nn
    >>> nn.ReLU()(Tensor([-1.0, 2.0]))
    Tensor([0. 2.])
    """

    def forward(self, x):
        return ops.relu(x)


class LeakyReLU(Activation):
    """x where it is positive, slope · x elsewhere.

    >>> from nanoemo import Tensor, nn
    >>> nn.LeakyReLU(0.5)(Tensor([-1.0, 2.0]))
    Tensor([-0.5  2. ])
    """

    def __init__(self, slope=0.01):
        self.slope = slope

    def forward(self, x):
        return ops.leaky_relu(x, self.slope)

    def extra_repr(self):
        return f"{self.slope}"


class Sigmoid(Activation):
    """1 / (1 + e⁻ˣ).

    >>> from nanoemo import Tensor, nn
    >>> nn.Sigmoid()(Tensor([0.0]))
    Tensor([0.5])
    """

    def forward(self, x):
        return ops.sigmoid(x)


class Tanh(Activation):
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).

    >>> from nanoemo import Tensor, nn
    >>> nn.Tanh()(Tensor([0.0]))
    Tensor([0.])
    """

    def forward(self, x):
        return ops.tanh(x)


class Softmax(Activation):
    """Probabilities along the last axis. A classifier in training ends before it: the loss contains it.

    >>> from nanoemo import Tensor, nn
    >>> nn.Softmax()(Tensor([[1.0, 1.0]]))
    Tensor([[0.5 0.5]])
    """

    def forward(self, x):
        return ops.softmax(x)
