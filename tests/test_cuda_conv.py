"""conv_cupy.py and conv.cu against the definitions in conv.py."""
import numpy as np
import pytest

from nanoemo import backend, kernels
from twins import check_pair

# (N, H, W, C), (kh, kw, O), stride, padding
DIRECT = [
    ((2, 5, 6, 3), (3, 3, 4), 1, "valid"),
    ((3, 7, 5, 1), (3, 3, 8), 1, "same"),
    ((1, 5, 9, 1), (3, 5, 33), (2, 3), "same"),     # a warp and one channel
    ((2, 9, 8, 2), (2, 3, 3), 2, "same"),
    ((2, 9, 8, 4), (2, 2, 3), (3, 4), "valid"),     # stride larger than the kernel
    ((1, 3, 3, 12), (1, 1, 5), 1, 2),               # more padding than the kernel reaches
    ((2, 7, 6, 1), (2, 3, 2), 2, (1, 2)),
]
BY_COLUMNS = [
    ((2, 5, 6, 5), (3, 3, 4), 1, "valid"),
    ((2, 5, 4, 8), (3, 3, 16), 1, "same"),          # four channels at a time
    ((1, 4, 4, 64), (1, 3, 33), 1, "same"),
    ((2, 9, 8, 10), (2, 2, 3), (3, 4), "valid"),
    ((2, 9, 7, 12), (2, 3, 50), 2, "same"),         # more outputs than a row of the window has numbers
    ((2, 6, 5, 8), (5, 1, 3), 1, (2, 0)),
    ((1, 3, 4, 9), (3, 3, 2), 2, 3),
]
THEIR_OWN_COLUMNS = [
    ((1, 1, 1, 1), (1, 1, 1), 1, "valid"),
    ((2, 3, 5, 7), (1, 1, 6), 1, "same"),
    ((3, 4, 4, 9), (4, 4, 2), 1, "valid"),          # kernel as large as the input
    ((2, 2, 3, 3), (2, 3, 4), 2, "valid"),
]


def make(rng, shape, window):
    *kernel, outputs = window
    return rng.normal(size=shape), rng.normal(size=(*kernel, shape[-1], outputs)), rng.normal(size=outputs)


