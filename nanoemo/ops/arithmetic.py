"""Element by element: + − × ÷ powers, exp, log, sqrt, |x|, maximum, clip; and the matrix product.

Shapes broadcast as in NumPy. Where a shape was stretched, its gradient is summed back (`unbroadcast`).
"""
import math
import numbers

from nanoemo import backend
from nanoemo.ops.common import floats_only, operands, same_device, tensors_only, unbroadcast
from nanoemo.tensor import Tensor

__all__ = ["add", "sub", "mul", "div", "neg", "pow", "matmul", "exp", "log", "sqrt", "abs", "maximum", "minimum", "clip",
           "where"]


def _binary(name, a, b, function, gradients, floats=False, saves=True, saves_output=False):
    """y = function(a, b); gradients(dy, a, b, y) gives those before broadcasting is undone."""
    a, b = operands(name, a, b)
    if floats:
        floats_only(name, left=a, right=b)
    try:
        with backend.quiet():
            y = function(a.array, b.array)
    except ValueError:
        raise ValueError(f"{name}: shapes {a.shape} and {b.shape} do not broadcast; "
                         f"axes must be equal, or 1, counted from the last") from None

    def backward(dy):
        da, db = gradients(dy, a.array, b.array, y)
        return unbroadcast(da, a.shape), unbroadcast(db, b.shape)

    return Tensor.from_op(name, y, (a, b), backward, saved=None if saves else (), saves_output=saves_output)


def _unary(name, x, function, gradient, floats=True, saves=True, saves_output=False):
    """y = function(xp, x); gradient(dy, xp, x, y). `floats`: whether integers are refused."""
    (floats_only if floats else tensors_only)(name, x=x)
    xp = backend.array_module(x.array)
    with backend.quiet():
        y = function(xp, x.array)
    return Tensor.from_op(name, y, (x,), lambda dy: (gradient(dy, xp, x.array, y),),
                          saved=None if saves else (), saves_output=saves_output)


def add(a, b):
    """a + b.

    >>> from nanoemo import Tensor, ops
    >>> ops.add(Tensor([1.0, 2.0]), 10)
    Tensor([11. 12.])
    """
    return _binary("add", a, b, lambda a, b: a + b, lambda dy, a, b, y: (dy, dy), saves=False)


def sub(a, b):
    """a − b.

    >>> from nanoemo import Tensor, ops
    >>> ops.sub(Tensor([1.0, 2.0]), 10)
    Tensor([-9. -8.])
    """
    return _binary("sub", a, b, _difference, lambda dy, a, b, y: (dy, -dy), saves=False)


def _difference(a, b):
    if a.dtype == b.dtype == bool:
        raise TypeError("sub: bools cannot be subtracted; a != b is true where exactly one of them is, and "
                        "Tensor(a, dtype='int64') makes numbers of them")
    return a - b


def mul(a, b):
    """a × b: ∂a = dy·b, ∂b = dy·a.

    >>> from nanoemo import Tensor, ops
    >>> ops.mul(Tensor([1.0, 2.0]), 10)
    Tensor([10. 20.])
    """
    return _binary("mul", a, b, lambda a, b: a * b, lambda dy, a, b, y: (dy * b, dy * a))


def div(a, b):
    """a ÷ b: ∂a = dy/b, ∂b = −dy·y/b. TypeError where both are integers.

    >>> from nanoemo import Tensor, ops
    >>> ops.div(Tensor([1.0, 2.0]), 4)
    Tensor([0.25 0.5 ])
    """
    return _binary("div", a, b, lambda a, b: a / b, lambda dy, a, b, y: (dy / b, -dy * y / b),
                   floats=True, saves_output=True)


def maximum(a, b):
    """The larger of a and b; where they are equal each gets half of the gradient.

    >>> from nanoemo import Tensor, ops
    >>> ops.maximum(Tensor([1.0, 3.0]), 2)
    Tensor([2. 3.])
    """
    return _binary("maximum", a, b, lambda a, b: backend.array_module(a).maximum(a, b), _share_by(lambda a, b: a > b))


