"""Comparisons, value by value, and the index of the largest. The results are bools or integers: no gradient."""
import numbers
import operator

import numpy as np

from nanoemo import backend
from nanoemo.ops.common import operands
from nanoemo.tensor import Tensor

__all__ = ["eq", "ne", "lt", "le", "gt", "ge", "argmax"]


def _comparison(name, symbol, compare):
    def comparison(a, b):
        if not all(isinstance(value, (Tensor, numbers.Number, np.ndarray, list, tuple)) for value in (a, b)):
            return NotImplemented           # so that `x == None` is False, and `x < "a"` Python's TypeError
        a, b = operands(name, a, b)
        try:
            return Tensor(backend.array_module(a.array).asarray(compare(a.array, b.array)))
        except ValueError:
            raise ValueError(f"{name}: shapes {a.shape} and {b.shape} do not broadcast") from None

    comparison.__name__ = name
    comparison.__doc__ = f"Where a {symbol} b, as a tensor of bools; shapes broadcast."
    return comparison


eq = _comparison("eq", "==", operator.eq)
ne = _comparison("ne", "!=", operator.ne)
lt = _comparison("lt", "<", operator.lt)
le = _comparison("le", "<=", operator.le)
gt = _comparison("gt", ">", operator.gt)
ge = _comparison("ge", ">=", operator.ge)


def argmax(x, axis=None):
    """Index of the largest value along `axis`, of the first where several are; in the flat order where axis is None.

    >>> from nanoemo import Tensor
    >>> scores = Tensor([[0.1, 0.9], [0.8, 0.2]])
    >>> (scores.argmax(axis=1) == [1, 0]).numpy()
    array([ True,  True])
    """
    if x.size == 0 or axis is not None and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"argmax: no axis {axis} with values in a tensor of shape {x.shape}")
    return Tensor(backend.array_module(x.array).asarray(x.array.argmax(axis=axis)))
