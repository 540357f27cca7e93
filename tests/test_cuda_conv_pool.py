"""conv_pool_cupy.py against the definitions in conv_pool.py."""
import numpy as np
import pytest

from nanoemo import backend, kernels
from twins import Recorded, check_pair

# (N, H, W, C), (kh, kw, O), stride, padding, window of the pooling and its padding
CASES = [
    ((1, 1, 1, 1), (1, 1, 1), 1, "valid", 1, "valid"),
    ((2, 8, 8, 1), (3, 3, 8), 1, "valid", 2, "valid"),
    ((2, 8, 9, 1), (3, 3, 33), 1, "same", 2, "valid"),       # a column that no window of the pooling covers
    ((3, 7, 6, 5), (3, 3, 4), 1, "same", (2, 3), "valid"),
    ((2, 9, 8, 8), (2, 3, 6), 2, "same", 2, "valid"),
    ((2, 6, 6, 8), (3, 3, 4), 1, "valid", 4, "valid"),       # the window is all of the convolution's output
    ((2, 4, 6, 6), (1, 1, 3), 1, "valid", 2, "valid"),
    ((2, 8, 6, 1), (3, 3, 4), 1, "same", 2, "same"),
    ((2, 9, 7, 1), (3, 3, 4), 1, "same", 2, "same"),
]


def make(rng, shape, window, bias=0.0):
    *kernel, outputs = window
    return (rng.normal(size=shape), rng.normal(size=(*kernel, shape[-1], outputs)), bias + rng.normal(size=outputs))


@pytest.mark.parametrize("shape, window, stride, padding, pool, around", CASES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_conv2d_relu_max_pool2d(card, rng, shape, window, stride, padding, pool, around, bias):
    x, w, b = make(rng, shape, window)
    check_pair("conv2d_relu_max_pool2d", x, w, b if bias else None, stride, padding, pool, around)


def test_a_bias_that_lets_little_through(card, rng):
    check_pair("conv2d_relu_max_pool2d", *make(rng, (2, 8, 8, 2), (3, 3, 4), bias=-6.0), 1, "same", 2)
    check_pair("conv2d_relu_max_pool2d", *make(rng, (2, 8, 8, 2), (3, 3, 4), bias=-1e3), 1, "same", 2)


def test_only_the_gradients_asked_for(card, rng):
    arrays = make(rng, (2, 6, 6, 3), (3, 3, 4))
    for needs in [(False, True, True), (True, False, True), (True, True, False)]:
        check_pair("conv2d_relu_max_pool2d", *arrays, 1, "valid", 2, needs=needs)


def test_of_equal_cells_the_first_gets_the_gradient(card, rng):
    """Small whole numbers: no sum is rounded, and in most windows several cells are equal."""
    x, w, b = (rng.integers(-1, 2, shape).astype(float) for shape in ((2, 9, 9, 1), (3, 2, 1, 4), (4,)))
    check_pair("conv2d_relu_max_pool2d", x, w, b, 1, "valid", 2)


def test_a_captured_step_gives_the_same_bits(card, rng):
    x, w, b = (backend.to_device(a.astype(np.float32), "cuda") for a in make(rng, (3, 8, 8, 5), (3, 3, 4)))

    def step():
        y, cache = kernels.find("conv2d_relu_max_pool2d_forward", "cuda")(x, w, b, 1, "same", 2)
        return y, *kernels.find("conv2d_relu_max_pool2d_backward", "cuda")(y, cache)

    wanted = [backend.to_device(result, "cpu") for result in step()]
    for ours, theirs in zip(Recorded(card, step).launch(), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_errors_are_those_of_the_cpu(card):
    x, w = (backend.to_device(np.zeros(shape), "cuda") for shape in ((1, 4, 4, 1), (3, 3, 1, 2)))
    forward = kernels.find("conv2d_relu_max_pool2d_forward", "cuda")
    with pytest.raises(ValueError, match="conv2d: stride must be a positive whole number"):
        forward(x, w, None, 0, "valid", 2)
    with pytest.raises(ValueError, match="max_pool2d: a window of 3 rows does not fit"):
        forward(x, w, None, 1, "valid", 3)
