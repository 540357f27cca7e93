"""norm_cupy.py and norm.cu against the definitions in norm.py."""
import numpy as np
import pytest

from nanoemo import backend, kernels
from nanoemo.kernels import norm
from twins import TOLERANCE, Recorded, check_pair, same_numbers

# around tiles of 32 channels, and chunks of 64 rows where there are that many channels, of 2048 where there is one
SHAPES = [(2, 1), (5, 3), (2, 32), (3, 33), (9, 31), (63, 32), (64, 32), (65, 32), (130, 40), (3, 100), (2049, 1),
          (1, 2, 1, 3), (3, 4, 2), (2, 5, 7, 16)]


def make(rng, shape):
    """x, gamma, beta, running mean, running variance."""
    c = shape[-1]
    return 2 + 3 * rng.normal(size=shape), *rng.normal(size=(3, c)), rng.uniform(0.5, 2, c)


def upload(*arrays):
    return [backend.to_device(array, "cuda") for array in arrays]


def check(*arguments):
    check_pair("batch_norm", *arguments, seed=1)        # not the seed of x: with dy = x the training gradient is 0


def twins():
    return [kernels.find(f"batch_norm_{way}", "cuda") for way in ("forward", "backward")]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_pair(card, rng, shape, training):
    check(*make(rng, shape), training, 0.1, 1.0)    # with a small eps the gradient of two values is 0 but for rounding


@pytest.mark.parametrize("shape", [(1, 3), (0, 3), (0, 4, 3), (2, 0, 3)], ids=str)
def test_evaluation_of_one_value_and_of_none(card, rng, shape):
    check(*make(rng, shape), False)


@pytest.mark.parametrize("shape", [(500, 3), (1000, 40)], ids=str)
def test_chunks_of_more_rows(card, rng, monkeypatch, shape):
    """As where there are millions of values: so many rows that chunks grow, instead of their number."""
    from nanoemo.kernels import norm_cupy
    monkeypatch.setattr(norm_cupy, "BLOCKS", 4)
    check(*make(rng, shape), True)


@pytest.mark.parametrize("shape", [(2, 3), (200, 32), (4, 6, 6, 5)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_running_statistics(card, rng, shape, training):
    for dtype in TOLERANCE:
        arrays = [array.astype(dtype) for array in make(rng, shape)]
        wanted = [array.copy() for array in arrays]
        norm.batch_norm_forward_plain(*wanted, training, 0.3, 1e-3)

        def on_card():
            x, gamma, beta, mean, var = upload(*[array.copy() for array in arrays])
            twins()[0](x, gamma, beta, mean, var, training, 0.3, 1e-3)
            return mean, var

        same_numbers("batch_norm", on_card, wanted[3:], dtype, TOLERANCE[dtype])


def test_float32_variance_survives_a_large_mean(card, rng):
    """E[x²] − E[x]² in float32 is noise here, and the rounding of a mean is a tenth of the smaller deviation."""
    deviation = np.array([0.1, 0.1, 0.001, 0.001])
    x = (1000 + deviation * rng.normal(size=(16, 16, 16, 4))).astype(np.float32)
    one, zero, mean, var = upload(*np.array([[1] * 4, [0] * 4, [0] * 4, [1] * 4], np.float32))
    y, _ = twins()[0](*upload(x), one, zero, mean, var, True, 1.0, 0.0)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(backend.to_device(mean, "cpu"), exact.mean(axis=(0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(backend.to_device(var, "cpu"), exact.var(axis=(0, 1, 2), ddof=1), rtol=1e-5)
    expected = (exact - exact.mean(axis=(0, 1, 2))) / exact.std(axis=(0, 1, 2))
    off = (backend.to_device(y, "cpu") - expected) * deviation
    assert np.abs(off).max() < 5e-5                             # float32 resolves 6e-5 at 1000


def test_gradients_keep_their_digits_far_from_zero(card, rng):
    """A mean of a thousand standard deviations: float32 gradients still agree with float64's."""
    x = (rng.normal(size=(64, 6, 6, 4)) + 1000).astype(np.float32)
    dy = rng.normal(size=x.shape).astype(np.float32)
    gradients = []
    for dtype in (np.float32, np.float64):
        forward, backward = twins()
        one, zero, mean, var = upload(*np.array([[1] * 4, [0] * 4, [0] * 4, [1] * 4], dtype))
        y, cache = forward(*upload(x.astype(dtype)), one, zero, mean, var, True)
        gradients.append([backend.to_device(g, "cpu") for g in backward(*upload(dy.astype(dtype)), cache)])
    for got, exact in zip(*gradients):
        np.testing.assert_allclose(got, exact, atol=2e-4 * np.abs(exact).max())


def test_backward_keeps_to_the_statistics_of_its_forward(card, rng):
    """Running statistics that move between an evaluation forward and its backward change no gradient."""
    x, gamma, beta, mean, var = upload(*make(rng, (4, 3)))
    forward, backward = twins()
    _, cache = forward(x, gamma, beta, mean, var, False)
    before = [backend.to_device(g, "cpu") for g in backward(x, cache)]
    mean += 1
    var += 1
    for got, wanted in zip(backward(x, cache), before):
        np.testing.assert_array_equal(backend.to_device(got, "cpu"), wanted)


def test_views_are_read_right(card, rng):
    x, *vectors = make(rng, (4, 5, 6, 3))
    forward, backward = twins()
    results = []
    for turned in (backend.to_device(x, "cuda").transpose(2, 1, 0, 3), *upload(x.transpose(2, 1, 0, 3).copy())):
        y, cache = forward(turned, *upload(*vectors), True)
        results.append([backend.to_device(a, "cpu") for a in (y, *backward(turned, cache))])
    for got, wanted in zip(*results):
        np.testing.assert_array_equal(got, wanted)


def test_errors_are_numpys(card):
    forward = twins()[0]
    x, three, four = upload(np.zeros((2, 5, 3)), np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"x has 3 channels \(last axis of \(2, 5, 3\)\) but gamma has"):
        forward(x, four, three, three, three, True)
    with pytest.raises(ValueError, match=r"but running_var has shape \(4,\); it must be \(3,\)"):
        forward(x, three, three, three, four, True)
    with pytest.raises(ValueError, match=r"1 value for each channel, and training needs at least 2"):
        forward(x[:1, :1], three, three, three, three, True)
    with pytest.raises(ValueError, match="at least 2 axes"):
        forward(three, three, three, three, three, True)


def test_a_captured_step_moves_the_running_statistics_at_each_replay(card, rng):
    arrays = make(rng, (40, 3))
    on_card, dy = upload(*[array.copy() for array in arrays]), rng.normal(size=(40, 3))
    (forward, backward), (upstream,) = twins(), upload(dy)

    def step():
        y, cache = forward(*on_card, True)
        return y, *backward(upstream, cache), *on_card[3:]

    recorded = Recorded(card, step)
    norm.batch_norm_forward_plain(*arrays, True)                    # the step ran once before it was recorded
    for _ in range(2):
        wanted, cache = norm.batch_norm_forward_plain(*arrays, True)
        wanted = wanted, *norm.batch_norm_backward_plain(dy, cache), *arrays[3:]
        for got, expected in zip(recorded.launch(), wanted, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