@pytest.mark.parametrize("shape, window, stride, padding", DIRECT + BY_COLUMNS + THEIR_OWN_COLUMNS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_conv2d(card, rng, shape, window, stride, padding, bias):
    x, w, b = make(rng, shape, window)
    check_pair("conv2d", x, w, b if bias else None, stride, padding)


@pytest.mark.parametrize("shape, window, stride, padding", [
    ((1, 1, 1), (1, 1), 1, "valid"), ((2, 9, 3), (3, 4), 1, "same"), ((2, 10, 12), (5, 3), 2, "same"),
    ((3, 7, 8), (7, 2), 1, "valid"), ((2, 8, 2), (2, 2), 3, (1, 2)), ((2, 33, 16), (3, 40), 1, "valid")], ids=str)
def test_conv1d(card, rng, shape, window, stride, padding):
    check_pair("conv1d", *make(rng, shape, window), stride, padding)


def test_more_columns_than_an_int_can_number_are_refused(card, monkeypatch):
    from nanoemo.kernels import conv_cupy

    monkeypatch.setattr(conv_cupy, "LARGEST_INT", 8 * 8 * 25 * 3 - 1)
    x, w = card.zeros((2, 12, 12, 3)), card.zeros((5, 5, 3, 1))
    with pytest.raises(ValueError, match="8 × 8 windows of 75 numbers, for one image, are more than an int can number"):
        conv_cupy.conv2d_forward(x, w, None, 1, "valid")
    monkeypatch.setattr(conv_cupy, "LARGEST_INT", 8 * 8 * 25 * 3)
    assert conv_cupy.conv2d_forward(x, w, None, 1, "valid")[0].shape == (2, 8, 8, 1)


@pytest.mark.parametrize("shape", [(5, 4, 4, 8), (5, 4, 4, 2)], ids=["columns", "direct"])
def test_a_batch_cut_into_chunks(card, rng, monkeypatch, shape):
    """Two images a chunk in float64, four in float32; in the end one is left."""
    from nanoemo.kernels import conv_cupy
    monkeypatch.setattr(conv_cupy, "COLUMN_BYTES", 2 * 4 * 4 * 9 * shape[3] * 8)
    check_pair("conv2d", *make(rng, shape, (3, 3, 4)), 1, "same")


@pytest.mark.parametrize("shape", [(2, 5, 5, 8), (2, 5, 5, 2)], ids=["columns", "direct"])
def test_only_the_gradients_asked_for(card, rng, shape):
    arrays = make(rng, shape, (3, 3, 4))
    for needs in [(False, True, True), (True, False, True), (True, True, False), (False, False, False)]:
        check_pair("conv2d", *arrays, 1, "valid", needs=needs)


def test_views(card, rng):
    """Channels by fours at an address that is not a multiple of 16, arrays out of order, a dy that is broadcast."""
    x, w, b = make(rng, (2, 4, 5, 8), (3, 3, 4))
    forward, backward = kernels.find("conv2d_forward", "cuda"), kernels.find("conv2d_backward", "cuda")
    y, cache = kernels.find("conv2d_forward_plain")(x, w, b, 1, "same")
    wanted = y, *kernels.find("conv2d_backward_plain")(np.full(y.shape, 0.5), cache)

    shifted = backend.to_device(np.concatenate([[0.0], x.ravel()]), "cuda")[1:].reshape(x.shape)
    turned = backend.to_device(x.transpose(2, 1, 0, 3).copy(), "cuda").transpose(2, 1, 0, 3)
    w_turned = backend.to_device(w.transpose(3, 0, 1, 2).copy(), "cuda").transpose(1, 2, 3, 0)
    for images in (shifted, turned):
        y, cache = forward(images, w_turned, backend.to_device(b, "cuda"), 1, "same")
        dy = card.broadcast_to(backend.to_device(np.array(0.5), "cuda"), y.shape)
        for ours, theirs in zip((y, *backward(dy, cache)), wanted):
            np.testing.assert_allclose(backend.to_device(ours, "cpu"), theirs, rtol=1e-10, atol=1e-10)


def test_float32_sums_over_many_rows(card, rng):
    """db and dw of 40 000 positions are as accurate as a sum in parts can be."""
    dy = (1 + rng.random(size=(1, 200, 200, 2))).astype(np.float32)
    shapes = (1, 200, 200, 1), (1, 1, 1, 2), (2,)
    x, w, b = (backend.to_device(np.ones(shape, np.float32), "cuda") for shape in shapes)
    _, cache = kernels.find("conv2d_forward", "cuda")(x, w, b, 1, "valid")
    _, dw, db = kernels.find("conv2d_backward", "cuda")(backend.to_device(dy, "cuda"), cache)
    exact = dy.sum(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(backend.to_device(db, "cpu"), exact, rtol=1e-6)
    np.testing.assert_allclose(backend.to_device(dw, "cpu")[0, 0, 0], exact, rtol=1e-5)


def test_errors_are_those_of_the_cpu(card):
    def arrays(*shapes):
        return [backend.to_device(np.zeros(shape), "cuda") for shape in shapes]

    conv1d, conv2d = kernels.find("conv1d_forward", "cuda"), kernels.find("conv2d_forward", "cuda")
    with pytest.raises(ValueError, match=r"conv2d: x has 3 channels \(last axis of \(2, 8, 8, 3\)\) but w expects 1"):
        conv2d(*arrays((2, 8, 8, 3), (3, 3, 1, 8)), None, 1, "valid")
    with pytest.raises(ValueError, match=r"b has shape \(3,\) but w makes 8 channels"):
        conv2d(*arrays((2, 8, 8, 1), (3, 3, 1, 8), (3,)), 1, "valid")
    with pytest.raises(ValueError, match="larger than the padded input"):
        conv2d(*arrays((1, 2, 2, 1), (3, 3, 1, 8)), None, 1, "valid")
    with pytest.raises(ValueError, match=r"conv1d: expected x \(N, T, C\)"):
        conv1d(*arrays((1, 2, 2, 1), (3, 1, 8)), None, 1, "valid")
