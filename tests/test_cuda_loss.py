"""loss_cupy.py and loss.cu against the definitions in loss.py."""
import numpy as np
import pytest

from nanoemo import Tensor, backend, kernels, ops
from twins import check_pair

BATCHES = [(1, 1), (1, 7), (7, 1), (3, 32), (33, 33), (129, 7), (5, 100)]      # 129 rows are more than one block
SHAPES = [(1,), (255,), (257,), (3, 5, 7), (32, 32)]


def on_card(name, *arrays):
    return kernels.find(name, "cuda")(*[backend.to_device(array, "cuda") for array in arrays])


def loss_of(name, *arrays):
    return float(backend.to_device(on_card(f"{name}_forward", *arrays)[0], "cpu"))


@pytest.mark.parametrize("shape", BATCHES, ids=str)
def test_cross_entropy_of_labels(card, rng, shape):
    check_pair("cross_entropy", 3 * rng.normal(size=shape), rng.integers(0, shape[1], shape[0]))


@pytest.mark.parametrize("shape", BATCHES, ids=str)
def test_cross_entropy_of_weights_that_are_no_distribution(card, rng, shape):
    check_pair("cross_entropy", 3 * rng.normal(size=shape), rng.random(shape))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_may_be_whole_numbers_of_any_size(card, rng, dtype):
    check_pair("cross_entropy", rng.normal(size=(4, 3)), np.array([0, 2, 1, 2], dtype))
    check_pair("cross_entropy", rng.normal(size=(4, 3)), np.eye(4, 3).astype(dtype))


def test_cross_entropy_at_extreme_logits(card):
    check_pair("cross_entropy", np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]]), np.array([1, 2]))
    check_pair("cross_entropy", np.array([[0.0, -np.inf, 1.0]]), np.array([1]))
    with np.errstate(invalid="ignore"):
        check_pair("cross_entropy", np.array([[0, np.inf, 0], [1, 2, 3]]), np.array([0, 1]))


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_a_label_that_is_no_class_makes_the_loss_and_its_row_nan(card, label):
    loss, cache = on_card("cross_entropy_forward", np.zeros((2, 3)), np.array([1, label]))
    gradient = kernels.find("cross_entropy_backward", "cuda")(backend.to_device(np.ones(()), "cuda"), cache)
    assert np.isnan(backend.to_device(loss, "cpu"))
    np.testing.assert_array_equal(np.isnan(backend.to_device(gradient, "cpu")), [[False] * 3, [True] * 3])


def test_a_label_that_is_no_class_is_named_while_it_is_still_on_the_host(card):
    logits = Tensor(np.zeros((2, 3)), device="cuda")
    with pytest.raises(ValueError, match="label 3 in row 1 is not one of the 3 classes"):
        ops.cross_entropy(logits, [0, 3])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mse_loss(card, rng, shape):
    check_pair("mse_loss", rng.normal(size=shape), rng.normal(size=shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_binary_cross_entropy(card, rng, shape):
    check_pair("binary_cross_entropy", rng.uniform(0.01, 0.99, shape), rng.random(shape))


def test_more_elements_than_threads(card, rng, monkeypatch):
    monkeypatch.setattr("nanoemo.kernels.loss_cupy.MOST_BLOCKS", 2)
    check_pair("mse_loss", rng.normal(size=2000), rng.normal(size=2000))
    check_pair("binary_cross_entropy", rng.uniform(0.01, 0.99, 2000), rng.random(2000))


def test_binary_cross_entropy_where_a_logarithm_is_infinite(card):
    check_pair("binary_cross_entropy", np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0]))


@pytest.mark.parametrize("p, target", [(-0.1, 0.0), (1.1, 1.0), (0.5, 1.1), (0.5, -0.1), (np.nan, 0.5), (0.5, np.nan)])
def test_binary_cross_entropy_of_no_probability_is_nan(card, p, target):
    assert np.isnan(loss_of("binary_cross_entropy", np.array([0.5, p]), np.array([0.5, target])))


@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy"])
def test_whole_numbers_as_target(card, name):
    check_pair(name, np.array([[0.25, 0.5], [0.125, 0.75]]), np.array([[0, 1], [1, 0]]))


def test_arrays_that_do_not_lie_in_order(card, rng):
    a, b = rng.random((4, 6)), rng.random((4, 6))
    for name in ("cross_entropy", "mse_loss", "binary_cross_entropy"):
        turned = on_card(f"{name}_forward", a, b)[0]
        forward = kernels.find(f"{name}_forward", "cuda")
        loss, _ = forward(*[backend.to_device(x.T.copy(), "cuda").T for x in (a, b)])
        assert float(loss) == float(turned)


@pytest.mark.parametrize("name", ["cross_entropy", "mse_loss", "binary_cross_entropy"])
@pytest.mark.parametrize("shapes", [((2, 3), (3, 2)), ((2, 3), (2,)), ((0, 3), (0, 3)), ((6,), (6,))], ids=str)
def test_wrong_arguments_are_refused_as_on_the_cpu(card, name, shapes):
    arrays = [np.zeros(shape) for shape in shapes]
    try:
        kernels.find(f"{name}_forward")(*arrays)
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)) as on_the_card:
            on_card(f"{name}_forward", *arrays)
        assert str(on_the_card.value) == str(error)
    else:
        assert np.isfinite(loss_of(name, *arrays))


def test_a_batch_of_usual_size_is_one_launch(card):
    if not hasattr(card, "_device"):
        pytest.skip("launches are counted by the stand-in alone")
    logits, labels = card.zeros((128, 7), "float32"), card.zeros(128, "int64")
    before = len(card._device.launches)
    kernels.find("cross_entropy_forward", "cuda")(logits, labels)
    assert [what for what, *_ in card._device.launches[before:]] == ["cross_entropy_forward"]
