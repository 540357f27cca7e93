"""Batch normalisation: definition, fast version and PyTorch say the same, in training and evaluation."""
import numpy as np
import pytest

from nanoemo.kernels import norm

# the last spans several blocks
SHAPES = [(2, 1), (5, 3), (3, 4, 2), (1, 2, 1, 3), (1, 1, 3, 2), (2, 5, 7, 3), (40, 8, 48, 32)]


def make(rng, shape, dtype=np.float64):
    c = shape[-1]
    x = 2 + 3 * rng.standard_normal(shape)
    vectors = rng.standard_normal(c), rng.standard_normal(c), rng.standard_normal(c), rng.uniform(0.5, 2, c)
    return [a.astype(dtype) for a in (x, *vectors)]


def run(arrays, dy, training, plain=False, momentum=0.1, eps=1e-5):
    """y, dx, dgamma, dbeta, running mean, running variance."""
    x, gamma, beta, mean, var = (a.copy() for a in arrays)
    suffix = "_plain" if plain else ""
    forward = getattr(norm, f"batch_norm_forward{suffix}")
    y, cache = forward(x, gamma, beta, mean, var, training, momentum, eps)
    return (y, *getattr(norm, f"batch_norm_backward{suffix}")(dy, cache), mean, var)


def torch_run(torch, arrays, dy, training, momentum=0.1, eps=1e-5):
    x, gamma, beta, mean, var = (torch.tensor(a) for a in arrays)
    for t in (x, gamma, beta):
        t.requires_grad_()
    first = x.movedim(-1, 1)
    y = torch.nn.functional.batch_norm(first, mean, var, gamma, beta, training, momentum, eps).movedim(1, -1)
    y.backward(torch.tensor(dy))
    return tuple(t.detach().numpy() for t in (y, x.grad, gamma.grad, beta.grad, mean, var))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_fast_equals_definition(rng, shape, training):
    arrays, dy = make(rng, shape), rng.standard_normal(shape)
    for got, expected in zip(run(arrays, dy, training), run(arrays, dy, training, plain=True)):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_pytorch_says_the_same(rng, torch, shape, training):
    arrays, dy = make(rng, shape), rng.standard_normal(shape)
    options = dict(momentum=0.3, eps=1e-3)
    wanted = torch_run(torch, arrays, dy, training, **options)
    for got, expected in zip(run(arrays, dy, training, **options), wanted):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("plain", [True, False])
def test_float32_stays_float32(rng, training, plain):
    arrays = make(rng, (4, 3, 3, 2), np.float32)
    results = run(arrays, np.ones((4, 3, 3, 2), np.float32), training, plain)
    assert [a.dtype for a in results] == [np.float32] * 6


def test_float32_variance_survives_a_large_mean(rng):
    """With mean 1000 and deviation 0.1, E[x²] − E[x]² in float32 is noise."""
    x = (1000 + 0.1 * rng.standard_normal((64, 16, 16, 4))).astype(np.float32)
    one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    running_var = one.copy()
    y, _ = norm.batch_norm_forward(x, one, zero, zero.copy(), running_var, True, 1.0, 0.0)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(running_var, exact.var(axis=(0, 1, 2), ddof=1), rtol=1e-3)
    expected = (exact - exact.mean(axis=(0, 1, 2))) / exact.std(axis=(0, 1, 2))
    np.testing.assert_allclose(y, expected, atol=2e-3)      # float32 resolves 6e-5 at 1000: 6e-4 deviations


