"""The losses' kernels: plain against fast, fast against PyTorch, extreme values, errors."""
import numpy as np
import pytest

from nanoemo.kernels import loss as kernels


def soft(rng, batch, classes):
    weights = rng.random((batch, classes))
    return weights / weights.sum(axis=1, keepdims=True)


def labels_of(kind, rng, batch, classes):
    if kind == "int":
        return rng.integers(0, classes, batch)
    if kind == "one-hot":
        return np.eye(classes)[rng.integers(0, classes, batch)]
    return soft(rng, batch, classes)


CASES = [(kind, *shape) for kind in ("int", "one-hot", "soft") for shape in ((6, 7), (1, 3), (4, 1))]


def assert_pair_agrees(name, inputs, dloss=1.7):
    losses, gradients = [], []
    for version in ("", "_plain"):
        loss, cache = getattr(kernels, f"{name}_forward{version}")(*inputs)
        losses.append(loss)
        gradients.append(getattr(kernels, f"{name}_backward{version}")(dloss, cache))
    assert losses[0].shape == losses[1].shape == ()
    np.testing.assert_allclose(*losses, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(*gradients, rtol=1e-12, atol=1e-14)


def assert_equals_pytorch(torch, name, function, inputs, dloss=1.7, rtol=1e-12):
    forward, backward = getattr(kernels, f"{name}_forward"), getattr(kernels, f"{name}_backward")
    loss, cache = forward(*inputs)
    first = torch.tensor(inputs[0], requires_grad=True)
    expected = function(first, torch.tensor(inputs[1]))
    expected.backward(torch.tensor(dloss, dtype=expected.dtype))
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(backward(dloss, cache), first.grad.numpy(), rtol=rtol, atol=1e-14)


@pytest.mark.parametrize("kind, batch, classes", CASES)
@pytest.mark.parametrize("scale", [1, 1e4])
def test_cross_entropy_fast_equals_plain(rng, kind, batch, classes, scale):
    logits = scale * rng.standard_normal((batch, classes))
    assert_pair_agrees("cross_entropy", (logits, labels_of(kind, rng, batch, classes)))


@pytest.mark.parametrize("kind, batch, classes", CASES)
@pytest.mark.parametrize("scale", [1, 1e4])
def test_cross_entropy_equals_pytorch(rng, torch, kind, batch, classes, scale):
    logits = scale * rng.choice([-1.0, 1.0, 0.3], (batch, classes))
    assert_equals_pytorch(torch, "cross_entropy", torch.nn.functional.cross_entropy,
                          (logits, labels_of(kind, rng, batch, classes)))


def test_cross_entropy_of_labels_that_do_not_sum_to_one(rng, torch):
    assert_equals_pytorch(torch, "cross_entropy", torch.nn.functional.cross_entropy,
                          (rng.standard_normal((3, 4)), rng.random((3, 4))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_at_extreme_logits(dtype):
    logits = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, cache = kernels.cross_entropy_forward(logits, np.array([1, 2]))
        gradient = kernels.cross_entropy_backward(1.0, cache)
    np.testing.assert_allclose(loss, (2e4 + np.log(3)) / 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0.5, -0.5, 0], [1 / 6, 1 / 6, -1 / 3]], rtol=1e-6)


def test_cross_entropy_of_a_class_that_is_ruled_out(torch):
    """A logit of −∞ counts nothing where no probability is asked of it: 0 · log 0 = 0."""
    z, weight = np.array([[2, -np.inf, 1], [0.5, -np.inf, 1]]), np.array([1.0, 2.0, 3.0])
    expected = torch.nn.functional.cross_entropy(torch.tensor(z), torch.tensor([0, 2]), torch.tensor(weight)).item()
    q = np.eye(3)[[0, 2]] * weight * 2 / weight[[0, 2]].sum()
    for forward in (kernels.cross_entropy_forward, kernels.cross_entropy_forward_plain):
        assert forward(z, q)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("labels, error, message", [
    (np.array([0, 3, 1]), ValueError, "label 3 in row 1 is not one of the 3 classes 0 … 2"),
    (np.array([0, 1, -1]), ValueError, "label -1 in row 2"),
    (np.array([0, 1]), ValueError, r".*be \(3,\) integers or \(3, 3\) probabilities .* got shape \(2,\)"),
    (np.zeros((3, 2)), ValueError, r"labels of shape \(3, 2\) do not fit logits of shape \(3, 3\)"),
    (np.zeros(3), TypeError, "one label a row must be an integer, got float64"),
    (np.array(["sad", "happy", "sad"]), TypeError, "labels must be integers"),
])
def test_cross_entropy_names_wrong_labels(labels, error, message):
    for forward in (kernels.cross_entropy_forward, kernels.cross_entropy_forward_plain):
        with pytest.raises(error, match="cross_entropy: " + message):
            forward(np.zeros((3, 3)), labels)


def test_cross_entropy_names_wrong_logits():
    with pytest.raises(ValueError, match=r"logits must be \(batch, classes\).* got shape \(3,\)"):
        kernels.cross_entropy_forward(np.zeros(3), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"got shape \(0, 3\)"):
        kernels.cross_entropy_forward(np.zeros((0, 3)), np.zeros(0, int))


@pytest.mark.parametrize("shape", [(5, 3), (1,), (2, 3, 4), ()])
def test_mse_loss(rng, torch, shape):
    inputs = rng.standard_normal(shape), rng.standard_normal(shape)
    inputs = tuple(np.asarray(array) for array in inputs)
    assert_pair_agrees("mse_loss", inputs)
    assert_equals_pytorch(torch, "mse_loss", torch.nn.functional.mse_loss, inputs)


@pytest.mark.parametrize("shape", [(5, 3), (1,), (2, 3, 4), ()])
def test_binary_cross_entropy(rng, torch, shape):
    inputs = rng.random(shape), rng.integers(0, 2, shape).astype(float)
    assert_pair_agrees("binary_cross_entropy", inputs)
    assert_equals_pytorch(torch, "binary_cross_entropy", torch.nn.functional.binary_cross_entropy, inputs)


def test_binary_cross_entropy_at_exactly_0_and_1(torch):
    p, target = np.array([0.0, 0, 0, 1, 1, 1, 0.5]), np.array([0.0, 1, 0.25, 0, 1, 0.25, 1])
    assert_pair_agrees("binary_cross_entropy", (p, target))
    assert_equals_pytorch(torch, "binary_cross_entropy", torch.nn.functional.binary_cross_entropy,
                          (p, target), rtol=1e-8)       # PyTorch's 1e-12 under the gradient is a float32


@pytest.mark.parametrize("p, target, message", [
    ([0.5, 1.5], [0.0, 1.0], r"p must lie in 0 … 1, but p\[1\] is 1.5; apply sigmoid first"),
    ([0.5, 0.5], [-1.0, 1.0], r"target must lie in 0 … 1, but target\[0\] is -1"),
])
def test_binary_cross_entropy_names_values_out_of_range(p, target, message):
    for forward in (kernels.binary_cross_entropy_forward, kernels.binary_cross_entropy_forward_plain):
        with pytest.raises(ValueError, match="binary_cross_entropy: " + message):
            forward(np.array(p), np.array(target))


def test_a_nan_goes_through_to_the_loss():
    assert np.isnan(kernels.binary_cross_entropy_forward(np.array([np.nan, 0.5]), np.ones(2))[0])


@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy"])
def test_targets_are_not_broadcast(name):
    forward = getattr(kernels, f"{name}_forward")
    message = rf"{name}: prediction of shape \(4, 1\) and target of shape \(4,\) differ"
    with pytest.raises(ValueError, match=message):
        forward(np.full((4, 1), 0.5), np.full(4, 0.5))
    with pytest.raises(ValueError, match="is empty"):
        forward(np.zeros((0, 2)), np.zeros((0, 2)))


TARGETS = [("cross_entropy", np.array([0, 1])), ("cross_entropy", np.full((2, 3), 1 / 3)),
           ("mse_loss", np.zeros((2, 3))), ("binary_cross_entropy", np.ones((2, 3)))]


@pytest.mark.parametrize("name, target", TARGETS)
def test_backward_leaves_what_forward_kept_as_it_was(name, target):
    _, cache = getattr(kernels, f"{name}_forward")(np.full((2, 3), 0.3), target)
    first, second = (getattr(kernels, f"{name}_backward")(1.0, cache).copy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name, target", TARGETS)
def test_float32_stays_float32_whatever_the_target(name, target):
    first = np.full((2, 3), 0.3, np.float32)
    loss, cache = getattr(kernels, f"{name}_forward")(first, target)
    gradient = getattr(kernels, f"{name}_backward")(np.asarray(1, np.float32), cache)
    assert loss.dtype == gradient.dtype == np.float32 and gradient.shape == first.shape
