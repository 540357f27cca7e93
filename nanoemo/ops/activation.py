"""Activations. Their equations and kernels are in kernels/activation.py."""
import numbers

from nanoemo.ops.common import floats_only, kernel_op
from nanoemo.ops.reduce import axes_of
from nanoemo.ops.shape import transpose

__all__ = ["relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"]


def relu(x):
    """max(x, 0).

    >>> from nanoemo import Tensor, ops
    >>> ops.relu(Tensor([-1.0, 0.0, 2.0]))
    Tensor([0. 0. 2.])
    """
    return kernel_op("relu", {"x": x})


def leaky_relu(x, slope=0.01):
    """x where it is positive, slope · x elsewhere.

    >>> from nanoemo import Tensor, ops
    >>> ops.leaky_relu(Tensor([-1.0, 2.0]), slope=0.5)
    Tensor([-0.5  2. ])
    """
    if not isinstance(slope, numbers.Real):
        raise TypeError(f"leaky_relu: slope must be a number, got {type(slope).__name__}")
    return kernel_op("leaky_relu", {"x": x}, float(slope))


def sigmoid(x):
    """1 / (1 + e⁻ˣ), between 0 and 1 for any x.

    >>> from nanoemo import Tensor, ops
    >>> ops.sigmoid(Tensor([-1000.0, 0.0]))
    Tensor([0.  0.5])
    """
    return kernel_op("sigmoid", {"x": x})


def tanh(x):
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).

    >>> from nanoemo import Tensor, ops
    >>> ops.tanh(Tensor([0.0]))
    Tensor([0.])
    """
    return kernel_op("tanh", {"x": x})


def softmax(x, axis=-1):
    """Probabilities along `axis`: eˣⁱ / Σⱼ eˣʲ.

    >>> from nanoemo import Tensor, ops
    >>> ops.softmax(Tensor([[1.0, 1.0]]))
    Tensor([[0.5 0.5]])
    """
    return _along("softmax", x, axis)


def log_softmax(x, axis=-1):
    """Logarithm of softmax along `axis`: xᵢ − log Σⱼ eˣʲ.

    >>> from nanoemo import Tensor, ops
    >>> ops.log_softmax(Tensor([[1000.0, 1000.0]]))
    Tensor([[-0.6931472 -0.6931472]])
    """
    return _along("log_softmax", x, axis)


def _along(name, x, axis):
    """The kernel's, which computes along the last axis, along `axis`, which takes the place of the last meanwhile."""
    floats_only(name, x=x)
    axes = axes_of(name, x, axis)
    if len(axes) != 1:
        raise ValueError(f"{name}: expected one axis of x, of shape {x.shape}, got {axis!r}")
    axis, = axes
    if not x.shape[axis]:
        raise ValueError(f"{name}: x of shape {x.shape} has nothing along axis {axis} to share the probability")
    if axis == x.ndim - 1:
        return kernel_op(name, {"x": x})
    swapped = [*range(axis), x.ndim - 1, *range(axis + 1, x.ndim - 1), axis]
    return transpose(kernel_op(name, {"x": transpose(x, swapped)}), swapped)
