"""Nearest up-sampling: the definition, the fast version, and PyTorch say the same."""
import numpy as np
import pytest

from nanoemo.kernels import resample

CASES = [((1, 1, 1, 1), 1), ((2, 3, 5, 4), 2), ((1, 1, 1, 3), (3, 4)), ((3, 2, 7, 1), (1, 2)),
         ((2, 4, 4, 2), (3, 1)), ((5, 24, 24, 64), 2)]


@pytest.mark.parametrize("shape,scale", CASES)
def test_fast_definition_and_pytorch_agree(rng, torch, shape, scale):
    x = rng.standard_normal(shape)
    y, cache = resample.upsample2d_forward(x, scale)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.functional.interpolate(tx.permute(0, 3, 1, 2), scale_factor=scale, mode="nearest")
    ty = ty.permute(0, 2, 3, 1)
    np.testing.assert_array_equal(y, ty.detach().numpy())
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    dx = resample.upsample2d_backward(dy, cache)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape,scale", CASES)
def test_fast_equals_definition(rng, shape, scale):
    x = rng.standard_normal(shape)
    y, cache = resample.upsample2d_forward(x, scale)
    expected, plain_cache = resample.upsample2d_forward_plain(x, scale)
    np.testing.assert_array_equal(y, expected)
    dy = rng.standard_normal(y.shape)
    np.testing.assert_allclose(resample.upsample2d_backward(dy, cache),
                               resample.upsample2d_backward_plain(dy, plain_cache), rtol=1e-12)


def test_float32_stays_float32(rng):
    y, cache = resample.upsample2d_forward(rng.standard_normal((1, 2, 3, 1), dtype=np.float32), 2)
    assert y.dtype == resample.upsample2d_backward(y, cache).dtype == np.float32


def test_views_are_read_right(rng):
    x = rng.standard_normal((3, 4, 6, 5)).transpose(3, 2, 1, 0)
    y, cache = resample.upsample2d_forward(x, 2)
    np.testing.assert_array_equal(y, resample.upsample2d_forward(x.copy(), 2)[0])
    dy = np.broadcast_to(rng.standard_normal(y.shape[-1]), y.shape)
    dx = resample.upsample2d_backward(dy, cache)
    np.testing.assert_array_equal(dx, resample.upsample2d_backward(dy.copy(), cache))


@pytest.mark.parametrize("forward", [resample.upsample2d_forward, resample.upsample2d_forward_plain])
@pytest.mark.parametrize("shape,scale,message", [
    ((4, 5, 1), 2, r"upsample2d: x must have 4 axes \(N, H, W, C\), got shape \(4, 5, 1\)"),
    ((1, 4, 5, 1), 0, "upsample2d: scale must be a positive whole number or a pair of them, got 0"),
    ((1, 4, 5, 1), True, "upsample2d: scale must be a positive whole number or a pair of them, got True"),
    ((1, 4, 5, 1), 1.5, "scale must be .* got 1.5"),
    ((1, 4, 5, 1), (1, 2, 3), "scale must be"),
])
def test_errors_say_what_was_wrong(forward, shape, scale, message):
    with pytest.raises(ValueError, match=message):
        forward(np.zeros(shape), scale)
