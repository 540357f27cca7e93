"""Winograd's way gives what the definition of convolution gives."""
import numpy as np
import pytest

from nanoemo.kernels import conv, conv_pool, winograd
from nanoemo.kernels.pool import relu_max_pool2d_forward


@pytest.mark.parametrize("m,r", [(1, 1), (1, 3), (2, 3), (3, 3), (4, 3), (5, 3), (6, 3), (1, 5), (2, 5), (3, 5), (4, 5)])
def test_transforms_filter_a_line(rng, m, r):
    at, g, bt = winograd.transforms(m, r)
    d, taps = rng.standard_normal(m + r - 1), rng.standard_normal(r)
    np.testing.assert_allclose(at @ ((g @ taps) * (bt @ d)), np.correlate(d, taps, "valid"), atol=1e-12)


# images, height and width, window, padding; sizes that tiles of 4, 3, 2 and 1 divide and do not divide
CASES = [((2, 8, 8), (3, 3), 0), ((1, 11, 10), (3, 3), 1), ((3, 3, 3), (3, 3), 0), ((2, 7, 9), (5, 5), 2),
         ((1, 5, 5), (5, 5), 0), ((2, 10, 16), (5, 5), 2), ((3, 1, 21), (1, 5), (0, 2)), ((2, 6, 13), (3, 5), (2, 3)),
         ((2, 1, 12), (1, 3), (0, 1)), ((2, 9, 4), (5, 1), (3, 0)), ((1, 1, 1), (3, 3), 1), ((13, 6, 6), (3, 3), 1)]


def use_tiles(monkeypatch, tile):
    """Tiles of this many outputs (height, width), however few tiles; no more than there are, and than the points suffice for."""
    def tile_size(images, outputs, window, pool=(1, 1)):
        return tuple(min(m, o, len(winograd.POINTS) + 2 - r) if r > 1 else 1 for m, o, r in zip(tile, outputs, window))

    monkeypatch.setattr(winograd, "tile_size", tile_size)


@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-14), (np.float32, 5e-6)])
@pytest.mark.parametrize("tile", [(1, 4), (2, 2), (3, 3), (4, 4), (4, 3), (5, 5), (6, 5), (6, 6)])
@pytest.mark.parametrize("shape,window,padding", CASES)
def test_tiles_of_every_size_agree_with_the_definition(rng, monkeypatch, whatever_it_saves, shape, window, padding, tile, dtype,
                                                       tolerance):
    use_tiles(monkeypatch, tile)
    x = rng.standard_normal((*shape, 16)).astype(dtype)
    w = rng.standard_normal((*window, 16, 17)).astype(dtype)
    b = rng.standard_normal(17).astype(dtype)
    y, cache = conv.conv2d_forward(x, w, b, 1, padding)
    exact = [a.astype(np.float64) for a in (x, w, b)]
    expected, plain_cache = conv.conv2d_forward_plain(*exact, 1, padding)
    assert y.dtype == dtype
    assert distance(y, expected) < tolerance
    dy = rng.standard_normal(y.shape).astype(dtype)
    for got, wanted in zip(conv.conv2d_backward(dy, cache), conv.conv2d_backward_plain(dy.astype(np.float64), plain_cache)):
        assert got.dtype == dtype
        assert distance(got, wanted) < tolerance


def distance(got, wanted):
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


def test_blocks_of_every_size_agree(rng, monkeypatch):
    """Few tiles at a time or all at once: the same outputs, the last block smaller than the others."""
    use_tiles(monkeypatch, (4, 4))
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
    use_tiles(monkeypatch, (4, 4))
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
    monkeypatch.setattr(winograd, "MIN_TILES", 1)
    x, w = rng.standard_normal((2, 14, 14, 16)), rng.standard_normal((3, 3, 16, 16))
    y = winograd.winograd_correlate(x, w, None, ((0, 0), (0, 0)))
    np.testing.assert_allclose(y, conv.conv2d_forward_plain(x, w, None, 1, "valid")[0], atol=1e-10)