def minimum(a, b):
    """The smaller of a and b; where they are equal each gets half of the gradient.

    >>> from nanoemo import Tensor, ops
    >>> ops.minimum(Tensor([1.0, 3.0]), 2)
    Tensor([1. 2.])
    """
    return _binary("minimum", a, b, lambda a, b: backend.array_module(a).minimum(a, b), _share_by(lambda a, b: a < b))


def _share_by(wins):
    def gradients(dy, a, b, y):
        half = 0.5 * (a == b).astype(dy.dtype)
        return dy * (wins(a, b).astype(dy.dtype) + half), dy * (wins(b, a).astype(dy.dtype) + half)
    return gradients


def where(condition, a, b):
    """a where `condition`, a tensor of bools, is true, b elsewhere; shapes broadcast. Each gets the gradient of what it gave.

    >>> from nanoemo import Tensor, ops
    >>> x = Tensor([-1.0, 2.0])
    >>> ops.where(x > 0, x, 0.1 * x)
    Tensor([-0.1  2. ])
    """
    a, b = operands("where", a, b)
    same_device("where", condition=condition, a=a, b=b)
    if condition.dtype.kind != "b":
        raise TypeError(f"where: condition is {condition.dtype}, not bool; compare first, as in x > 0")
    xp = backend.array_module(a.array)
    try:
        y = xp.where(condition.array, a.array, b.array)
    except ValueError:
        raise ValueError(f"where: shapes {condition.shape}, {a.shape} and {b.shape} do not broadcast") from None

    def backward(dy):
        nothing = dy.dtype.type(0)
        return (None, unbroadcast(xp.where(condition.array, dy, nothing), a.shape),
                unbroadcast(xp.where(condition.array, nothing, dy), b.shape))

    return Tensor.from_op("where", y, (condition, a, b), backward, saved=(condition,))


def pow(x, exponent):
    """x to a constant power: ∂x = dy · n · xⁿ⁻¹; or a number c above 0 to the power of a tensor: ∂x = dy · cˣ · ln c.

    TypeError where both are tensors (use exp and log).

    >>> from nanoemo import Tensor
    >>> Tensor([1.0, 2.0, 3.0]) ** 2, 2 ** Tensor([1.0, 3.0])
    (Tensor([1. 4. 9.]), Tensor([2. 8.]))
    """
    if isinstance(x, numbers.Real) and isinstance(exponent, Tensor):
        return _power_of_number(x, exponent)
    if not isinstance(exponent, numbers.Real):
        raise TypeError(f"pow: the exponent must be a number, got {type(exponent).__name__}; use exp(log(x) * y)")
    exponent = int(exponent) if isinstance(exponent, numbers.Integral) else float(exponent)    # no np.float64
    whole = isinstance(exponent, int) and exponent >= 0
    return _unary("pow", x, lambda xp, x: x ** exponent,
                  lambda dy, xp, x, y: dy * (exponent * x ** (exponent - 1) if exponent else 0 * x), floats=not whole)


def _power_of_number(base, x):
    if not base > 0:
        raise ValueError(f"pow: the base under a tensor must be a number above 0, got {base!r}")
    base = float(base)
    return _unary("pow", x, lambda xp, x: base ** x, lambda dy, xp, x, y: dy * y * math.log(base), saves=False, saves_output=True)


def neg(x):
    """−x.

    >>> from nanoemo import Tensor, ops
    >>> ops.neg(Tensor([1.0, -2.0]))
    Tensor([-1.  2.])
    """
    if tensors_only("neg", x=x)["x"].dtype.kind == "b":
        raise TypeError("neg: x is bool; its opposite is ~x")
    return _unary("neg", x, lambda xp, x: -x, lambda dy, xp, x, y: -dy, floats=False, saves=False)


def exp(x):
    """eˣ: ∂x = dy · y.

    >>> from nanoemo import Tensor, ops
    >>> ops.exp(Tensor([0.0]))
    Tensor([1.])
    """
    return _unary("exp", x, lambda xp, x: xp.exp(x), lambda dy, xp, x, y: dy * y, saves=False, saves_output=True)


