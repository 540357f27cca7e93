"""The layers: shapes, how their weights start, and that they pass their arguments on."""
import math

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, nn, ops


def image(*shape):
    return Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


LAYERS = {     # layer, input shape, the same by operations
    "Conv2d": (lambda: nn.Conv2d(3, 4, (3, 2), stride=2, padding="same"), (2, 7, 6, 3),
               lambda layer, x: ops.conv2d(x, layer.weight, layer.bias, 2, "same")),
    "Conv2d without bias": (lambda: nn.Conv2d(3, 4, 3, bias=False), (2, 7, 6, 3),
                            lambda layer, x: ops.conv2d(x, layer.weight)),
    "Conv1d": (lambda: nn.Conv1d(3, 4, 5, stride=2, padding=1), (2, 9, 3),
               lambda layer, x: ops.conv1d(x, layer.weight, layer.bias, 2, 1)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, "same"), (2, 7, 7, 2),
                  lambda layer, x: ops.max_pool2d(x, 3, 2, "same")),
    "MaxPool2d default stride": (lambda: nn.MaxPool2d((2, 1)), (2, 6, 6, 2),
                                 lambda layer, x: ops.max_pool2d(x, (2, 1))),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), (2, 7, 7, 2), lambda layer, x: ops.avg_pool2d(x, 3, 2, 1)),
    "MinPool2d": (lambda: nn.MinPool2d(2), (2, 6, 6, 2), lambda layer, x: ops.min_pool2d(x, 2)),
    "MaxPool1d": (lambda: nn.MaxPool1d(5, 2, "same"), (2, 9, 2),
                  lambda layer, x: ops.max_pool1d(x, 5, 2, "same")),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), (2, 8, 2), lambda layer, x: ops.avg_pool1d(x, 2)),
    "Upsample2d": (lambda: nn.Upsample2d(3), (2, 2, 3, 2), lambda layer, x: ops.upsample2d(x, 3)),
    "Linear": (lambda: nn.Linear(4, 3), (2, 5, 4), lambda layer, x: ops.linear(x, layer.weight, layer.bias)),
    "Linear without bias": (lambda: nn.Linear(4, 3, bias=False), (2, 4),
                            lambda layer, x: ops.linear(x, layer.weight)),
    "LSTM": (lambda: nn.LSTM(3, 4), (2, 5, 3),
             lambda layer, x: ops.lstm(x, layer.weight, layer.recurrent_weight, layer.bias)),
    "LSTM last state": (lambda: nn.LSTM(3, 4, return_sequences=False), (2, 5, 3),
                        lambda layer, x: ops.lstm(x, layer.weight, layer.recurrent_weight, layer.bias)[:, -1]),
    "Flatten": (nn.Flatten, (2, 3, 4, 5), lambda layer, x: x.reshape(2, 60)),
    "Reshape": (lambda: nn.Reshape(4, 15), (2, 3, 4, 5), lambda layer, x: x.reshape(2, 4, 15)),
    "ReLU": (nn.ReLU, (2, 5), lambda layer, x: ops.relu(x)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.3), (2, 5), lambda layer, x: ops.leaky_relu(x, 0.3)),
    "Sigmoid": (nn.Sigmoid, (2, 5), lambda layer, x: ops.sigmoid(x)),
    "Tanh": (nn.Tanh, (2, 5), lambda layer, x: ops.tanh(x)),
    "Softmax": (nn.Softmax, (2, 5), lambda layer, x: ops.softmax(x)),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_computes_its_operation(case):
    make, shape, expected = LAYERS[case]
    layer, x = make(), image(*shape)
    y = layer(x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.numpy(), expected(layer, x).numpy())


def test_losses_compute_their_operations():
    logits, labels = image(4, 7), np.array([0, 3, 6, 1])
    p, target = ops.sigmoid(logits), Tensor(np.ones((4, 7), np.float32))
    assert nn.CrossEntropyLoss()(logits, labels).item() == ops.cross_entropy(logits, labels).item()
    assert nn.MSELoss()(logits, target).item() == ops.mse_loss(logits, target).item()
    assert nn.BCELoss()(p, target).item() == ops.binary_cross_entropy(p, target).item()


def test_batch_norm_trains_and_then_uses_what_it_kept():
    layer, x = nn.BatchNorm2d(3), image(8, 5, 5, 3) * 3 + 2
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * x.numpy().mean(axis=(0, 1, 2)), rtol=1e-4)
    for _ in range(200):
        layer(x)
    np.testing.assert_allclose(layer.eval()(x).numpy(), y, atol=1e-2)


@pytest.mark.parametrize("layer, shape, expected", [
    (nn.BatchNorm2d(3), (4, 3), r"BatchNorm2d: expected x of shape \(N, H, W, C\), got \(4, 3\)"),
    (nn.BatchNorm1d(3), (4, 5, 5, 3), r"BatchNorm1d: expected x of shape \(N, C\) or \(N, T, C\), got"),
    (nn.BatchNorm1d(3), (4, 2), "batch_norm"),
    (nn.Conv2d(3, 4, 3), (2, 8, 8, 1), "conv2d: x has 1 channel"),
    (nn.Linear(4, 3), (2, 5), "linear"),
    (nn.LSTM(4, 3), (2, 5), "lstm: x must be"),
])
def test_inputs_that_do_not_fit_are_refused(layer, shape, expected):
    with pytest.raises(ValueError, match=expected):
        layer(image(*shape))