@pytest.mark.parametrize("pool, window", [((2, 2), (3, 3)), ((3, 3), (3, 3)), ((1, 2), (3, 3)), ((4, 1), (3, 3)),
                                          ((2, 2), (5, 5)), ((1, 3), (1, 5)), ((2, 1), (3, 1)), ((1, 1), (3, 3))])
@pytest.mark.parametrize("block_bytes", [1, 20_000, 10**9])
def test_tiles_are_pooled(rng, monkeypatch, whatever_it_saves, pool, window, block_bytes):
    """As if ReLU and pooling had come after: rows left over, windows with nothing positive, with ties and with a NaN."""
    monkeypatch.setattr(winograd, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(winograd, "MIN_TILES", 1)
    x, w, b = rng.standard_normal((3, 15, 18, 4)), rng.standard_normal((*window, 4, 6)), rng.standard_normal(6)
    x[1], b[0] = 0.0, -1e3
    pads = tuple((size // 2, size // 2) for size in window)
    assert winograd.winograd_suits(w.shape, (1, 1), 3, (15, 18), pool)
    y, place = winograd.winograd_correlate(x, w, b, pads, pool)
    expected, (places, _) = relu_max_pool2d_forward(conv.conv2d_forward_plain(x, w, b, 1, "same")[0], pool)
    np.testing.assert_allclose(y, expected, atol=1e-10)
    np.testing.assert_array_equal(place, places)
    assert place.dtype == places.dtype
    x[2, 8, 8, 1] = np.nan
    y, _ = winograd.winograd_correlate(x, w, b, pads, pool)
    assert np.isnan(y[2, 8 // pool[0], 8 // pool[1]]).all() and np.isfinite(y[:2]).all()


def test_what_is_pooled_is_never_written_unpooled(rng, monkeypatch):
    """Where users meet it: njoku.cnn's second layer."""
    monkeypatch.setattr(conv_pool, "conv2d_forward", None)          # it is not called
    x, w = rng.standard_normal((32, 48, 48, 32), np.float32), rng.standard_normal((3, 3, 32, 64), np.float32)
    y, _ = conv_pool.conv2d_relu_max_pool2d_forward(x, w, None, 1, "valid", 2)
    assert y.shape == (32, 23, 23, 64) and y.dtype == np.float32


@pytest.mark.parametrize("window, strides", [((3, 3, 64, 64), (2, 1)), ((13, 13, 64, 64), (1, 1)), ((1, 1, 64, 64), (1, 1))])
def test_strides_and_other_windows_go_the_other_way(whatever_it_saves, window, strides):
    assert winograd.winograd_suits((3, 3, 64, 64), (1, 1), 32, (24, 24))
    assert not winograd.winograd_suits(window, strides, 32, (24, 24))


@pytest.mark.parametrize("window, images, outputs", [((3, 3, 32, 64), 32, (46, 46)), ((3, 3, 64, 128), 32, (8, 8)),
                                                     ((5, 5, 64, 64), 1, (24, 24)), ((1, 5, 256, 128), 32, (1, 41))])
def test_it_is_used_where_it_saves_much(window, images, outputs):
    assert winograd.winograd_suits(window, (1, 1), images, outputs)
    assert not winograd.winograd_suits((*window[:2], 8, 8), (1, 1), images, outputs)        # few channels
    assert not winograd.winograd_suits(window, (1, 1), 1, (min(outputs[0], 2), 2))          # few outputs


def test_the_definition_is_met_where_it_is_used(rng):
    """As users meet it: nothing patched."""
    x, w, b = rng.standard_normal((2, 33, 35, 64)), rng.standard_normal((3, 3, 64, 64)), rng.standard_normal(64)
    assert winograd.winograd_suits(w.shape, (1, 1), 2, (33, 35))
    y, _ = conv.conv2d_forward(x, w, b, 1, "same")
    corner = conv.conv2d_forward_plain(x[:1, :6, -6:], w, b, 1, "same")[0]
    np.testing.assert_allclose(y[:1, :5, -5:], corner[:, :5, 1:], atol=1e-11)
