"""Convolution kernels: the definition, the fast version, and PyTorch say the same."""
import numpy as np
import pytest

from nanoemo.kernels import conv, conv_pool, fourier, threads, winograd

# (N, H, W, C), (kh, kw, O), stride, padding
CASES = [
    ((1, 1, 1, 1), (1, 1, 1), 1, "valid"),
    ((2, 5, 6, 3), (3, 3, 4), 1, "valid"),
    ((2, 5, 6, 3), (3, 3, 4), 1, "same"),
    ((1, 4, 4, 9), (4, 4, 2), 1, "valid"),          # kernel as large as the input
    ((3, 7, 5, 1), (3, 3, 8), 1, "same"),
    ((2, 9, 8, 2), (2, 3, 3), 2, "same"),
    ((2, 9, 8, 10), (2, 2, 3), (3, 4), "valid"),    # stride larger than the kernel
    ((2, 6, 7, 8), (5, 1, 3), 1, (2, 0)),
    ((1, 3, 3, 12), (1, 1, 5), 1, 2),               # more padding than the kernel reaches
    ((2, 8, 8, 16), (3, 3, 8), 1, "same"),
    ((5, 11, 10, 8), (3, 3, 16), 1, "valid"),
    ((2, 5, 5, 2), (3, 3, 2), 1, 1),
    ((3, 6, 7, 8), (3, 3, 1), 1, "same"),           # few channels out of many: the window comes after the product
    ((2, 7, 6, 9), (3, 2, 2), 1, (2, 1)),
    ((1, 2, 3, 4), (5, 3, 1), 1, "same"),           # … and taps that see padding alone
    ((2, 6, 7, 8), (6, 7, 2), 1, "valid"),
    ((1, 3, 2, 4), (2, 2, 1), 1, 4),                # more padding than the window reaches
]


def make(rng, shape, window, dtype=np.float64):
    kh, kw, o = window
    return (rng.standard_normal(shape).astype(dtype), rng.standard_normal((kh, kw, shape[3], o)).astype(dtype),
            rng.standard_normal(o).astype(dtype))


@pytest.mark.parametrize("shape,window,stride,padding", CASES)
@pytest.mark.parametrize("bias", [True, False])
def test_fast_equals_definition(rng, shape, window, stride, padding, bias):
    x, w, b = make(rng, shape, window)
    b = b if bias else None
    expected, plain_cache = conv.conv2d_forward_plain(x, w, b, stride, padding)
    y, cache = conv.conv2d_forward(x, w, b, stride, padding)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    for got, wanted in zip(conv.conv2d_backward(dy, cache), conv.conv2d_backward_plain(dy, plain_cache)):
        assert (got is None) == (wanted is None)
        if got is not None:
            np.testing.assert_allclose(got, wanted, atol=1e-11)


@pytest.mark.parametrize("way,shape,window,times", [
    ("winograd_suits", (8, 1, 84, 64), (1, 5, 32), 6), ("winograd_suits", (2, 24, 24, 64), (3, 3, 32), 12),
    ("winograd_suits", (2, 24, 24, 64), (5, 5, 32), 20), ("fourier_suits", (2, 24, 24, 8), (13, 13, 8), 2)])
def test_float32_error_stays_near_that_of_the_columns(rng, monkeypatch, whatever_it_saves, way, shape, window, times):
    x, w, _ = make(rng, shape, window)

    def error():
        y, _ = conv.conv2d_forward(x.astype(np.float32), w.astype(np.float32), None, 1, "same")
        return np.sqrt(((y - exact) ** 2).mean())

    exact, _ = conv.conv2d_forward(x, w, None, 1, "same")
    minimal = error()
    monkeypatch.setattr(conv, way, lambda *_: False)
    assert minimal < times * error()
    assert minimal < 1e-5 * exact.std()


