"""The LSTM, which reads a sequence and carries a state from step to step. Its kernels are in kernels/recurrent.py."""
import numpy as np

from nanoemo import backend, live, random
from nanoemo.kernels.dropout import check_p
from nanoemo.ops.common import floats_only, same_device, same_dtype
from nanoemo.tensor import Tensor

__all__ = ["lstm", "lstm_stack"]


def lstm(x, w, u, b, return_sequences=True, state=None, return_state=False):
    """Long short-term memory, Hochreiter & Schmidhuber 1997 with a forget gate.

    x: (N, T, C); w: (C, 4u); u: (u, 4u); b: (4u,), gates in the order input, forget, cell, output
    state: (h0, c0), each (N, u), the hidden state and the cell to begin with; zeros where None
    Returns all hidden states (N, T, u), or the last one (N, u) where return_sequences is False; with return_state that and
    (h_T, c_T), from which the next call can go on where this one ended. Gradients flow out through (h_T, c_T) and into
    (h0, c0); a detached state carries memories and no gradients (truncated backpropagation through time).

    Raises TypeError and RuntimeError for arguments that are no float tensors of one dtype and device, ValueError where
    shapes do not fit.

    >>> from nanoemo import Tensor, ops
    >>> import numpy as np
    >>> x, w, u, b = (Tensor(np.zeros(s, np.float32)) for s in ((2, 5, 3), (3, 16), (4, 16), (16,)))
    >>> ops.lstm(x, w, u, b).shape, ops.lstm(x, w, u, b, return_sequences=False).shape
    ((2, 5, 4), (2, 4))
    >>> first, state = ops.lstm(x[:, :3], w, u, b, return_state=True)
    >>> ops.lstm(x[:, 3:], w, u, b, state=state).shape
    (2, 2, 4)
    """
    h0, c0 = (None, None) if state is None else _pair(state)
    given = {"x": x, "w": w, "u": u, "b": b} | ({} if state is None else {"h0": h0, "c0": c0})
    device = _device_of(**given)
    inputs = tuple(given.values())
    (h, _, c_T), cache = backend.kernel("lstm_forward", device)(*(tensor.array for tensor in inputs))
    lstm_backward = backend.kernel("lstm_backward", device)
    needs = tuple(tensor.requires_grad for tensor in inputs[:4])
    steps = h.shape[1]
    if return_state:        # an operation of the graph has one result: the last cell is put behind the last hidden state
        h = backend.array_module(h).concatenate([h, c_T[:, None]], axis=1)

    def backward(dy):
        dc_T = dy[:, steps] if return_state else None
        return lstm_backward(dy[:, :steps], None, dc_T, cache, needs=needs)[:len(inputs)]

    result = Tensor.from_op("lstm", h, inputs, backward, saved=(x, w, u))
    sequence = result[:, :steps] if return_state else result
    output = sequence if return_sequences else sequence[:, -1]
    return (output, (sequence[:, -1], result[:, steps])) if return_state else output


def lstm_stack(x, weights, dropouts=None):
    """LSTM layers one above the other, dropout between them: what `lstm` and `dropout` give one by one, in less time.

    x: (N, T, C); weights: list of (w, u, b), those of `lstm`, the lowest layer first; dropouts: for each place between
    two layers the probability of dropping a value; None means 0 everywhere
    Returns the highest layer's hidden states (N, T, u). Raises as `lstm` and `dropout` do, and TypeError where there are not as
    many probabilities as places.

    >>> from nanoemo import Tensor, ops
    >>> import numpy as np
    >>> layer = [Tensor(np.zeros(shape, np.float32)) for shape in ((4, 16), (4, 16), (16,))]
    >>> ops.lstm_stack(Tensor(np.ones((2, 5, 4), np.float32)), [layer, layer], dropouts=[0.2]).shape
    (2, 5, 4)
    """
    if not _is_list(weights) or not weights or not all(_is_list(each) and len(each) == 3 for each in weights):
        raise TypeError("lstm_stack: weights must be a list of (w, u, b), one for each layer")
    dropouts = [0] * (len(weights) - 1) if dropouts is None else dropouts
    if not _is_list(dropouts) or len(dropouts) != len(weights) - 1:
        raise TypeError("lstm_stack: dropouts must be a list of probabilities, one for each place between two layers; "
                        f"{len(weights)} layers have {len(weights) - 1}, got {dropouts!r}")
    for p in dropouts:
        check_p(p)
    for w, u, b in weights:             # errors name the layer's operation
        device = _device_of(x=x, w=w, u=u, b=b)
    inputs = (x, *(tensor for each in weights for tensor in each))
    arrays = [tuple(tensor.array for tensor in each) for each in weights]
    seeded = [(float(p), live.number(random.next_seed, np.uint64) if p else 0) for p in dropouts]
    h, cache = backend.kernel("lstm_stack_forward", device)(x.array, arrays, seeded)
    lstm_stack_backward = backend.kernel("lstm_stack_backward", device)
    needs = tuple(tensor.requires_grad for tensor in inputs)
    saved = (x, *(tensor for w, u, _ in weights for tensor in (w, u)))
    return Tensor.from_op("lstm_stack", h, inputs, lambda dh: lstm_stack_backward(dh, cache, needs=needs), saved=saved)


def _device_of(**given):
    """The device of a layer's tensors, which must be floats of one dtype on one device."""
    device = same_device("lstm", **given)
    floats_only("lstm", **given)
    same_dtype("lstm", **given)
    return device


def _is_list(value):
    return isinstance(value, (tuple, list))


def _pair(state):
    """`state`, if it is a list or tuple of two; TypeError otherwise."""
    if not _is_list(state) or len(state) != 2:
        raise TypeError(f"lstm: state must be a pair (h0, c0) of Tensors, got {type(state).__name__}"
                        + (f" of {len(state)}" if _is_list(state) else ""))
    return state
