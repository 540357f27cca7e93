"""Dropout kernels: the rate, the scale, and a mask that depends on seed, position and p alone."""
import numpy as np
import pytest

from nanoemo.kernels import dropout
from nanoemo.kernels.threads import get_num_threads, set_num_threads

# the last is two blocks
SHAPES = [(0,), (1,), (15,), (17,), (3, 5), (2, 7, 7, 3), (700, 600), (1, 131072), (5, 52429)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_fast_equals_definition(rng, shape, p):
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
    y, cache = dropout.dropout_forward(x, p, seed=3)
    expected, plain_cache = dropout.dropout_forward_plain(x, p, seed=3)
    np.testing.assert_allclose(y, expected, rtol=1e-14)
    dx = dropout.dropout_backward(dy, cache)
    np.testing.assert_allclose(dx, dropout.dropout_backward_plain(dy, plain_cache), rtol=1e-14)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.8])
def test_rate_and_scale(p):
    n = 1_000_000
    y, _ = dropout.dropout_forward(np.ones(n, np.float32), p, seed=11)
    dropped = np.count_nonzero(y == 0) / n
    assert abs(dropped - p) < 5 * np.sqrt(p * (1 - p) / n)      # five standard deviations
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p), rtol=1e-6)


def test_gradient_flows_where_values_did(rng):
    x = rng.uniform(1, 2, (50, 60))
    y, cache = dropout.dropout_forward(x, 0.3, seed=5)
    np.testing.assert_array_equal(dropout.dropout_backward(x, cache), y)     # linear in x


def test_mask_depends_on_seed_not_on_threads_or_type():
    before, masks = get_num_threads(), []
    try:
        for threads, dtype in ((1, np.float32), (3, np.float64)):
            set_num_threads(threads)
            masks.append(dropout.dropout_forward(np.ones((9, 100_000), dtype), 0.5, seed=1)[0] != 0)
    finally:
        set_num_threads(before)
    np.testing.assert_array_equal(*masks)
    other = dropout.dropout_forward(np.ones((9, 100_000)), 0.5, seed=2)[0] != 0
    assert abs((masks[0] == other).mean() - 0.5) < 0.01


def test_the_mask_is_known():
    """The published Philox4x64-10: a change of the mask would change every run that was seeded before."""
    y, _ = dropout.dropout_forward(np.ones(16), 0.5, seed=0)
    # of counter (1, 0, 0, 0) and key (0, 0): four words, each four times 16 bits, the lowest first
    words = (0x02f4ba6408e4d89b, 0x3dd62b0b9ca8c5b2, 0x1c8667a55d902e79, 0x907d7a052fd5b4dc)
    bits = [word >> shift & 0xffff for word in words for shift in (0, 16, 32, 48)]
    np.testing.assert_array_equal(y != 0, [b >= 32768 for b in bits])


@pytest.mark.parametrize("block", [16, 48, 4096])
def test_mask_does_not_depend_on_how_the_work_is_cut(monkeypatch, block):
    x = np.ones(10_007)
    expected, _ = dropout.dropout_forward(x, 0.3, seed=2**64 - 1)
    monkeypatch.setattr(dropout, "BLOCK", block)
    np.testing.assert_array_equal(dropout.dropout_forward(x, 0.3, seed=2**64 - 1)[0], expected)


def test_parts_of_the_mask_are_unlike():
    parts = (dropout.dropout_forward(np.ones(4 * dropout.BLOCK), 0.5, seed=0)[0] != 0).reshape(4, dropout.BLOCK)
    for a in range(4):
        for b in range(a):
            assert abs((parts[a] == parts[b]).mean() - 0.5) < 0.01


@pytest.mark.parametrize("seed", [-1, 2**64])
@pytest.mark.parametrize("forward", [dropout.dropout_forward, dropout.dropout_forward_plain])
def test_seed_outside_the_range(forward, seed):
    with pytest.raises(OverflowError):
        forward(np.ones(3), 0.5, seed)


def test_nothing_dropped_is_the_identity(rng):
    x = rng.standard_normal((4, 4))
    y, cache = dropout.dropout_forward(x, 0, seed=0)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dropout.dropout_backward(x, cache), x)


def test_float32_stays_float32(rng):
    y, cache = dropout.dropout_forward(rng.standard_normal((4, 4), dtype=np.float32), 0.5, seed=0)
    assert y.dtype == dropout.dropout_backward(y, cache).dtype == np.float32
    y, cache = dropout.dropout_forward_plain(y, 0.5, seed=0)
    assert y.dtype == dropout.dropout_backward_plain(y, cache).dtype == np.float32


def test_views_are_read_right(rng):
    x = rng.standard_normal((6, 8)).T
    y, _ = dropout.dropout_forward(x, 0.5, 1)
    np.testing.assert_array_equal(y, dropout.dropout_forward(x.copy(), 0.5, 1)[0])


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan"), "half"])
@pytest.mark.parametrize("forward", [dropout.dropout_forward, dropout.dropout_forward_plain])
def test_p_outside_the_range(forward, p):
    with pytest.raises(ValueError, match="dropout: p must be at least 0 and below 1"):
        forward(np.ones(3), p, 0)