@pytest.mark.parametrize("window,stride", [((3, 3, 2), (1, 2)), ((3, 3, 16), 1), ((7, 7, 8), 1)])     # a way each
def test_padding_beyond_the_window(rng, monkeypatch, whatever_it_saves, window, stride):
    """A row of outputs at a time, of which some look at padding alone."""
    for module, name in ((conv, "COLUMN_BYTES"), (winograd, "BLOCK_BYTES"), (winograd, "MIN_TILES"), (fourier, "BLOCK_BYTES")):
        monkeypatch.setattr(module, name, 1)
    x, w, _ = make(rng, (2, 5, 6, 16), window)
    expected, plain_cache = conv.conv2d_forward_plain(x, w, None, stride, (20, 9))
    y, cache = conv.conv2d_forward(x, w, None, stride, (20, 9))
    np.testing.assert_allclose(y, expected, atol=1e-11)
    dy = rng.standard_normal(y.shape)
    for got, wanted in zip(conv.conv2d_backward(dy, cache)[:2], conv.conv2d_backward_plain(dy, plain_cache)):
        np.testing.assert_allclose(got, wanted, atol=1e-10)


@pytest.mark.parametrize("shape,window,stride,padding", CASES)
def test_pytorch_says_the_same(rng, torch, shape, window, stride, padding):
    x, w, b = make(rng, shape, window)
    y, cache = conv.conv2d_forward(x, w, b, stride, padding)
    strides, pads = cache[3:]
    arrays = x.transpose(0, 3, 1, 2), np.ascontiguousarray(w.transpose(3, 2, 0, 1)), b     # it fails on some views
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in arrays)
    padded = torch.nn.functional.pad(tx, (*pads[1], *pads[0]))
    ty = torch.nn.functional.conv2d(padded, tw, tb, stride=strides)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    dx, dw, db = conv.conv2d_backward(dy, cache)
    np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 3, 1), atol=1e-11)
    np.testing.assert_allclose(dx, tx.grad.numpy().transpose(0, 2, 3, 1), atol=1e-11)
    np.testing.assert_allclose(dw, tw.grad.numpy().transpose(2, 3, 1, 0), atol=1e-10)
    np.testing.assert_allclose(db, tb.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("size,kernel,stride", [(48, 3, 1), (48, 2, 2), (47, 2, 2), (9, 3, 2), (10, 3, 2), (5, 5, 5)])
def test_same_padding_follows_tensorflow(rng, size, kernel, stride):
    """ceil(size / stride) outputs; an odd cell of padding goes to the end."""
    x = rng.standard_normal((1, size, 1, 1))
    y, cache = conv.conv2d_forward(x, np.ones((kernel, 1, 1, 1)), None, (stride, 1), "same")
    assert y.shape[1] == -(-size // stride)
    before, after = cache[4][0]
    assert after - before in (0, 1)


@pytest.mark.parametrize("shape,k,o,stride,padding", [((2, 9, 3), 3, 4, 1, "same"), ((1, 1, 1), 1, 1, 1, "valid"),
                                                     ((2, 10, 12), 5, 3, 2, "same"), ((3, 7, 8), 7, 2, 1, "valid"),
                                                     ((2, 8, 2), 2, 2, 3, (1, 2))])
def test_one_dimension(rng, torch, shape, k, o, stride, padding):
    x, w, b = rng.standard_normal(shape), rng.standard_normal((k, shape[2], o)), rng.standard_normal(o)
    y, cache = conv.conv1d_forward(x, w, b, stride, padding)
    expected, plain_cache = conv.conv1d_forward_plain(x, w, b, stride, padding)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    gradients = conv.conv1d_backward(dy, cache)
    for got, wanted in zip(gradients, conv.conv1d_backward_plain(dy, plain_cache)):
        np.testing.assert_allclose(got, wanted, atol=1e-11)
    tx, tw = torch.tensor(x.transpose(0, 2, 1), requires_grad=True), torch.tensor(w.transpose(2, 1, 0), requires_grad=True)
    ty = torch.nn.functional.conv1d(torch.nn.functional.pad(tx, cache[4][1]), tw, torch.tensor(b), stride=stride)
    ty.backward(torch.tensor(dy.transpose(0, 2, 1)))
    np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 1), atol=1e-11)
    np.testing.assert_allclose(gradients[0], tx.grad.numpy().transpose(0, 2, 1), atol=1e-11)
    np.testing.assert_allclose(gradients[1], tw.grad.numpy().transpose(2, 1, 0), atol=1e-11)


