"""Element by element, and the matrix product: each against PyTorch and central differences."""
import numpy as np
import pytest
from opcheck import check_op

from nanoemo import Tensor, no_grad, ops

CASES = {     # shapes of the inputs, ours, PyTorch's
    "add": ([(3, 4), (3, 4)], lambda a, b: a + b, lambda t, a, b: a + b),
    "add broadcast row": ([(3, 4), (4,)], lambda a, b: a + b, lambda t, a, b: a + b),
    "add broadcast both": ([(3, 1), (1, 4)], lambda a, b: a + b, lambda t, a, b: a + b),
    "add single number": ([(2, 3), ()], lambda a, b: a + b, lambda t, a, b: a + b),
    "add empty": ([(0, 3), (3,)], lambda a, b: a + b, lambda t, a, b: a + b),
    "sub": ([(2, 1, 3), (4, 1)], lambda a, b: a - b, lambda t, a, b: a - b),
    "mul": ([(3, 4), (3, 1)], lambda a, b: a * b, lambda t, a, b: a * b),
    "mul by itself": ([(5,)], lambda a: a * a, lambda t, a: a * a),
    "number first": ([(5,)], lambda a: 2 - 3 * a, lambda t, a: 2 - 3 * a),
    "neg": ([(3,)], lambda a: -a, lambda t, a: -a),
    "abs": ([(3, 4)], lambda a: abs(a), lambda t, a: abs(a)),
    "square": ([(3, 4)], lambda a: a ** 2, lambda t, a: a ** 2),
    "power 0": ([(3,)], lambda a: a ** 0, lambda t, a: a ** 0),
    "power 3": ([(3,)], lambda a: a ** 3, lambda t, a: a ** 3),
    "exp": ([(3, 4)], lambda a: a.exp(), lambda t, a: a.exp()),
    "maximum": ([(3, 4), (4,)], ops.maximum, lambda t, a, b: t.maximum(a, b)),
    "minimum": ([(3, 4), (4,)], ops.minimum, lambda t, a, b: t.minimum(a, b)),
    "where": ([(3, 4), (4,)], lambda a, b: ops.where(a > b, a, b * 2), lambda t, a, b: t.where(a > b, a, b * 2)),
    "where number": ([(3, 4)], lambda a: ops.where(a > 0, a, 0.1), lambda t, a: t.where(a > 0, a, 0.1)),
    "number to the power": ([(3, 4)], lambda a: 2 ** a, lambda t, a: 2 ** a),
    "clip": ([(20,)], lambda a: a.clip(-1, 1), lambda t, a: a.clip(-1, 1)),
    "clip below": ([(20,)], lambda a: a.clip(low=-1), lambda t, a: a.clip(min=-1)),
    "matmul": ([(3, 4), (4, 5)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul vector vector": ([(4,), (4,)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul vector matrix": ([(4,), (4, 5)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul matrix vector": ([(3, 4), (4,)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul batch": ([(2, 3, 4), (2, 4, 2)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul batch by one": ([(2, 3, 4), (4, 2)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul broadcast": ([(2, 1, 3, 4), (5, 4, 2)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul batch vector": ([(2, 3, 4), (4,)], lambda a, b: a @ b, lambda t, a, b: a @ b),
    "matmul vector batch": ([(4,), (2, 4, 3)], lambda a, b: a @ b, lambda t, a, b: a @ b),
}

POSITIVE = {
    "div": ([(3, 4), (4,)], lambda a, b: a / b, lambda t, a, b: a / b),
    "number over": ([(3,)], lambda a: 1 / a, lambda t, a: 1 / a),
    "log": ([(3, 4)], lambda a: a.log(), lambda t, a: a.log()),
    "sqrt": ([(3, 4)], lambda a: a.sqrt(), lambda t, a: a.sqrt()),
    "power -1.5": ([(3,)], lambda a: a ** -1.5, lambda t, a: a ** -1.5),
}


@pytest.mark.parametrize("case", CASES)
def test_against_torch(torch, device, case):
    shapes, ours, theirs = CASES[case]
    check_op(torch, device, shapes, ours, lambda *x: theirs(torch, *x))


@pytest.mark.parametrize("case", POSITIVE)
def test_against_torch_for_positive_values(torch, device, case):
    shapes, ours, theirs = POSITIVE[case]
    check_op(torch, device, shapes, ours, lambda *x: theirs(torch, *x), low=0.5)


def test_equal_values_share_the_gradient_of_maximum():
    a, b = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    ops.maximum(a, b).backward()
    assert (a.grad.item(), b.grad.item()) == (0.5, 0.5)


def test_arrays_and_lists_are_taken_as_operands():
    x = Tensor([1.0, 2.0])
    assert (x + [1.0, 1.0]).numpy().tolist() == [2.0, 3.0]
    assert (np.array([1, 1]) + x).dtype == np.float32
    assert (x * True).numpy().tolist() == [1.0, 2.0]


def test_numbers_do_not_raise_the_precision():
    x = Tensor([1.0])
    assert [y.dtype for y in (x * 0.5, x + 1, 2 ** 0.5 / x, x - np.float64(0.1))] == [np.float32] * 4


@pytest.mark.parametrize("call, error, message", [
    (lambda x: x + Tensor(np.ones(4, np.float32)), ValueError, r"add: shapes \(3,\) and \(4,\) do not"),
    (lambda x: x @ Tensor(np.ones((4, 2), np.float32)), ValueError, r"matmul: shapes \(3,\) and \(4, 2\) do"),
    (lambda x: x @ 2, ValueError, "single number has no matrix product"),
    (lambda x: x + Tensor(np.ones(3)), TypeError, "add: left is float32, right is float64; make them"),
    (lambda x: x + "one", TypeError, "add: expected a Tensor, an array or a number, got str"),
    (lambda x: x ** x, TypeError, "pow: the exponent must be a number"),
    (lambda x: x.clip(), ValueError, "clip: give low, high or both"),
])
def test_errors_name_the_operation_and_what_was_wrong(call, error, message):
    with pytest.raises(error, match=message), no_grad():
        call(Tensor(np.ones(3, np.float32)))
