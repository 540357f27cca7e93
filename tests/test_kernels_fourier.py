"""Large windows, by way of frequencies, give what the definition of convolution gives."""
import numpy as np
import pytest

from nanoemo.kernels import conv, fourier, memory

# x, channels out, window, padding; even and odd periods, windows as large as the input, padding beyond the window
CASES = [((2, 16, 16, 6), 8, (13, 13), "same"), ((3, 21, 19, 3), 5, (7, 9), (3, 5)), ((1, 16, 16, 8), 2, (13, 13), 0),
         ((2, 9, 31, 6), 17, (5, 8), "same"), ((9, 6, 5, 8), 9, (6, 5), (5, 4)), ((1, 4, 4, 2), 3, (9, 9), 4),
         ((1, 12, 10, 1), 1, (12, 11), (3, 3)), ((1, 8, 8, 8), 8, (7, 7), 10), ((2, 1, 3, 3), 4, (9, 7), (20, 9)),
         ((2, 3, 4, 2), 3, (1, 1), 0), ((2, 5, 1, 2), 3, (3, 1), "same")]


@pytest.fixture
def always(monkeypatch):
    """Also where columns would be quicker, and minimal filtering."""
    monkeypatch.setattr(conv, "winograd_suits", lambda *_: False)
    monkeypatch.setattr(conv, "fourier_suits", lambda *_: True)


@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-14), (np.float32, 1e-6)])
@pytest.mark.parametrize("shape,outputs,window,padding", CASES)
def test_agrees_with_the_definition(rng, always, shape, outputs, window, padding, dtype, tolerance):
    x = rng.standard_normal(shape).astype(dtype)
    w = rng.standard_normal((*window, shape[3], outputs)).astype(dtype)
    b = rng.standard_normal(outputs).astype(dtype)
    y, cache = conv.conv2d_forward(x, w, b, 1, padding)
    exact = [a.astype(np.float64) for a in (x, w, b)]
    expected, plain_cache = conv.conv2d_forward_plain(*exact, 1, padding)
    assert y.dtype == dtype and y.flags.c_contiguous
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    dy = rng.standard_normal(y.shape).astype(dtype)
    for got, wanted in zip(conv.conv2d_backward(dy, cache), conv.conv2d_backward_plain(dy.astype(np.float64), plain_cache)):
        assert got.dtype == dtype and got.flags.c_contiguous
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("period", [(6, 8), (7, 9), (1, 1), (2, 5)])
def test_frequencies_are_those_of_the_fourier_transform(rng, period):
    planes = rng.standard_normal((3, *period, 2))
    found = fourier._to_frequencies(planes, period, (0, 0), memory.aligned)
    found = found.view(complex).reshape(period[1], period[0] // 2 + 1, 3, 2).transpose(2, 1, 0, 3)
    np.testing.assert_allclose(found, np.fft.fft2(planes, axes=(1, 2))[:, :period[0] // 2 + 1], atol=1e-12)
    back = np.empty_like(planes)
    fourier._from_frequencies(fourier._to_frequencies(planes, period, (0, 0), memory.aligned), period, (0, 0), back)
    np.testing.assert_allclose(back, planes, atol=1e-13)


def test_blocks_of_every_size_agree(rng, monkeypatch):
    x, w = rng.standard_normal((5, 22, 18, 4)), rng.standard_normal((7, 7, 4, 3))
    dy = rng.standard_normal((5, 22, 18, 3))
    pads = ((3, 3), (3, 3))
    results = []
    for block_bytes in (1, 50_000, 10**9):
        monkeypatch.setattr(fourier, "BLOCK_BYTES", block_bytes)
        results.append((fourier.fourier_correlate(x, w, None, pads), *fourier.fourier_gradients(dy, x, w, pads, (True, True))))
    for other in results[1:]:
        for got, wanted in zip(other, results[0]):
            np.testing.assert_allclose(got, wanted, atol=1e-11)


@pytest.mark.parametrize("needs", [(True, False), (False, True), (False, False)])
def test_only_the_gradients_that_are_asked_for(rng, needs):
    x, w, dy = rng.standard_normal((3, 9, 9, 2)), rng.standard_normal((7, 7, 2, 3)), rng.standard_normal((3, 9, 9, 3))
    both = fourier.fourier_gradients(dy, x, w, ((3, 3), (3, 3)), (True, True))
    for got, wanted, asked in zip(fourier.fourier_gradients(dy, x, w, ((3, 3), (3, 3)), needs), both, needs):
        assert np.array_equal(got, wanted) if asked else got is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_not_finite_stays_in_its_image(rng, always, bad):
    x, w = rng.standard_normal((3, 12, 12, 2), np.float32), rng.standard_normal((7, 7, 2, 3), np.float32)
    x[1, 5, 5, 0] = bad
    y, _ = conv.conv2d_forward(x, w, None, 1, "same")
    assert np.isfinite(y[[0, 2]]).all() and not np.isfinite(y[1, 2:9, 2:9]).any()


def test_what_goes_another_way():
    """Strides, narrow windows, many channels, a small window over one channel, few outputs."""
    def suits(w_shape, strides=(1, 1), size=48, images=32):
        return fourier.fourier_suits(w_shape, strides, (images, size, size, w_shape[2]), (size, size))

    assert not any([suits((13, 13, 8, 8), (1, 2)), suits((13, 3, 8, 8)), suits((13, 13, 64, 8)), suits((13, 13, 8, 64)),
                    suits((5, 5, 1, 32)), suits((7, 7, 1, 16)), suits((5, 5, 32, 8), size=1)])
    assert all([suits((13, 13, 8, 8)), suits((13, 13, 1, 8)), suits((7, 7, 8, 8)), suits((9, 9, 16, 16), size=12),
                suits((13, 13, 8, 8), images=1), suits((13, 13, 8, 8), size=128, images=8)])