@pytest.mark.parametrize("shape", [(2, 23, 9, 8), (7, 5, 4, 8)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("outputs", [4, 300])           # weights that take less room than the columns, and more
def test_large_images_are_cut_into_row_blocks(rng, monkeypatch, shape, stride, outputs):
    """Blocks of rows and of images, the last one smaller, give what one block gives."""
    x, w, b = make(rng, shape, (3, 3, outputs))
    whole, cache = conv.conv2d_forward(x, w, b, stride, "same")
    dy = rng.standard_normal(whole.shape)
    wanted = conv.conv2d_backward(dy, cache)
    monkeypatch.setattr(conv, "COLUMN_BYTES", 9 * 9 * 8 * 8 * 4)
    cut, cache = conv.conv2d_forward(x, w, b, stride, "same")
    np.testing.assert_allclose(cut, whole, atol=1e-12)
    for got, expected in zip(conv.conv2d_backward(dy, cache), wanted):
        np.testing.assert_allclose(got, expected, atol=1e-11)


@pytest.mark.parametrize("largest, called", [(9 * 6 * 7 * 8, True), (9 * 6 * 7 * 8 - 1, False)])
def test_the_window_comes_after_the_product_unless_the_maps_are_too_large(rng, monkeypatch, largest, called):
    x, w, b = make(rng, (3, 6, 7, 8), (3, 3, 1))
    calls, by_taps = [], conv._correlate_by_taps
    monkeypatch.setattr(conv, "_correlate_by_taps", lambda *args: calls.append(1) or by_taps(*args))
    monkeypatch.setattr(conv, "COLUMN_BYTES", largest)
    y, _ = conv.conv2d_forward(x, w, b, 1, "same")
    np.testing.assert_allclose(y, conv.conv2d_forward_plain(x, w, b, 1, "same")[0], atol=1e-12)
    assert bool(calls) == called
    conv.conv2d_forward(x, w, b, 1, "valid")            # 42 cells for 20
    assert len(calls) == called


@pytest.mark.parametrize("channels, window", [(3, 4), (9, 2), (16, 3), (4, 7)])
def test_views_are_read_right(rng, whatever_it_saves, channels, window):
    """Transposed and strided arrays, whichever way the convolution goes."""
    x = rng.standard_normal((channels, 24, 13, 4)).transpose(3, 2, 1, 0)[:, :, ::2]
    w = rng.standard_normal((16, channels, window, 2 * window)).transpose(2, 3, 1, 0)[:, ::2]
    y, cache = conv.conv2d_forward(x, w, None, 1, "valid")
    expected, expected_cache = conv.conv2d_forward(x.copy(), w.copy(), None, 1, "valid")
    np.testing.assert_allclose(y, expected, atol=1e-12)
    dy = np.broadcast_to(rng.standard_normal(16), y.shape)
    for got, wanted in zip(conv.conv2d_backward(dy, cache)[:2], conv.conv2d_backward(dy.copy(), expected_cache)[:2]):
        np.testing.assert_allclose(got, wanted, atol=1e-11)


@pytest.mark.parametrize("shape,window,stride,padding", CASES)
def test_float32_stays_float32(rng, shape, window, stride, padding):
    x, w, b = make(rng, shape, window, np.float32)
    y, cache = conv.conv2d_forward(x, w, b, stride, padding)
    exact, _ = conv.conv2d_forward_plain(*(a.astype(np.float64) for a in (x, w, b)), stride, padding)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=1e-5, atol=3e-5 * exact.std())        # as in test_kernels_winograd.py
    assert [g.dtype for g in conv.conv2d_backward(np.ones_like(y), cache)] == [np.float32] * 3


def test_only_wanted_gradients_are_computed(rng):
    x, w, b = make(rng, (2, 5, 5, 3), (3, 3, 4))
    y, cache = conv.conv2d_forward(x, w, b, 1, "valid")
    dx, dw, db = conv.conv2d_backward(np.ones_like(y), cache, needs=(False, True, False))
    assert dx is None and db is None and dw.shape == w.shape


# images and weights that go each way, and the module that cuts them into blocks
WAYS = {"columns": (conv, (12, 17, 15, 4), (4, 4, 4, 8)), "minimal filtering": (winograd, (12, 17, 15, 16), (3, 3, 16, 16)),
        "frequencies": (fourier, (12, 20, 16, 4), (9, 9, 4, 8)), "in one go": (conv_pool, (12, 17, 15, 3), (4, 4, 3, 8)),
        "pooled in tiles": (winograd, (12, 17, 15, 16), (3, 3, 16, 16))}


@pytest.mark.parametrize("way", WAYS)
def test_same_bits_on_any_number_of_threads(rng, monkeypatch, whatever_it_saves, way):
    module, x_shape, w_shape = WAYS[way]
    for name in [name for name in vars(module) if name.endswith("BYTES")]:
        monkeypatch.setattr(module, name, 1 << 13)
    monkeypatch.setattr(winograd, "MIN_TILES", 1)
    x, w = rng.standard_normal(x_shape, np.float32), rng.standard_normal(w_shape, np.float32)
    results, helped, workers, tiles = [], [], threads.workers, []
    correlate = conv_pool.winograd_correlate
    monkeypatch.setattr(conv_pool, "winograd_correlate", lambda *arguments: tiles.append(True) or correlate(*arguments))
    monkeypatch.setattr(threads, "workers", lambda: helped.append(True) or workers())
    before = threads.get_num_threads()
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            if way in ("in one go", "pooled in tiles"):
                y, cache = conv_pool.conv2d_relu_max_pool2d_forward(x, w, None, 1, "same", 2)
                assert (len(tiles) > 0) == (way == "pooled in tiles")
                results.append([y, conv_pool.conv2d_relu_max_pool2d_backward(y, cache, (False, True, False))[1]])
            else:
                y, cache = conv.conv2d_forward(x, w, None, 1, "same")
                results.append([y, *conv.conv2d_backward(y, cache)[:2]])
    finally:
        threads.set_num_threads(before)
    assert helped, "nothing was cut into blocks, so nothing was compared"
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


def test_errors_say_what_to_do():
    x, w = np.zeros((32, 48, 48, 3)), np.zeros((3, 3, 1, 8))
    with pytest.raises(ValueError, match=r"conv2d: x has 3 channels \(last axis of \(32, 48, 48, 3\)\) but w expects 1"):
        conv.conv2d_forward(x, w, None, 1, "valid")
    with pytest.raises(ValueError, match=r"expected x \(N, H, W, C\)"):
        conv.conv2d_forward(x[0], w, None, 1, "valid")
    with pytest.raises(ValueError, match=r"b has shape \(3,\) but w makes 8 channels"):
        conv.conv2d_forward(x[..., :1], w, np.zeros(3), 1, "valid")
    with pytest.raises(ValueError, match="stride must be a positive whole number"):
        conv.conv2d_forward(x[..., :1], w, None, 0, "same")
    with pytest.raises(ValueError, match="larger than the padded input"):
        conv.conv2d_forward(np.zeros((1, 2, 2, 1)), w, None, 1, "valid")
    with pytest.raises(ValueError, match='expected "valid", "same"'):
        conv.conv2d_forward(x[..., :1], w, None, 1, "full")
    with pytest.raises(ValueError, match=r"conv1d: expected x \(N, T, C\)"):
        conv.conv1d_forward(x, w, None, 1, "valid")
