"""The dense layer's kernels: plain against fast, fast against PyTorch, errors."""
import numpy as np
import pytest

from nanoemo.kernels import dense

SHAPES = [((5, 3), 4), ((1, 3), 2), ((4, 1), 1), ((3,), 2), ((2, 3, 4), 5), ((2, 1, 3, 2), 1), ((0, 3), 2)]


def arrays(rng, shape, units, bias=True, dtype=np.float64):
    x, w = rng.standard_normal(shape), rng.standard_normal((shape[-1], units))
    b = rng.standard_normal(units).astype(dtype) if bias else None
    return x.astype(dtype), w.astype(dtype), b, rng.standard_normal((*shape[:-1], units)).astype(dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape, units", SHAPES)
def test_fast_equals_plain(rng, shape, units, bias):
    x, w, b, dy = arrays(rng, shape, units, bias)
    y, cache = dense.linear_forward(x, w, b)
    y_plain, cache_plain = dense.linear_forward_plain(x, w, b)
    np.testing.assert_allclose(y, y_plain, rtol=1e-12, atol=1e-12)
    for ours, plain in zip(dense.linear_backward(dy, cache), dense.linear_backward_plain(dy, cache_plain)):
        if plain is None:
            assert ours is None
        else:
            np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-12)
            assert ours.shape == plain.shape


@pytest.mark.parametrize("shape, units", SHAPES)
def test_equals_pytorch(rng, torch, shape, units):
    x, w, b, dy = arrays(rng, shape, units)
    y, cache = dense.linear_forward(x, w, b)
    inputs = [torch.tensor(array, requires_grad=True) for array in (x, w, b)]
    expected = torch.nn.functional.linear(inputs[0], inputs[1].T, inputs[2])
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    for gradient, tensor in zip(dense.linear_backward(dy, cache), inputs):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_needs_leaves_out_what_is_not_wanted(rng):
    x, w, b, dy = arrays(rng, (5, 3), 4)
    _, cache = dense.linear_forward(x, w, b)
    everything = dense.linear_backward(dy, cache)
    for backward in (dense.linear_backward, dense.linear_backward_plain):
        for k in range(3):
            needs = tuple(j == k for j in range(3))
            gradients = backward(dy, cache, needs=needs)
            assert [gradient is not None for gradient in gradients] == list(needs)
            np.testing.assert_allclose(gradients[k], everything[k])


def test_float32_stays_float32(rng):
    x, w, b, dy = arrays(rng, (5, 2, 3), 4, dtype=np.float32)
    y, cache = dense.linear_forward(x, w, b)
    assert {array.dtype for array in (y, *dense.linear_backward(dy, cache))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("x, w, b, message", [
    ((2, 3), (4, 5), (5,), r"x has 3 features \(last axis of \(2, 3\)\) but w of shape \(4, 5\) expects 4"),
    ((2, 3), (3,), (5,), r"w must be \(in, out\), got shape \(3,\)"),
    ((2, 3), (3, 5), (3,), r"b must be \(5,\), one number for each column of w \(3, 5\); got \(3,\)"),
    ((), (3, 5), (5,), "x has no features"),
])
def test_wrong_shapes_are_named(x, w, b, message):
    for forward in (dense.linear_forward, dense.linear_forward_plain):
        with pytest.raises(ValueError, match="linear: " + message):
            forward(np.zeros(x), np.zeros(w), np.zeros(b))


@pytest.mark.parametrize("a, b", [((1, 1), (1, 1)), ((3, 4), (4, 5)), ((2, 3, 4), (4, 2)), ((2, 1, 3, 4), (5, 4, 2)),
                                  ((2, 0), (0, 3))])
def test_matmul_is_its_definition(rng, a, b):
    for dtype in (np.float32, np.float64):
        x, w = rng.normal(size=a).astype(dtype), rng.normal(size=b).astype(dtype)
        y = dense.matmul(x, w)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, dense.matmul_plain(x, w), rtol=1e-5, atol=1e-5)