def test_float32_statistics_of_many_values(rng):
    """Four million values a channel: added one by one in float32, their sum would lose digits."""
    x = rng.uniform(0, 1, (64, 256, 256, 1)).astype(np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    mean, var = zero.copy(), one.copy()
    y, cache = norm.batch_norm_forward(x, one, zero, mean, var, True, 1.0, 1e-5)
    np.testing.assert_allclose(mean, x.mean(dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(var, x.var(dtype=np.float64), rtol=1e-5)
    dbeta = norm.batch_norm_backward(x, cache)[2]
    np.testing.assert_allclose(dbeta, x.sum(dtype=np.float64), rtol=1e-6)


def test_evaluation_leaves_the_running_statistics(rng):
    arrays = make(rng, (4, 3))
    before = [a.copy() for a in arrays]
    norm.batch_norm_forward(*arrays, False, 0.1, 1e-5)
    for got, expected in zip(arrays, before):
        np.testing.assert_array_equal(got, expected)


def test_backward_keeps_to_the_statistics_of_its_forward(rng):
    """Running statistics that move between an evaluation forward and its backward change no gradient."""
    x, gamma, beta, mean, var = make(rng, (4, 3))
    _, cache = norm.batch_norm_forward(x, gamma, beta, mean, var, False, 0.1, 1e-5)
    expected = norm.batch_norm_backward(x, cache)
    mean += 1
    var += 1
    for got, wanted in zip(norm.batch_norm_backward(x, cache), expected):
        np.testing.assert_array_equal(got, wanted)


def test_views_are_read_right(rng):
    arrays = make(rng, (4, 5, 6, 3))
    arrays[0] = arrays[0].transpose(2, 1, 0, 3)
    dy = np.broadcast_to(rng.standard_normal(3), arrays[0].shape)
    copies = [np.ascontiguousarray(a) for a in arrays]
    for got, expected in zip(run(arrays, dy, True), run(copies, dy.copy(), True)):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_same_bits_on_any_number_of_threads(rng):
    from nanoemo.kernels.threads import get_num_threads, set_num_threads
    arrays = make(rng, (40, 8, 48, 32), np.float32)
    before, results = get_num_threads(), []
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            results.append(run(arrays, arrays[0], True))
    finally:
        set_num_threads(before)
    for one, three in zip(*results):
        np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("forward", [norm.batch_norm_forward, norm.batch_norm_forward_plain])
def test_errors_say_what_was_wrong(forward):
    x, three, four = np.zeros((2, 5, 3)), np.ones(3), np.ones(4)
    with pytest.raises(ValueError, match=r"x has 3 channels \(last axis of \(2, 5, 3\)\) but gamma has"):
        forward(x, four, three, three, three, True, 0.1, 1e-5)
    with pytest.raises(ValueError, match=r"but running_var has shape \(4,\); it must be \(3,\)"):
        forward(x, three, three, three, four, True, 0.1, 1e-5)
    with pytest.raises(ValueError, match=r"1 value for each channel, and training needs at least 2"):
        forward(x[:1, :1], three, three, three, three, True, 0.1, 1e-5)
    with pytest.raises(ValueError, match="at least 2 axes"):
        forward(x[0, 0], three, three, three, three, True, 0.1, 1e-5)
    y, _ = forward(x[:1, :1], three, three, three, three, False, 0.1, 0.0)      # one value will do here
    assert y.tolist() == [[[0, 0, 0]]]


def test_gradients_keep_their_digits_far_from_zero(rng):
    """A mean of a thousand standard deviations: float32 gradients still agree with float64's."""
    x = (rng.standard_normal((64, 6, 6, 4)) + 1000).astype(np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    gradients = []
    for dtype in (np.float32, np.float64):
        one, zero = np.ones(4, dtype), np.zeros(4, dtype)
        y, cache = norm.batch_norm_forward(x.astype(dtype), one, zero, zero.copy(), one.copy(), True)
        gradients.append(norm.batch_norm_backward(dy.astype(dtype), cache))
    for got, exact in zip(*gradients):
        np.testing.assert_allclose(got, exact, atol=2e-4 * np.abs(exact).max())


@pytest.mark.parametrize("shape", [(0, 3), (0, 4, 3), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("plain", [True, False])
def test_an_empty_batch_in_evaluation(rng, shape, plain):
    y, dx, dgamma, dbeta, *_ = run(make(rng, shape), np.ones(shape), False, plain)
    assert y.shape == dx.shape == shape
    assert dgamma.tolist() == dbeta.tolist() == [0, 0, 0]
