"""gradcheck: it finds a wrong gradient, and leaves nothing behind."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, gradcheck, ops


def leaf(values):
    return Tensor(values, requires_grad=True)


def test_gradcheck_accepts_what_is_right():
    assert gradcheck(lambda x, y: (x * y).sum(), [leaf(np.ones(3)), leaf(np.arange(3.0))])


def test_gradcheck_leaves_no_gradient_behind():
    w = leaf(np.array([2.0]))
    (w * 3).sum().backward()
    assert gradcheck(lambda x: x * w, [leaf(np.array([5.0]))])
    assert w.grad.item() == 3


def test_gradcheck_looks_at_weights_that_fn_does_not_take():
    """A module uses its own parameters, whatever it is called with."""
    w, x = leaf(np.array([2.0, 3.0])), Tensor(np.array([1.0, 5.0]))

    def scaled(gradient):
        return lambda _: Tensor.from_op("scale", x.array * w.array, (w,), lambda dy: (gradient(dy),))

    assert gradcheck(scaled(lambda dy: dy * x.array), [w])
    with pytest.raises(AssertionError, match=r"input 0, index \(0,\): backward says 7"):
        gradcheck(scaled(lambda dy: np.full(2, 7.0)), [w])
    assert w.numpy().tolist() == [2, 3] and w.grad is None


def test_gradcheck_leaves_the_values_as_they_were_where_fn_fails():
    calls = []

    def fails_later(x):
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("later")
        return x * x

    x = leaf(np.array([2.0, 3.0]))
    with pytest.raises(RuntimeError, match="later"):
        gradcheck(fails_later, [x])
    assert x.numpy().tolist() == [2, 3] and x.grad is None


def test_gradcheck_names_input_index_and_both_values():
    def wrong(x, y):
        product = x.array * y.array
        return Tensor.from_op("wrong", product, (x, y), lambda dy: (dy * y.array, dy * y.array))

    with pytest.raises(AssertionError, match=r"input 1, index \(0,\): backward says .* differences say"):
        gradcheck(wrong, [leaf(np.array([2.0, 3.0])), leaf(np.array([5.0, 3.0]))])


def test_gradcheck_refuses_a_function_that_draws_random_numbers():
    x = leaf(np.ones(20))
    with pytest.raises(ValueError, match="another result when it is called again; where it draws random numbers .*manual_seed"):
        gradcheck(lambda x: ops.dropout(x, 0.5, training=True), [x])

    def seeded(x):
        nanoemo.manual_seed(1)
        return ops.dropout(x, 0.5, training=True)
    assert gradcheck(seeded, [x])


def test_gradcheck_notices_a_gradient_that_is_missing():
    with pytest.raises(AssertionError, match="backward says 0"):
        gradcheck(lambda x: x * 0 + x.detach() * x.detach(), [leaf(np.ones(2))])


@pytest.mark.parametrize("inputs, error, message", [
    (Tensor([1.0]), ValueError, "none of the inputs has requires_grad"),
    (Tensor([1.0], requires_grad=True), TypeError, r"is float32; central differences need float64: .to\(dtype='float64'\)"),
    ([np.ones(2)], TypeError, r"gradcheck: input 0 must be a Tensor, got ndarray; make it Tensor"),
])
def test_gradcheck_refuses_what_it_cannot_check(inputs, error, message):
    with pytest.raises(error, match=message):
        gradcheck(lambda x: x * 2, inputs)
