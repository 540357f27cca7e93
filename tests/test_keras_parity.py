"""Keras' numbers in float64: its weights fit as they are, without a transpose, and give the same results and gradients."""
import os

import numpy as np
import pytest

from nanoemo import Tensor, nn, ops

TOLERANCE = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture(scope="module")
def keras():
    """Keras on PyTorch, which is there for the other parity tests."""
    pytest.importorskip("torch", reason="PyTorch is not installed: Keras has nothing to compute with")
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="Keras is not installed: parity with it is not checked")


def of_keras(layer, arrays, dy):
    """(output, gradients of the inputs, gradients of the weights) of a Keras layer; arrays: x, and a state if it takes one"""
    import torch

    x, *state = inputs = [torch.tensor(array, requires_grad=True) for array in arrays]
    y = layer(x, **({"initial_state": state} if state else {}))
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), [part.grad.numpy() for part in inputs], [w.value.grad.numpy() for w in layer.trainable_weights]


def with_weights(layer, shape, rng):
    """The layer, built for inputs of this shape and with random weights; and those weights."""
    layer.build(shape)
    weights = [rng.standard_normal(weight.shape) for weight in layer.trainable_weights]
    for weight, values in zip(layer.trainable_weights, weights):
        weight.assign(values)
    return layer, weights


def compare(ours, arrays, weights, dy, theirs):
    """ours: function of the inputs and the weights, in Keras' order."""
    tensors = [Tensor(array, requires_grad=True) for array in (*arrays, *weights)]
    y = ours(*tensors)
    y.backward(dy)
    expected_y, *expected = theirs
    np.testing.assert_allclose(y.numpy(), expected_y, **TOLERANCE)
    for tensor, gradient in zip(tensors, [gradient for part in expected for gradient in part], strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), gradient, **TOLERANCE)


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("batch, steps, features, units", [(3, 7, 2, 5), (1, 1, 1, 1), (2, 9, 4, 3)])
def test_lstm(keras, rng, batch, steps, features, units, return_sequences, with_state):
    layer, weights = with_weights(keras.layers.LSTM(units, return_sequences=return_sequences, dtype="float64"),
                                  (batch, steps, features), rng)
    arrays = [rng.standard_normal((batch, steps, features)),
              *(rng.standard_normal((2, batch, units)) if with_state else ())]
    dy = rng.standard_normal((batch, steps, units) if return_sequences else (batch, units))

    def ours(x, *rest):
        state, (w, u, b) = rest[:-3] or None, rest[-3:]
        return ops.lstm(x, w, u, b, return_sequences, state)

    compare(ours, arrays, weights, dy, of_keras(layer, arrays, dy))


def test_lstm_layer_begins_as_keras_does(keras):
    ours, theirs = nn.LSTM(2, 3), keras.layers.LSTM(3)
    theirs.build((None, 5, 2))
    assert [tuple(weight.shape) for weight in theirs.trainable_weights] == [part.shape for part in ours.parameters()]
    np.testing.assert_array_equal(ours.bias.numpy(), theirs.trainable_weights[2].value.detach().numpy())


@pytest.mark.parametrize("size, window, stride", [((7, 8), 3, 2), ((5, 5), 2, 1), ((9, 4), (1, 3), 3), ((6, 6), 5, 1)])
def test_same_padding_of_a_convolution(keras, rng, size, window, stride):
    """TensorFlow's rule: where padding is odd the further cell comes last, and it counts with the stride."""
    layer, weights = with_weights(keras.layers.Conv2D(4, window, stride, "same", dtype="float64"), (2, *size, 3), rng)
    x = rng.standard_normal((2, *size, 3))
    dy = rng.standard_normal(ops.conv2d(Tensor(x), *map(Tensor, weights), stride, "same").shape)
    compare(lambda x, w, b: ops.conv2d(x, w, b, stride, "same"), [x], weights, dy, of_keras(layer, [x], dy))


@pytest.mark.parametrize("steps, window, stride", [(162, 5, 2), (81, 5, 2), (41, 5, 2), (7, 3, 3)])
def test_same_padding_of_pooling_a_sequence(keras, rng, steps, window, stride):
    """As in chater.conv1d: 162 → 81 → 41 → 21."""
    x = rng.standard_normal((2, steps, 3)) - 3              # padding must not win over what is negative
    layer = keras.layers.MaxPooling1D(window, stride, "same", dtype="float64")
    dy = rng.standard_normal(ops.max_pool1d(Tensor(x), window, stride, "same").shape)
    compare(lambda x: ops.max_pool1d(x, window, stride, "same"), [x], [], dy, of_keras(layer, [x], dy))
