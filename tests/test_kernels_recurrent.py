"""The LSTM's kernels: plain against fast, fast against torch.nn.LSTM, errors."""
import numpy as np
import pytest

from nanoemo.kernels import recurrent, recurrent_stack

# batch, steps, features, units; the last but one makes two pieces of time, the last two blocks of sequences and two of units
SHAPES = [(3, 5, 2, 4), (1, 1, 1, 1), (1, 6, 3, 2), (2, 1, 3, 5), (33, 3, 1, 3), (4, 7, 5, 1), (2, 40, 1, 5), (65, 3, 5, 128)]
NAMES = ("dx", "dw", "du", "db", "dh0", "dc0")


@pytest.fixture(autouse=True, params=["usual pieces", "small pieces"])
def pieces(request, monkeypatch):
    if request.param == "small pieces":
        monkeypatch.setattr(recurrent_stack, "STEPS", 2)
        monkeypatch.setattr(recurrent_stack, "BLOCK_STATES", 8)


def arrays(rng, batch, steps, features, units, dtype=np.float64):
    shapes = ((batch, steps, features), (features, 4 * units), (units, 4 * units), (4 * units,),
              (batch, units), (batch, units))
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    gradients = [rng.standard_normal(shape).astype(dtype)
                 for shape in ((batch, steps, units), (batch, units), (batch, units))]
    return inputs, gradients


def assert_close(ours, expected, name):
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_fast_equals_plain(rng, shape, with_state):
    inputs, gradients = arrays(rng, *shape)
    if not with_state:
        inputs[4:] = None, None
    results, cache = recurrent.lstm_forward(*inputs)
    plain_results, plain_cache = recurrent.lstm_forward_plain(*inputs)
    for name, ours, plain in zip(("h", "h_T", "c_T"), results, plain_results):
        assert_close(ours, plain, name)
    plain = recurrent.lstm_backward_plain(*gradients, plain_cache)
    for name, ours, expected in zip(NAMES, recurrent.lstm_backward(*gradients, cache), plain):
        assert_close(ours, expected, name)


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_pytorch(rng, torch, shape):
    inputs, gradients = arrays(rng, *shape)
    (h, h_T, c_T), cache = recurrent.lstm_forward(*inputs)
    ours = recurrent.lstm_backward(*gradients, cache)

    x, w, u, b, h0, c0 = inputs         # PyTorch: gates in the same order, weights transposed, two biases
    layer = torch.nn.LSTM(shape[2], shape[3], batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.tensor(w.T))
        layer.weight_hh_l0.copy_(torch.tensor(u.T))
        layer.bias_ih_l0.copy_(torch.tensor(b))
        layer.bias_hh_l0.zero_()
    x, h0, c0 = (torch.tensor(array, requires_grad=True) for array in (x, h0, c0))
    expected, (expected_h, expected_c) = layer(x, (h0[None], c0[None]))
    torch.autograd.backward((expected, expected_h, expected_c),
                            (torch.tensor(gradients[0]), *(torch.tensor(g)[None] for g in gradients[1:])))
    assert_close(h, expected.detach().numpy(), "h")
    assert_close(h_T, expected_h[0].detach().numpy(), "h_T")
    assert_close(c_T, expected_c[0].detach().numpy(), "c_T")
    theirs = (x.grad, layer.weight_ih_l0.grad.T, layer.weight_hh_l0.grad.T, layer.bias_ih_l0.grad,
              h0.grad, c0.grad)
    for name, gradient, tensor in zip(NAMES, ours, theirs):
        assert_close(gradient, tensor.numpy(), name)


def test_extreme_inputs_saturate_without_overflow(rng):
    (x, w, u, b, h0, c0), gradients = arrays(rng, 2, 3, 2, 2)
    with np.errstate(all="raise", under="ignore"):
        (h, _, c), cache = recurrent.lstm_forward(1e4 * x, w, u, b, h0, c0)
        backward = recurrent.lstm_backward(*gradients, cache)
    assert np.abs(h).max() <= 1 and all(np.isfinite(array).all() for array in (c, *backward))


