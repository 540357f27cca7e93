"""activation_cupy.py and activation.cu against the definitions in activation.py."""
import numpy as np
import pytest

from twins import check_pair

SHAPES = [(1,), (7,), (255,), (256,), (257,), (3, 5, 7), (2, 0), (1, 1), (33, 32), (5, 100)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_elementwise(card, rng, name, shape):
    check_pair(name, 3 * rng.normal(size=shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_leaky_relu(card, rng, shape):
    check_pair("leaky_relu", rng.normal(size=shape), 0.2)


@pytest.mark.parametrize("shape", [s for s in SHAPES if 0 not in s], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rowwise(card, rng, name, shape):
    check_pair(name, 3 * rng.normal(size=shape))


@pytest.mark.parametrize("name", ["relu", "sigmoid", "softmax", "log_softmax"])
def test_extreme_values(card, name):
    check_pair(name, np.array([[1000.0, -1000.0, 0.0], [-80.0, 80.0, 1e30]]))


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softmax", "log_softmax"])
def test_a_nan_stays_one(card, name):
    from nanoemo import backend, kernels
    x = backend.to_device(np.array([[1.0, np.nan, 2.0]]), "cuda")
    y, _ = kernels.find(f"{name}_forward", "cuda")(x)
    assert np.isnan(backend.to_device(y, "cpu")[0, 1])


def test_transposed_input(card, rng):
    from nanoemo import backend, kernels
    x = rng.normal(size=(4, 6))
    y, _ = kernels.find("tanh_forward", "cuda")(backend.to_device(x, "cuda").T)
    np.testing.assert_allclose(backend.to_device(y, "cpu"), np.tanh(x.T))
