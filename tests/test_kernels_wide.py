"""Wide windows over few channels give what the definition of convolution gives."""
import numpy as np
import pytest

from nanoemo.kernels import conv, wide

# x, channels out, window, padding; sizes that tiles and pieces of 4 and 8 divide and do not divide
CASES = [((2, 16, 16, 6), 8, (13, 13), "same"), ((3, 21, 19, 3), 5, (7, 9), (3, 5)), ((1, 16, 16, 8), 2, (13, 13), 0),
         ((2, 9, 31, 6), 17, (5, 8), "same"), ((9, 6, 5, 8), 9, (6, 5), (5, 4)), ((1, 4, 4, 2), 3, (9, 9), 4),
         ((1, 12, 10, 1), 1, (12, 11), (3, 3)), ((1, 8, 8, 8), 8, (7, 7), 10), ((2, 1, 3, 3), 4, (9, 7), (20, 9))]


@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-12), (np.float32, 3e-5)])
@pytest.mark.parametrize("shape,outputs,window,padding", CASES)
def test_agrees_with_the_definition(rng, monkeypatch, shape, outputs, window, padding, dtype, tolerance):
    monkeypatch.setattr(conv, "wide_suits", lambda *_: True)            # also where columns would be quicker
    x = rng.standard_normal(shape).astype(dtype)
    w = rng.standard_normal((*window, shape[3], outputs)).astype(dtype)
    b = rng.standard_normal(outputs).astype(dtype)
    y, cache = conv.conv2d_forward(x, w, b, 1, padding)
    exact = [a.astype(np.float64) for a in (x, w, b)]
    expected, plain_cache = conv.conv2d_forward_plain(*exact, 1, padding)
    assert y.dtype == dtype and y.flags.c_contiguous
    scale = np.sqrt(w[..., 0].size)
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * scale)
    dy = rng.standard_normal(y.shape).astype(dtype)
    for got, wanted in zip(conv.conv2d_backward(dy, cache), conv.conv2d_backward_plain(dy.astype(np.float64), plain_cache)):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * max(scale, wanted.std()))


def test_blocks_of_every_size_agree(rng, monkeypatch):
    x, w = rng.standard_normal((5, 22, 18, 4)), rng.standard_normal((7, 7, 4, 3))
    dy = rng.standard_normal((5, 22, 18, 3))
    pads = ((3, 3), (3, 3))
    results = []
    for block_bytes, floor, blocks in ((1, 1, 1), (100_000, 1, 1), (10**9, 1, 7), (10**9, 10**9, 7)):
        monkeypatch.setattr(wide, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(wide, "MIN_BLOCK_BYTES", floor)
        monkeypatch.setattr(wide, "MIN_BLOCKS", blocks)
        results.append((wide.wide_correlate(x, w, None, pads), wide.wide_weight_gradient(dy, x, w.shape, pads, 3)))
    for y, dw in results[1:]:
        np.testing.assert_allclose(y, results[0][0], atol=1e-10)
        np.testing.assert_allclose(dw, results[0][1], atol=1e-9)


def test_what_goes_another_way():
    """Strides, narrow windows, many channels, a small window over one channel, outputs that fill their tiles badly."""
    for w_shape, strides, outputs in (((13, 13, 8, 8), (1, 2), (48, 48)), ((13, 3, 8, 8), (1, 1), (48, 48)),
                                      ((5, 5, 8, 8), (1, 1), (48, 48)), ((13, 13, 64, 8), (1, 1), (48, 48)),
                                      ((7, 7, 1, 32), (1, 1), (48, 48)), ((7, 7, 32, 7), (1, 1), (1, 1)),
                                      ((7, 7, 32, 32), (1, 1), (5, 5)), ((13, 13, 8, 8), (1, 1), (9, 9))):
        assert not wide.wide_suits(w_shape, strides, outputs)
    assert wide.wide_suits((13, 13, 8, 8), (1, 1), (48, 48)) and wide.wide_suits((13, 13, 8, 8), (1, 1), (16, 16))
