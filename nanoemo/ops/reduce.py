"""Many values to few: sum, mean, max, min."""
import math
import operator

from nanoemo import backend
from nanoemo.ops.common import floats_only, tensors_only
from nanoemo.tensor import Tensor

__all__ = ["sum", "mean", "max", "min"]


def axes_of(name, x, axis):
    """Axes as a sorted tuple of non-negative numbers; all of them for None. Errors name the operation."""
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


def check_not_empty(name, x, axes):
    """Raise ValueError where there is no value to take one from."""
    if 0 in [x.shape[a] for a in axes]:
        raise ValueError(f"{name}: shape {x.shape} has no values along {'its axes' if len(axes) > 1 else 'axis'} "
                         f"{', '.join(map(str, axes))}")


def _with_axes(array, shape, axes):
    """`array` with the reduced axes put back as 1."""
    return array.reshape([1 if axis in axes else size for axis, size in enumerate(shape)])


def sum(x, axis=None, keepdims=False):
    """Sum over `axis` (one, several, or all): the gradient is repeated along it.

    >>> from nanoemo import Tensor
    >>> Tensor([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0)
    Tensor([4. 6.])
    """
    return _total("sum", x, axes_of("sum", x, axis), keepdims)


def mean(x, axis=None, keepdims=False):
    """Mean over `axis`; ValueError where there is nothing to average.

    >>> from nanoemo import Tensor
    >>> Tensor([[1.0, 2.0], [3.0, 4.0]]).mean(axis=1)
    Tensor([1.5 3.5])
    """
    floats_only("mean", x=x)
    axes = axes_of("mean", x, axis)
    check_not_empty("mean", x, axes)
    return _total("mean", x, axes, keepdims, scale=1.0 / math.prod(x.shape[a] for a in axes))


def _total(name, x, axes, keepdims, scale=None):
    """Sum over `axes`, times `scale`."""
    xp = backend.array_module(x.array)

    def scaled(values):
        return values if scale is None else values * scale

    with backend.quiet():
        y = scaled(x.array.sum(axis=axes, keepdims=keepdims, dtype=x.dtype if x.dtype.kind == "f" else None))

    def backward(dy):
        return (xp.broadcast_to(_with_axes(scaled(dy), x.shape, axes), x.shape),)

    return Tensor.from_op(name, xp.asarray(y), (x,), backward, saved=())


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
    """Smallest value over `axis`; values that tie share the gradient equally.

    >>> from nanoemo import Tensor
    >>> Tensor([[1.0, 5.0], [7.0, 2.0]]).min(axis=0)
    Tensor([1. 2.])
    """
    return _extreme("min", x, axis, keepdims)


def _extreme(name, x, axis, keepdims):
    axes = axes_of(name, x, axis)
    check_not_empty(name, x, axes)
    xp = backend.array_module(x.array)
    y = xp.asarray(getattr(x.array, name)(axis=axes, keepdims=keepdims))

    def backward(dy):
        hits = (x.array == _with_axes(y, x.shape, axes)).astype(x.dtype)
        return (hits * (_with_axes(dy, x.shape, axes) / hits.sum(axis=axes, keepdims=True)),)

    return Tensor.from_op(name, y, (x,), backward, saves_output=True)
