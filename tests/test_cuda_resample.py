"""resample_cupy.py and resample.cu against the definitions in resample.py."""
import numpy as np
import pytest

from nanoemo import backend, kernels
from twins import Recorded, check_pair


@pytest.mark.parametrize("shape,scale", [
    ((1, 1, 1, 1), 1), ((2, 3, 5, 4), 2), ((1, 1, 1, 3), (3, 4)), ((3, 2, 7, 1), (1, 2)), ((2, 4, 4, 2), (3, 1)),
    ((1, 1, 1, 256), 2), ((3, 5, 17, 1), 3), ((1, 3, 3, 33), 2), ((0, 4, 4, 2), 2),
], ids=str)
def test_upsample2d(card, rng, shape, scale):
    check_pair("upsample2d", rng.normal(size=shape), scale)


def test_views_are_read_right(card, rng):
    x, dy = rng.normal(size=(5, 4, 3, 2)), rng.normal(size=(5, 8, 6, 2))
    y, cache = kernels.find("upsample2d_forward", "cuda")(backend.to_device(x, "cuda").T, 2)
    np.testing.assert_array_equal(backend.to_device(y, "cpu"), x.T.repeat(2, axis=1).repeat(2, axis=2))
    dx = kernels.find("upsample2d_backward", "cuda")(backend.to_device(dy, "cuda").T, cache)
    wanted = dy.T.reshape(2, 3, 2, 4, 2, 5).sum(axis=(2, 4))
    np.testing.assert_allclose(backend.to_device(dx, "cpu"), wanted, rtol=1e-12, atol=1e-14)


def test_gradient_is_the_sum_of_a_captured_step_too(card, rng):
    x = backend.to_device(rng.normal(size=(2, 3, 5, 4)), "cuda")

    def step():
        y, cache = kernels.find("upsample2d_forward", "cuda")(x, 2)
        return [kernels.find("upsample2d_backward", "cuda")(y, cache)]

    dx, = Recorded(card, step).launch()
    np.testing.assert_array_equal(dx, 4 * backend.to_device(x, "cpu"))


@pytest.mark.parametrize("shape,scale,message", [
    ((4, 5, 1), 2, r"upsample2d: x must have 4 axes \(N, H, W, C\), got shape \(4, 5, 1\)"),
    ((1, 4, 5, 1), 0, "upsample2d: scale must be a positive whole number or a pair of them, got 0"),
    ((1, 4, 5, 1), (1, 2, 3), "scale must be"),
])
def test_errors_are_those_of_numpy(card, shape, scale, message):
    with pytest.raises(ValueError, match=message):
        kernels.find("upsample2d_forward", "cuda")(backend.to_device(np.zeros(shape), "cuda"), scale)
