"""Many values to few: sum, mean, max, min."""
import operator

from nanoemo import backend
from nanoemo.ops.common import floats_only, tensors_only
from nanoemo.tensor import Tensor

__all__ = ["sum", "mean", "max", "min"]


def _axes(name, x, axis):
    """Axes as a sorted tuple of non-negative numbers; all of them for None."""
    tensors_only(name, x=x)
    given = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = []
    for a in given:
        try:
            a = operator.index(a)
        except TypeError:
            raise TypeError(f"{name}: axis must be a whole number, several of them or None, got {axis!r}") from None
        if not -x.ndim <= a < x.ndim:
            raise ValueError(f"{name}: axis {a} is out of range for shape {x.shape}")
        axes.append(a % x.ndim)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: axis {axis} names an axis twice")
    return tuple(sorted(axes))


def _with_axes(array, shape, axes):
    """`array` with the reduced axes put back as 1."""
    return array.reshape([1 if axis in axes else size for axis, size in enumerate(shape)])


def sum(x, axis=None, keepdims=False):
    """Sum over `axis` (one, several, or all): the gradient is repeated along it.

    >>> from nanoemo import Tensor
    >>> Tensor([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0)
    Tensor([4. 6.])
    """
    axes = _axes("sum", x, axis)
    xp = backend.array_module(x.array)
    with backend.quiet():
        y = xp.asarray(x.array.sum(axis=axes, keepdims=keepdims, dtype=x.dtype if x.dtype.kind == "f" else None))

    def backward(dy):
        return (xp.broadcast_to(_with_axes(dy, x.shape, axes), x.shape),)

    return Tensor.from_op("sum", y, (x,), backward, saved=())


def mean(x, axis=None, keepdims=False):
    """Mean over `axis`; ValueError where there is nothing to average."""
    floats_only("mean", x=x)
    axes = _axes("mean", x, axis)
    count = 1
    for a in axes:
        count *= x.shape[a]
    if count == 0:
        raise ValueError(f"mean: shape {x.shape} has no values along axis {axis}")
    return sum(x, axis, keepdims) * (1.0 / count)


def max(x, axis=None, keepdims=False):
    """Largest value over `axis`; values that tie share the gradient equally.

    >>> from nanoemo import Tensor
    >>> x = Tensor([[1.0, 5.0], [7.0, 2.0]], requires_grad=True)
    >>> x.max(axis=1).sum().backward()
    >>> x.grad.numpy().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return _extreme("max", x, axis, keepdims)


def min(x, axis=None, keepdims=False):
    """Smallest value over `axis`; values that tie share the gradient equally."""
    return _extreme("min", x, axis, keepdims)


def _extreme(name, x, axis, keepdims):
    axes = _axes(name, x, axis)
    if x.size == 0:
        raise ValueError(f"{name}: shape {x.shape} holds no values")
    xp = backend.array_module(x.array)
    y = xp.asarray(getattr(x.array, name)(axis=axes, keepdims=keepdims))

    def backward(dy):
        hits = (x.array == _with_axes(y, x.shape, axes)).astype(x.dtype)
        return (hits * (_with_axes(dy, x.shape, axes) / hits.sum(axis=axes, keepdims=True)),)

    return Tensor.from_op(name, y, (x,), backward, saves_output=True)
