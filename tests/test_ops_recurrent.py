"""ops.lstm and nn.LSTM: against PyTorch, with the state carried in and out."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, nn, ops
from opcheck import check_op, random_arrays

FEATURES, UNITS = 3, 4
WEIGHTS = [(FEATURES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)]
STATE = [(2, UNITS), (2, UNITS)]


def torch_lstm(torch, x, w, u, b, h0=None, c0=None):
    """PyTorch's (h, (h_T, c_T)), with the weights as they stand here."""
    layer = torch.nn.LSTM(x.shape[2], len(u), batch_first=True).double()
    weights = {"weight_ih_l0": w.T, "weight_hh_l0": u.T, "bias_ih_l0": b, "bias_hh_l0": 0 * b.detach()}
    state = None if h0 is None else (h0[None], c0[None])
    h, (h_T, c_T) = torch.func.functional_call(layer, weights, (x, state))
    return h, (h_T[0], c_T[0])


@pytest.mark.parametrize("return_sequences", [True, False])
def test_lstm(torch, device, return_sequences):
    def theirs(*given):
        h, _ = torch_lstm(torch, *given)
        return h if return_sequences else h[:, -1]

    check_op(torch, device, [(2, 5, FEATURES), *WEIGHTS], lambda *given: ops.lstm(*given, return_sequences=return_sequences),
             theirs)


def test_layers_one_above_the_other(torch, device):
    def theirs(x, *weights):
        h, _ = torch_lstm(torch, x, *weights[:3])
        return torch_lstm(torch, h, *weights[3:])[0]

    check_op(torch, device, [(2, 5, FEATURES), *WEIGHTS, (UNITS, 8), (2, 8), (8,)],
             lambda x, *weights: ops.lstm_stack(x, [weights[:3], weights[3:]]), theirs)


@pytest.mark.parametrize("use", ["the hidden states", "the last hidden state", "the last cell", "all"])
@pytest.mark.parametrize("steps", [1, 5])
def test_state_in_and_out(torch, device, use, steps):
    """Values, and the gradients of x, the weights, h0 and c0, whichever of the results they come from."""
    def chosen(h, state, concat):
        h_T, c_T = state
        return {"the hidden states": h, "the last hidden state": h_T, "the last cell": c_T,
                "all": concat([h[:, -1], h_T, c_T])}[use]

    def ours(x, w, u, b, h0, c0):
        return chosen(*ops.lstm(x, w, u, b, state=(h0, c0), return_state=True), lambda parts: ops.concat(parts, axis=1))

    def theirs(*given):
        return chosen(*torch_lstm(torch, *given), lambda parts: torch.cat(parts, dim=1))

    check_op(torch, device, [(2, steps, FEATURES), *WEIGHTS, *STATE], ours, theirs)


def test_the_result_is_the_callers_to_change(device):
    def gradient(spoil):
        x, *weights = (Tensor(a, requires_grad=True, device=device) for a in random_arrays([(2, 7, FEATURES), *WEIGHTS]))
        y = ops.lstm(x, *weights)
        loss = y.sum()
        if spoil:
            y.detach()[...] = 0
        loss.backward()
        return [tensor.grad.cpu().numpy() for tensor in (x, *weights)]

    assert all(map(np.array_equal, gradient(spoil=True), gradient(spoil=False)))


def test_in_pieces_it_is_what_it_is_whole(device):
    x, *weights = (Tensor(a, requires_grad=True, device=device) for a in random_arrays([(2, 7, FEATURES), *WEIGHTS]))

    def whole():
        return ops.lstm(x, *weights)

    def in_pieces():
        first, state = ops.lstm(x[:, :3], *weights, return_state=True)
        second, state = ops.lstm(x[:, 3:4], *weights, state=state, return_state=True)
        return ops.concat([first, second, ops.lstm(x[:, 4:], *weights, state=state)], axis=1)

    found = []
    for read in (whole, in_pieces):
        h = read()
        (h * h).sum().backward()
        found.append([h.detach(), x.grad, *(weight.grad for weight in weights)])
        for tensor in (x, *weights):
            tensor.zero_grad()
    for one, other in zip(*found):
        np.testing.assert_allclose(one.cpu().numpy(), other.cpu().numpy(), rtol=1e-10, atol=1e-12)