@pytest.mark.parametrize("make, message", [
    (lambda: nn.Conv2d(0, 4, 3), "Conv2d: in_channels must be a positive integer, got 0"),
    (lambda: nn.Conv2d(1, 4.0, 3), "Conv2d: out_channels must be a positive integer, got 4.0"),
    (lambda: nn.Conv2d(1, 4, (3, 0)), r"Conv2d: kernel_size must be a positive whole number or a pair of them, got \(3, 0\)"),
    (lambda: nn.Conv2d(1, 4, (3, 3, 3)), "Conv2d: kernel_size must be a positive whole number or a pair"),
    (lambda: nn.Conv2d(1, 4, True), "Conv2d: kernel_size must be .*, got True"),
    (lambda: nn.Conv2d(1, 4, 3, stride=0), "Conv2d: stride must be a positive whole number or a pair of them, got 0"),
    (lambda: nn.Conv2d(1, 4, 3, padding="SAME"), 'Conv2d: padding: expected "valid", "same", a number or a pair, got .SAME.'),
    (lambda: nn.Conv1d(1, 4, 3, stride=(1, 2)), r"Conv1d: stride must be a positive whole number, got \(1, 2\)"),
    (lambda: nn.Conv1d(1, 4, 3, padding=-1), "Conv1d: padding: must not be negative, got -1"),
    (lambda: nn.MaxPool2d("a"), "MaxPool2d: kernel_size must be .*, got 'a'"),
    (lambda: nn.AvgPool2d(2, stride=1.5), "AvgPool2d: stride must be .*, got 1.5"),
    (lambda: nn.MaxPool1d(2, padding="full"), "MaxPool1d: padding: expected"),
    (lambda: nn.AvgPool1d((2, 2)), "AvgPool1d: kernel_size must be a positive whole number, got"),
    (lambda: nn.Upsample2d(1.5), "Upsample2d: scale must be a positive whole number or a pair of them, got 1.5"),
    (lambda: nn.Linear(3, -1), "Linear: out_features must be a positive integer"),
    (lambda: nn.LSTM(3, None), "LSTM: hidden_size must be a positive integer"),
    (lambda: nn.BatchNorm1d(0), "BatchNorm1d: num_features must be a positive integer"),
    (lambda: nn.Dropout(1.0), r"Dropout: p must be at least 0 and below 1, got 1.0"),
    (lambda: nn.init.glorot_uniform((3,)), r"weights of shape \(3,\) have no \(in, out\) axes"),
])
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- how weights start ----------------------------------------------------------------------------------

SHAPE = (5, 5, 32, 64)
FAN_IN, FAN_OUT = 25 * 32, 25 * 64


@pytest.mark.parametrize("name, variance", [
    ("glorot_uniform", 2 / (FAN_IN + FAN_OUT)), ("glorot_normal", 2 / (FAN_IN + FAN_OUT)),
    ("he_uniform", 2 / FAN_IN), ("he_normal", 2 / FAN_IN), ("uniform", 0.1 ** 2 / 12), ("normal", 0.05 ** 2)])
def test_initial_weights_have_the_variance_they_promise(name, variance):
    nanoemo.manual_seed(0)
    weights = getattr(nn.init, name)(SHAPE)
    assert weights.shape == SHAPE and weights.dtype == np.float32
    assert abs(weights.mean()) < 4 * math.sqrt(variance / weights.size)
    np.testing.assert_allclose(weights.var(), variance, rtol=0.02)


@pytest.mark.parametrize("shape", [(6, 24), (24, 6), (3, 3, 2, 5)])
def test_orthogonal_weights_are_orthogonal(shape):
    matrix = nn.init.orthogonal(shape).reshape(-1, shape[-1])
    product = matrix @ matrix.T if len(matrix) <= shape[-1] else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-5)


def test_initial_weights_follow_the_seed():
    def draw(seed):
        nanoemo.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 3), nn.LSTM(3, 2)).state_dict()
    a, b, other = draw(1), draw(1), draw(2)
    assert all((a[name] == b[name]).all() for name in a)
    assert (a["0.weight"] != other["0.weight"]).any()


def test_an_lstm_begins_by_remembering():
    assert nn.LSTM(3, 2).bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_batch_norm_goes_by_its_own_momentum_and_eps(rng):
    layer = nn.BatchNorm2d(3, momentum=0.5, eps=0.3).to(dtype="float64")
    x = rng.normal(2, 1, (4, 5, 5, 3))
    y = layer(Tensor(x))
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    np.testing.assert_allclose(y.numpy(), (x - mean) / np.sqrt(variance + 0.3), rtol=1e-10)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.5 * mean, rtol=1e-10)


def test_the_loss_module_smooths_labels():
    z, labels = Tensor(np.array([[2.0, 0.0, 1.0]])), np.array([0])
    smoothed = nn.CrossEntropyLoss(label_smoothing=0.3)(z, labels).item()
    assert smoothed == ops.cross_entropy(z, labels, label_smoothing=0.3).item() != ops.cross_entropy(z, labels).item()


def test_the_recurrent_weights_of_an_lstm_start_orthogonal():
    weight = nn.LSTM(3, 8).recurrent_weight.numpy()
    np.testing.assert_allclose(weight @ weight.T, np.eye(8), atol=1e-5)
