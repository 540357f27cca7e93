"""ReLU and max pooling in one operation give, to the last bit, what they give one after the other."""
import numpy as np
import pytest

from nanoemo import Tensor, kernels, nn, ops


@pytest.mark.parametrize("shape,kernel,stride,padding", [((2, 8, 8, 3), 2, None, "valid"), ((1, 7, 7, 2), 3, 2, "same"),
                                                        ((2, 5, 5, 4), 2, 1, "valid")])
def test_same_bits_either_way(rng, device, shape, kernel, stride, padding):
    values = rng.standard_normal(shape).astype(np.float32)
    values[0, :3, :3] = -1          # windows with nothing positive
    values[-1, 3:, 3:] = 0.5        # and with ties
    values[0, 4, 4] = np.nan
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(kernel, stride, padding))
    x, plain_x = (Tensor(values.copy(), requires_grad=True, device=device) for _ in range(2))
    y = model(x)
    plain = ops.max_pool2d(ops.relu(plain_x), kernel, stride, padding)
    weights = Tensor(rng.standard_normal(y.shape).astype(np.float32), device=device)
    y.backward(weights)
    plain.backward(weights)
    np.testing.assert_array_equal(y.cpu().numpy(), plain.cpu().numpy())
    np.testing.assert_array_equal(x.grad.cpu().numpy(), plain_x.grad.cpu().numpy())


def test_whoever_looks_on_sees_the_layers_in_their_order(rng):
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    seen = []
    with nn.watch(lambda module, output: seen.append(type(module).__name__)):
        model(Tensor(rng.standard_normal((1, 4, 4, 1)).astype(np.float32)))
    assert seen == ["ReLU", "MaxPool2d", "Sequential"]


def test_kernels_put_in_their_place_are_used(rng):
    """Who replaces one of the two kernels sees it called."""
    called = []

    def relu_forward(x):
        called.append(x.shape)
        return np.maximum(x, 0), x

    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    x = Tensor(rng.standard_normal((1, 4, 4, 1)).astype(np.float32))
    expected = model(x).numpy()
    with kernels.override(relu_forward=relu_forward):
        np.testing.assert_array_equal(model(x).numpy(), expected)
    assert called == [(1, 4, 4, 1)]


@pytest.mark.parametrize("shape,kernel,stride,padding", [((2, 8, 8, 3), 2, None, "valid"), ((1, 1, 1, 1), 1, None, "valid"),
                                                        ((2, 7, 5, 2), 3, 2, "same"), ((1, 5, 5, 2), 2, 3, "valid")])
def test_kernel_equals_its_definition(rng, shape, kernel, stride, padding):
    from nanoemo.kernels import pool
    x = rng.standard_normal(shape).astype(np.float32) - 0.5
    y, cache = pool.relu_max_pool2d_forward(x, kernel, stride, padding)
    expected, plain_cache = pool.relu_max_pool2d_forward_plain(x, kernel, stride, padding)
    np.testing.assert_array_equal(y, expected)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = pool.relu_max_pool2d_backward(dy, cache)
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_allclose(dx, pool.relu_max_pool2d_backward_plain(dy, plain_cache), atol=1e-6)
