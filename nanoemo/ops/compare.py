"""Comparisons, their results combined, and the index of the largest. All give bools or integers, so no gradient."""
import numbers
import operator

from nanoemo import backend
from nanoemo.ops.common import operands, tensors_only
from nanoemo.ops.reduce import axes_of, check_not_empty
from nanoemo.tensor import Tensor

__all__ = ["eq", "ne", "lt", "le", "gt", "ge", "argmax", "logical_and", "logical_not", "logical_or"]


def _pairwise(name, function, a, b):
    try:
        values = function(a.array, b.array)
    except ValueError:
        raise ValueError(f"{name}: shapes {a.shape} and {b.shape} do not broadcast") from None
    return Tensor(backend.array_module(a.array).asarray(values), device=a.device)


def _comparison(name, symbol, compare):
    def comparison(a, b):
        if not all(isinstance(value, (Tensor, numbers.Number, list, tuple)) or backend.is_array(value) for value in (a, b)):
            return NotImplemented           # so that `x == None` is False, and `x < "a"` Python's TypeError
        return _pairwise(name, compare, *operands(name, a, b))

    comparison.__name__ = name
    comparison.__doc__ = f"""Where a {symbol} b, as a tensor of bools; shapes broadcast.

    >>> from nanoemo import Tensor, ops
    >>> ops.{name}(Tensor([1.0, 2.0, 3.0]), 2).numpy().tolist()
    {[compare(value, 2) for value in (1, 2, 3)]}
    """
    return comparison


eq = _comparison("eq", "==", operator.eq)
ne = _comparison("ne", "!=", operator.ne)
lt = _comparison("lt", "<", operator.lt)
le = _comparison("le", "<=", operator.le)
gt = _comparison("gt", ">", operator.gt)
ge = _comparison("ge", ">=", operator.ge)


def argmax(x, axis=None):
    """Index of the largest value along `axis`, of the first if several are equal; in the flattened tensor where axis is None.

    >>> from nanoemo import Tensor
    >>> scores = Tensor([[0.1, 0.9], [0.8, 0.2]])
    >>> (scores.argmax(axis=1) == [1, 0]).numpy()
    array([ True,  True])
    """
    axes = axes_of("argmax", x, axis)
    if axis is not None and len(axes) != 1:
        raise TypeError(f"argmax: axis must be one whole number or None, got {axis!r}")
    check_not_empty("argmax", x, axes)
    return Tensor(backend.array_module(x.array).asarray(x.array.argmax(axis=None if axis is None else axes[0])), device=x.device)


def _logical(name, symbol, function):
    def logical(a, b):
        a, b = operands(name, a, b)
        _bits_only(name, a, b)
        return _pairwise(name, function, a, b)

    logical.__name__ = name
    logical.__doc__ = f"""a {symbol} b of bools, or of the bits of integers; shapes broadcast. TypeError for floats.

    >>> from nanoemo import Tensor, ops
    >>> ops.{name}(Tensor([True, True, False]), Tensor([True, False, False])).numpy().tolist()
    {[function(*pair) for pair in ((True, True), (True, False), (False, False))]}
    """
    return logical


logical_and = _logical("logical_and", "&", operator.and_)
logical_or = _logical("logical_or", "|", operator.or_)


def logical_not(x):
    """~x: the opposite of each bool, or of each bit of an integer. TypeError for floats.

    >>> from nanoemo import Tensor
    >>> x = Tensor([-1.0, 0.5, 3.0])
    >>> (~(x > 0) | (x > 1) & (x < 9)).numpy()
    array([ True, False,  True])
    """
    tensors_only("logical_not", x=x)
    _bits_only("logical_not", x)
    return Tensor(~x.array, device=x.device)


def _bits_only(name, *tensors):
    for tensor in tensors:
        if tensor.dtype.kind == "f":
            raise TypeError(f"{name}: expected bools or integers, got {tensor.dtype}; compare first, as in (x > 0) & (x < 1), "
                            f"with brackets")
