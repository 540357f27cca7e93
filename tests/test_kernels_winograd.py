"""Winograd's way gives what the definition of convolution gives."""
import numpy as np
import pytest

from nanoemo.kernels import conv, winograd


@pytest.mark.parametrize("m,r", [(1, 1), (1, 3), (2, 3), (3, 3), (4, 3), (1, 5), (2, 5), (3, 5), (4, 5)])
def test_transforms_filter_a_line(rng, m, r):
    at, g, bt = winograd.transforms(m, r)
    d, taps = rng.standard_normal(m + r - 1), rng.standard_normal(r)
    np.testing.assert_allclose(at @ ((g @ taps) * (bt @ d)), np.correlate(d, taps, "valid"), atol=1e-12)


# images, height and width, window, padding; sizes that tiles of 4, 3, 2 and 1 divide and do not divide
CASES = [((2, 8, 8), (3, 3), 0), ((1, 11, 10), (3, 3), 1), ((3, 3, 3), (3, 3), 0), ((2, 7, 9), (5, 5), 2),
         ((1, 5, 5), (5, 5), 0), ((2, 10, 16), (5, 5), 2), ((3, 1, 21), (1, 5), (0, 2)), ((2, 6, 13), (3, 5), (2, 3)),
         ((2, 1, 12), (1, 3), (0, 1)), ((2, 9, 4), (5, 1), (3, 0)), ((1, 1, 1), (3, 3), 1), ((13, 6, 6), (3, 3), 1)]


@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-12), (np.float32, 3e-5)])
@pytest.mark.parametrize("shape,window,padding", CASES)
def test_agrees_with_the_definition(rng, shape, window, padding, dtype, tolerance):
    x = rng.standard_normal((*shape, 16)).astype(dtype)
    w = rng.standard_normal((*window, 16, 17)).astype(dtype)
    b = rng.standard_normal(17).astype(dtype)
    assert winograd.winograd_suits(w.shape, (1, 1))
    y, cache = conv.conv2d_forward(x, w, b, 1, padding)
    exact = [a.astype(np.float64) for a in (x, w, b)]
    expected, plain_cache = conv.conv2d_forward_plain(*exact, 1, padding)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * expected.std())
    dy = rng.standard_normal(y.shape).astype(dtype)
    for got, wanted in zip(conv.conv2d_backward(dy, cache), conv.conv2d_backward_plain(dy.astype(np.float64), plain_cache)):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * wanted.std())


def test_blocks_of_every_size_agree(rng, monkeypatch):
    """Few tiles at a time or all at once: the same outputs, the last block smaller than the others."""
    x, w = rng.standard_normal((5, 22, 18, 16)), rng.standard_normal((3, 3, 16, 16))
    dy = rng.standard_normal((5, 22, 18, 16))
    results = []
    for block_bytes, tiles in ((1, 1), (100_000, 4), (10**9, 32)):
        monkeypatch.setattr(winograd, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(winograd, "MIN_TILES", tiles)
        results.append((winograd.winograd_correlate(x, w, None, ((1, 1), (1, 1))),
                        winograd.winograd_weight_gradient(dy, x, w.shape, ((1, 1), (1, 1)), 3)))
    for y, dw in results[1:]:
        np.testing.assert_allclose(y, results[0][0], atol=1e-10)
        np.testing.assert_allclose(dw, results[0][1], atol=1e-9)


def test_tiles_that_need_no_border_are_read_in_place(rng, monkeypatch):
    """Three tiles of four outputs exactly, one a block: those of later rows and images, too, begin at their own pixel."""
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
    monkeypatch.setattr(winograd, "MIN_TILES", 1)
    x, w = rng.standard_normal((2, 14, 14, 16)), rng.standard_normal((3, 3, 16, 16))
    y = winograd.winograd_correlate(x, w, None, ((0, 0), (0, 0)))
    np.testing.assert_allclose(y, conv.conv2d_forward_plain(x, w, None, 1, "valid")[0], atol=1e-10)


def test_few_channels_and_strides_go_the_other_way():
    assert not winograd.winograd_suits((3, 3, 1, 32), (1, 1))
    assert not winograd.winograd_suits((3, 3, 32, 32), (2, 1))
    assert not winograd.winograd_suits((13, 13, 32, 32), (1, 1))
    assert not winograd.winograd_suits((1, 1, 32, 32), (1, 1))
    assert winograd.winograd_suits((3, 3, 8, 16), (1, 1)) and not winograd.winograd_suits((3, 3, 7, 16), (1, 1))
    assert winograd.winograd_suits((1, 5, 16, 16), (1, 1)) and not winograd.winograd_suits((1, 5, 8, 16), (1, 1))
