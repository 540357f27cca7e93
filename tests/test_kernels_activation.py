"""Activation kernels: the definition, the fast version, and PyTorch say the same."""
import numpy as np
import pytest

from nanoemo.kernels import activation

NAMES = ["relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"]
SHAPES = [(1,), (3, 1), (2, 7), (2, 3, 4, 5), (300, 600)]      # the last spans several blocks
SPECIAL = np.array([[-np.inf, -1000.0, -1.0, -1e-300, -0.0], [0.0, 1e-300, 1.0, 1000.0, np.inf]])


def arguments(name):
    return (0.2,) if name == "leaky_relu" else ()


def run(name, x, dy, plain=False):
    suffix = "_plain" if plain else ""
    y, cache = getattr(activation, f"{name}_forward{suffix}")(x, *arguments(name))
    return y, getattr(activation, f"{name}_backward{suffix}")(dy, cache)


def torch_run(torch, name, x, dy):
    functions = {"relu": torch.relu, "leaky_relu": lambda t: torch.nn.functional.leaky_relu(t, 0.2),
                 "sigmoid": torch.sigmoid, "tanh": torch.tanh, "softmax": lambda t: torch.softmax(t, -1),
                 "log_softmax": lambda t: torch.log_softmax(t, -1)}
    tx = torch.tensor(x, requires_grad=True)
    y = functions[name](tx)
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), tx.grad.numpy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_fast_equals_definition(rng, name, shape):
    x, dy = 3 * rng.standard_normal((2, *shape))
    for got, expected in zip(run(name, x, dy), run(name, x, dy, plain=True)):
        assert got.shape == shape
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_pytorch_says_the_same(rng, torch, name, shape):
    x, dy = 3 * rng.standard_normal((2, *shape))
    for got, expected in zip(run(name, x, dy), torch_run(torch, name, x, dy)):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_values_as_in_pytorch(torch, name, dtype):
    x = SPECIAL.astype(dtype)
    dy = np.arange(1, 11, dtype=dtype).reshape(2, 5)
    for got, expected in zip(run(name, x, dy), torch_run(torch, name, x, dy)):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_nan_passes_relu_both_ways_as_in_pytorch(torch):
    x, dy = np.array([np.nan, -np.nan, -1.0, 2.0]), np.array([3.0, 4.0, 5.0, np.nan])
    for got, expected in zip(run("relu", x, dy), torch_run(torch, "relu", x, dy)):
        np.testing.assert_array_equal(got, expected)
    y, dx = run("relu", x, dy, plain=True)
    np.testing.assert_array_equal(dx, run("relu", x, dy)[1])


def test_relu_lets_no_infinite_gradient_become_nan():
    _, dx = run("relu", np.array([-1.0, 1.0]), np.array([np.inf, np.inf]))
    assert dx.tolist() == [0, np.inf]


def test_an_infinite_gradient_falls_with_the_slope():
    x, dy = np.array([-1.0, 0.0, 2.0]), np.array([np.inf, -np.inf, np.inf])
    for backward in (activation.leaky_relu_backward_plain, activation.leaky_relu_backward):
        assert backward(dy, (x, 0.1)).tolist() == [np.inf, -np.inf, np.inf]


@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0, 1.5, -0.5])
def test_leaky_relu_slopes(rng, slope):
    x, dy = rng.standard_normal((2, 50))
    y, cache = activation.leaky_relu_forward(x, slope)
    np.testing.assert_array_equal(y, np.where(x > 0, x, slope * x))
    np.testing.assert_array_equal(activation.leaky_relu_backward(dy, cache), np.where(x > 0, dy, slope * dy))


def test_softmax_of_huge_logits_is_stable():
    x = np.array([[1e4, 0.0, -1e4]], np.float32)
    assert activation.softmax_forward(x)[0].tolist() == [[1, 0, 0]]
    assert activation.log_softmax_forward(x)[0].tolist() == [[0, -1e4, -2e4]]


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32(rng, name):
    x, dy = rng.standard_normal((2, 4, 7), dtype=np.float32)
    for plain in (False, True):
        assert [a.dtype for a in run(name, x, dy, plain)] == [np.float32, np.float32]


@pytest.mark.parametrize("name", NAMES)
def test_views_and_empty_batches(rng, name):
    x, dy = rng.standard_normal((2, 6, 8)).transpose(0, 2, 1)
    same = run(name, x.copy(), np.tile(dy[0], (8, 1)))
    for got, expected in zip(run(name, x, np.broadcast_to(dy[0], dy.shape)), same):
        np.testing.assert_array_equal(got, expected)
    y, dx = run(name, np.zeros((0, 7)), np.zeros((0, 7)))
    assert y.shape == dx.shape == (0, 7)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh"])
def test_a_single_number(name):
    y, dx = run(name, np.array(2.0), np.array(1.0))
    assert y.shape == dx.shape == ()
