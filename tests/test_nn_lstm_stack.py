"""LSTMs in a Sequential, with dropout between them, are computed in one go, and give what they give one by one."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, kernels, nn
from nanoemo.bench.calls import watch_kernels


def gradients_of(model, x, one_by_one):
    """(the result, the gradients of x and of all parameters), dropout from one seed, as arrays."""
    nanoemo.manual_seed(5)
    x = Tensor(x, requires_grad=True, device=model[0].weight.device)
    model.zero_grad()
    y = x
    if one_by_one:
        for layer in model:
            y = layer(y)
    else:
        y = model(x)
    (y * y).sum().backward()
    return [tensor.cpu().numpy() for tensor in (y, x.grad, *(p.grad for p in model.parameters() if p.requires_grad))]


def operations(model, x):
    with watch_kernels() as calls:
        model(Tensor(x))
    return [call.op for call in calls]


MODELS = {
    "two": ([nn.LSTM, 3, 8], [nn.LSTM, 8, 8]),
    "three with dropout": ([nn.LSTM, 3, 8], [nn.Dropout, 0.3], [nn.LSTM, 8, 8], [nn.Dropout, 0.3], [nn.LSTM, 8, 8],
                           [nn.Dropout, 0.3]),
    "dropout here and there": ([nn.LSTM, 3, 8], [nn.LSTM, 8, 8], [nn.Dropout, 0.3], [nn.LSTM, 8, 8]),
    "the last state alone": ([nn.LSTM, 3, 8], [nn.Dropout, 0.3], [nn.LSTM, 8, 8, False], [nn.Linear, 8, 2]),
}


@pytest.fixture
def sequences(rng):
    return rng.standard_normal((4, 40, 3)).astype(np.float32)


def build(name, device="cpu"):
    return nn.Sequential(*(kind(*given) for kind, *given in MODELS[name])).to(device)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits_either_way(sequences, device, name, training):
    model = build(name, device).train(training)
    for ours, one_by_one in zip(gradients_of(model, sequences, False), gradients_of(model, sequences, True)):
        np.testing.assert_array_equal(ours, one_by_one)


def test_what_is_in_one_go(sequences):
    assert operations(build("two"), sequences) == ["lstm_stack"]
    assert operations(build("three with dropout"), sequences) == ["lstm_stack", "dropout"]
    assert operations(build("the last state alone"), sequences) == ["lstm_stack", "linear"]


@pytest.mark.parametrize("change, expected", [
    (lambda m: m[0].freeze(), ["lstm", "dropout", "lstm_stack", "dropout"]),       # remembers nothing for a way back
    (lambda m: m[2].freeze(), ["lstm", "dropout", "lstm", "dropout", "lstm", "dropout"]),
    (lambda m: m.__setitem__(1, nn.Sequential(nn.Dropout(0.3))), ["lstm", "dropout", "lstm_stack", "dropout"]),
    (lambda m: m.__setitem__(1, nn.ReLU()), ["lstm", "relu", "lstm_stack", "dropout"]),
    (lambda m: m.__setitem__(0, nn.Dropout(0.1)), ["dropout", "dropout", "lstm_stack", "dropout"]),
    (lambda m: m.__setitem__(2, nn.Dropout(0.1)), ["lstm", "dropout", "dropout", "dropout", "lstm", "dropout"]),
    (lambda m: setattr(m[0], "forward", m[0].forward), ["lstm", "dropout", "lstm_stack", "dropout"]),
    (lambda m: setattr(m[3], "forward", m[3].forward), ["lstm_stack", "dropout", "lstm", "dropout"]),
], ids=["the first frozen", "the second frozen", "dropout inside another", "another layer between", "two dropouts first",
        "dropouts above each other", "an LSTM's own forward", "a dropout's own forward"])
def test_what_is_not(change, expected):
    model = nn.Sequential(*(kind(*given) for kind, *given in MODELS["three with dropout"]))
    change(model)
    width = 8 if expected[0] == "dropout" else 3
    assert operations(model, np.zeros((2, 5, width), np.float32)) == expected


def test_an_lstm_that_gives_its_state_is_alone():
    model = nn.Sequential(nn.LSTM(3, 4), nn.LSTM(4, 4, return_state=True))
    y, (h, c) = model(Tensor(np.zeros((2, 5, 3), np.float32)))
    assert y.shape == (2, 5, 4) and h.shape == c.shape == (2, 4)


def test_no_layer_reads_the_last_state_as_a_sequence():
    model = nn.Sequential(nn.LSTM(3, 4, return_sequences=False), nn.LSTM(4, 4))
    with pytest.raises(ValueError, match=r"^lstm: x must be \(batch, steps, features\), got shape \(2, 4\)"):
        model(Tensor(np.zeros((2, 5, 3), np.float32)))


def test_an_error_names_the_layers_operation():
    model = nn.Sequential(nn.LSTM(3, 4), nn.Dropout(0.1), nn.LSTM(5, 4))
    with pytest.raises(ValueError, match=r"^lstm: x has 4 features .* so w must be \(4, 16\); got \(5, 16\)"):
        model(Tensor(np.zeros((2, 5, 3), np.float32)))


def test_one_parameter_that_learns_is_enough(sequences):
    model = build("two")
    model[0].weight.requires_grad = model[0].recurrent_weight.requires_grad = False
    assert operations(model, sequences) == ["lstm_stack"]
    for ours, one_by_one in zip(gradients_of(model, sequences, False), gradients_of(model, sequences, True)):
        np.testing.assert_array_equal(ours, one_by_one)


@pytest.mark.parametrize("name", ["lstm_forward", "dropout_forward", "lstm_backward"])
def test_kernels_put_in_their_place_are_used(sequences, name):
    model, called, own = build("three with dropout"), [], kernels.find(name)
    expected = gradients_of(model, sequences, False)

    def spy(*given, **needs):
        called.append(given[0].shape)
        return own(*given, **needs)

    with kernels.override(**{name: spy}):
        again = gradients_of(model, sequences, False)
    assert len(called) == 3
    for ours, before in zip(again, expected):
        np.testing.assert_array_equal(ours, before)


def test_whoever_looks_on_sees_the_layers_in_their_order(sequences):
    model, seen = build("three with dropout"), []
    with nn.watch(lambda module, output: seen.append(type(module).__name__)):
        model(Tensor(sequences))
    assert seen == ["LSTM", "Dropout"] * 3 + ["Sequential"]


def test_a_saved_weight_changed_before_backward_is_noticed(sequences):
    model = build("two")
    y = model(Tensor(sequences)).sum()
    model[1].recurrent_weight.detach()[0, 0] = 5.0
    with pytest.raises(RuntimeError, match="a value that lstm_stack saved for its gradient was changed in place"):
        y.backward()