def test_a_detached_state_carries_no_gradient(device):
    x, *weights = (Tensor(a, requires_grad=True, device=device) for a in random_arrays([(2, 4, FEATURES), *WEIGHTS]))
    _, state = ops.lstm(x[:, :2], *weights, return_state=True)
    ops.lstm(x[:, 2:], *weights, state=[part.detach() for part in state]).sum().backward()
    grad = x.grad.cpu().numpy()
    assert not grad[:, :2].any() and grad[:, 2:].all()


def test_a_backward_that_is_broken_off_leaves_nothing_for_the_next(device):
    x, *weights = (Tensor(a, requires_grad=True, device=device) for a in random_arrays([(2, 4, FEATURES), *WEIGHTS]))

    def fails(dy):
        raise ArithmeticError("in the middle of backward")

    h, (_, c_T) = ops.lstm(x, *weights, return_state=True)
    loss = c_T.sum() + Tensor.from_op("failing", h.array, (h,), fails).sum()     # c_T's gradient is on its way by then
    with pytest.raises(ArithmeticError):
        loss.backward()
    h.sum().backward()
    expected = Tensor(x.array, requires_grad=True)
    ops.lstm(expected, *weights).sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), expected.grad.cpu().numpy())


def test_a_layer_reads_on_from_its_state(device):
    layer = nn.LSTM(FEATURES, UNITS, return_sequences=False, return_state=True).to(device)
    x = Tensor(random_arrays([(2, 6, FEATURES)])[0].astype(np.float32), device=device)
    whole, _ = layer(x)
    _, state = layer(x[:, :4])
    rest, (h_T, c_T) = layer(x[:, 4:], state)
    np.testing.assert_allclose(rest.cpu().numpy(), whole.cpu().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(h_T.cpu().numpy(), rest.cpu().numpy())
    assert c_T.shape == (2, UNITS) and c_T.dtype == np.float32 and c_T.device == device
    assert "return_state=True" in repr(layer)


def zeros(*shape, dtype=np.float32):
    return Tensor(np.zeros(shape, dtype))


@pytest.mark.parametrize("state, error, message", [
    (zeros(2, UNITS), TypeError, r"lstm: state must be a pair \(h0, c0\) of Tensors, got Tensor"),
    ((zeros(2, UNITS),), TypeError, "of Tensors, got tuple of 1"),
    ((zeros(2, UNITS), None), TypeError, "lstm: c0 must be a Tensor, got NoneType"),
    ((zeros(2, UNITS), np.zeros((2, UNITS))), TypeError, "lstm: c0 must be a Tensor, got ndarray"),
    ((zeros(2, UNITS), zeros(2, UNITS, dtype=np.float64)), TypeError, "lstm: .*c0 is float64"),
    ((zeros(2, UNITS), zeros(2, UNITS, dtype=np.int64)), TypeError, "lstm: c0 is int64"),
    ((zeros(3, UNITS), zeros(2, UNITS)), ValueError, r"lstm: h0 must be \(batch, units\) = \(2, 4\), got \(3, 4\)"),
    ((zeros(2, UNITS), zeros(2, 1)), ValueError, r"lstm: c0 must be \(batch, units\) = \(2, 4\), got \(2, 1\)")])
def test_a_state_that_cannot_be(state, error, message):
    with pytest.raises(error, match=message):
        ops.lstm(zeros(2, 5, FEATURES), *(zeros(*shape) for shape in WEIGHTS), state=state)


def test_no_sequences_at_all(device):
    x, *weights = (Tensor(np.zeros(shape), requires_grad=True, device=device) for shape in [(0, 4, FEATURES), *WEIGHTS])
    h, (h_T, c_T) = ops.lstm(x, *weights, return_state=True)
    (h.sum() + c_T.sum()).backward()
    assert x.grad.shape == (0, 4, FEATURES) and h_T.shape == (0, UNITS) and not weights[0].grad.cpu().numpy().any()


class Reader(nn.Module):
    """Reads a sequence, then reads it again from where it ended."""

    def __init__(self):
        self.first, self.second = nn.LSTM(FEATURES, UNITS, return_state=True), nn.LSTM(FEATURES, UNITS, False)

    def forward(self, x):
        _, state = self.first(x)
        return self.second(x, state)


def test_a_network_that_hands_its_state_on_has_a_summary(capsys):
    nanoemo.summary(Reader(), (5, FEATURES))
    assert "first (LSTM)   (None, 5, 4)      128" in capsys.readouterr().out
    assert nn.output_shape(Reader(), (5, FEATURES)) == (UNITS,)