def log(x):
    """Natural logarithm: ∂x = dy / x; −∞ at 0, NaN below.

    >>> from nanoemo import Tensor, ops
    >>> ops.log(Tensor([1.0]))
    Tensor([0.])
    """
    return _unary("log", x, lambda xp, x: xp.log(x), lambda dy, xp, x, y: dy / x)


def sqrt(x):
    """√x: ∂x = dy / (2y); NaN below 0.

    >>> from nanoemo import Tensor, ops
    >>> ops.sqrt(Tensor([9.0]))
    Tensor([3.])
    """
    return _unary("sqrt", x, lambda xp, x: xp.sqrt(x), lambda dy, xp, x, y: dy / (2 * y), saves=False, saves_output=True)


def abs(x):
    """|x|: ∂x = dy · sign(x), 0 at 0.

    >>> from nanoemo import Tensor, ops
    >>> ops.abs(Tensor([-3.0, 2.0]))
    Tensor([3. 2.])
    """
    return _unary("abs", x, lambda xp, x: xp.abs(x), lambda dy, xp, x, y: dy * xp.sign(x), floats=False)


def clip(x, low=None, high=None):
    """x held between `low` and `high` (numbers or None); no gradient where it was cut off.

    Raises ValueError where both are None or low is above high.

    >>> from nanoemo import Tensor, ops
    >>> ops.clip(Tensor([-3.0, 0.5, 2.0]), 0, 1)
    Tensor([0.  0.5 1. ])
    """
    if low is None and high is None:
        raise ValueError("clip: give low, high or both")
    low, high = (_limit(value) for value in (low, high))
    if low is not None and high is not None and low > high:
        raise ValueError(f"clip: low {low} is above high {high}")

    def gradient(dy, xp, x, y):
        inside = xp.ones(x.shape, bool)
        if low is not None:
            inside &= x >= low
        if high is not None:
            inside &= x <= high
        return xp.where(inside, dy, dy.dtype.type(0))

    return _unary("clip", x, lambda xp, x: xp.clip(x, low, high), gradient, floats=False)


def _limit(value):
    """A Python number, which unlike np.float64 does not raise the precision of a float32 array."""
    if value is None or isinstance(value, int):
        return value
    if not isinstance(value, numbers.Real):
        raise TypeError(f"clip: low and high must be numbers or None, got {type(value).__name__}")
    return float(value)


def matmul(a, b):
    """Matrix product of the last two axes, the others broadcast: ∂a = dy bᵀ, ∂b = aᵀ dy.

    a: (..., n, k) or (k,); b: (..., k, m) or (k,). ValueError where the inner sizes differ.

    >>> from nanoemo import Tensor
    >>> (Tensor([[1.0, 2.0]]) @ Tensor([[3.0], [4.0]])).item()
    11.0
    """
    a, b = operands("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape}: a single number has no matrix product, use *")
    left = a.array[None, :] if a.ndim == 1 else a.array
    right = b.array[:, None] if b.ndim == 1 else b.array
    product = backend.kernel("matmul", a.device)
    if not _matrices_fit(left, right):
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit: the last axis of the first must equal "
                         f"the last but one of the second, and the axes before them must agree or be 1")
    y = product(left, right)
    shape = y.shape[:-2] + (y.shape[-2:-1] if a.ndim > 1 else ()) + (y.shape[-1:] if b.ndim > 1 else ())

    def backward(dy):
        dy = dy.reshape(y.shape)
        da = db = None
        if a.requires_grad:
            da = unbroadcast(product(dy, right.swapaxes(-1, -2)), left.shape).reshape(a.shape)
        if b.requires_grad:
            db = unbroadcast(product(left.swapaxes(-1, -2), dy), right.shape).reshape(b.shape)
        return da, db

    return Tensor.from_op("matmul", y.reshape(shape), (a, b), backward)


def _matrices_fit(left, right):
    leading = zip(left.shape[-3::-1], right.shape[-3::-1])
    return left.shape[-1] == right.shape[-2] and all(m == n or 1 in (m, n) for m, n in leading)