@pytest.mark.parametrize("used", [(True, False, False), (False, True, False), (False, False, True)])
def test_results_that_are_not_used_may_have_no_gradient(rng, used):
    inputs, gradients = arrays(rng, 3, 4, 2, 3)
    _, cache = recurrent.lstm_forward(*inputs)
    _, plain_cache = recurrent.lstm_forward_plain(*inputs)
    given = [gradient if use else None for gradient, use in zip(gradients, used)]
    zeros = [gradient if use else 0 * gradient for gradient, use in zip(gradients, used)]
    expected = recurrent.lstm_backward(*zeros, cache)
    plain = recurrent.lstm_backward_plain(*given, plain_cache)
    for name, ours, zero, simple in zip(NAMES, recurrent.lstm_backward(*given, cache), expected, plain):
        assert_close(ours, zero, name)
        assert_close(ours, simple, name)


def test_needs_leaves_out_what_is_not_wanted(rng):
    inputs, gradients = arrays(rng, 3, 4, 2, 3)
    caches = recurrent.lstm_forward(*inputs)[1], recurrent.lstm_forward_plain(*inputs)[1]
    everything = recurrent.lstm_backward(*gradients, caches[0])
    for backward, cache in zip((recurrent.lstm_backward, recurrent.lstm_backward_plain), caches):
        for k in range(4):
            needs = tuple(j == k for j in range(4))
            result = backward(*gradients, cache, needs=needs)
            assert [gradient is not None for gradient in result] == [*needs, True, True]
            assert_close(result[k], everything[k], NAMES[k])


def test_backward_leaves_its_inputs_as_they_were(rng):
    inputs, gradients = arrays(rng, 3, 4, 2, 3)
    copies = [array.copy() for array in (*inputs, *gradients)]
    _, cache = recurrent.lstm_forward(*inputs)
    first = recurrent.lstm_backward(*gradients, cache)
    second = recurrent.lstm_backward(*gradients, cache)
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert all(np.array_equal(a, b) for a, b in zip((*inputs, *gradients), copies))


def test_float32_stays_float32(rng):
    inputs, gradients = arrays(rng, 3, 4, 2, 3, np.float32)
    for forward, backward in ((recurrent.lstm_forward, recurrent.lstm_backward),
                              (recurrent.lstm_forward_plain, recurrent.lstm_backward_plain)):
        results, cache = forward(*inputs)
        assert {array.dtype for array in (*results, *backward(*gradients, cache))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("change, message", [
    (dict(x=(2, 5)), r"x must be \(batch, steps, features\), got shape \(2, 5\)"),
    (dict(x=(2, 0, 3)), r"no time steps \(axis 1\)"),
    (dict(u=(4, 12)), r"u must be \(units, 4·units\), got shape \(4, 12\)"),
    (dict(w=(2, 16)), r"x has 3 features .* and u has 4 units, so w must be \(3, 16\); got \(2, 16\)"),
    (dict(b=(4,)), r"b must be \(16,\)"),
    (dict(h0=(4,)), r"h0 must be \(batch, units\) = \(2, 4\), got \(4,\)"),
    (dict(c0=(2, 3)), r"c0 must be \(batch, units\) = \(2, 4\), got \(2, 3\)"),
])
def test_wrong_shapes_are_named(change, message):
    shapes = dict(x=(2, 5, 3), w=(3, 16), u=(4, 16), b=(16,), h0=(2, 4), c0=(2, 4)) | change
    for forward in (recurrent.lstm_forward, recurrent.lstm_forward_plain):
        with pytest.raises(ValueError, match="lstm: .*" + message):
            forward(**{name: np.zeros(shape) for name, shape in shapes.items()})
