"""Long short-term memory (Hochreiter and Schmidhuber 1997; the forget gate is from Gers and others 2000).

A layer of u units reads a sequence x₁ … x_T and carries two vectors from step to step, the hidden state h and
the cell c. Four gates are computed from the input and the previous hidden state:

    z_t = x_t w + h_{t−1} u + b               w: (in, 4u), u: (u, 4u), b: (4u,)
    i, f, g, o = σ(z_i), σ(z_f), tanh(z_g), σ(z_o)      input, forget, cell, output
    c_t = f ∘ c_{t−1} + i ∘ g                 forget some of the old, add some of the new
    h_t = o ∘ tanh(c_t)                       show some of it

Backward through time: from the last step to the first, with dh and dc what later steps sent back,

    dh += dy_t                                dc += dh ∘ o ∘ (1 − tanh²c_t)
    dz_o = dh ∘ tanh(c_t) ∘ o(1 − o)          dz_i = dc ∘ g ∘ i(1 − i)
    dz_f = dc ∘ c_{t−1} ∘ f(1 − f)            dz_g = dc ∘ i ∘ (1 − g²)
    dh ← dz uᵀ,  dc ← dc ∘ f                  for step t − 1

and over all steps  dw = Σ x_tᵀ dz_t,  du = Σ h_{t−1}ᵀ dz_t,  db = Σ dz_t,  dx_t = dz_t wᵀ.

Layers one above the other, each reading the hidden states of the one below, with dropout between them, are an operation of
their own, `lstm_stack`: a layer need not wait until the one below has read everything.

Here are the definitions. The fast versions are in kernels/recurrent_walk.py, the arithmetic of one layer, and
kernels/recurrent_stack.py, how layers, and parts of the time, are shared among the threads.
"""
import numpy as np

from nanoemo.kernels.dropout import check_p, dropout_backward_plain, dropout_forward_plain
from nanoemo.kernels.recurrent_stack import stack_backward, stack_forward

__all__ = ["lstm_backward", "lstm_backward_plain", "lstm_forward", "lstm_forward_plain", "lstm_stack_backward",
           "lstm_stack_backward_plain", "lstm_stack_forward", "lstm_stack_forward_plain"]


def check_lstm(x_shape, w, u, b, h0=None, c0=None):
    """Raise ValueError where the shapes of a layer's arguments, those of `lstm_forward`, do not fit together."""
    if len(x_shape) != 3:
        raise ValueError(f"lstm: x must be (batch, steps, features), got shape {x_shape}")
    if x_shape[1] < 1:
        raise ValueError(f"lstm: x of shape {x_shape} has no time steps (axis 1)")
    if u.ndim != 2 or u.shape[1] != 4 * u.shape[0]:
        raise ValueError(f"lstm: u must be (units, 4·units), got shape {u.shape}")
    units = len(u)
    if w.shape != (x_shape[2], 4 * units):
        raise ValueError(f"lstm: x has {x_shape[2]} features (last axis of {x_shape}) and u has {units} "
                         f"units, so w must be {(x_shape[2], 4 * units)}; got {w.shape}")
    if b.shape != (4 * units,):
        raise ValueError(f"lstm: b must be {(4 * units,)}, four for each of {units} units; got {b.shape}")
    for name, state in (("h0", h0), ("c0", c0)):
        if state is not None and state.shape != (x_shape[0], units):
            raise ValueError(f"lstm: {name} must be (batch, units) = {(x_shape[0], units)}, got {state.shape}")


def check_lstm_stack(x, weights, dropouts):
    """Raise ValueError for no layer, too few or too many dropouts, and for a layer whose shapes do not fit (`check_lstm`)."""
    if not weights:
        raise ValueError("lstm_stack: weights must be (w, u, b) of one layer at least, got none")
    if len(dropouts) != len(weights) - 1:
        raise ValueError(f"lstm_stack: {len(weights)} layers have {len(weights) - 1} places between them, so as many pairs "
                         f"(p, seed) are needed; got {len(dropouts)}")
    for p, _ in dropouts:
        check_p(p)
    shape = x.shape
    for w, u, b in weights:
        check_lstm(shape, w, u, b)
        shape = (*shape[:2], len(u))


def _zeros_if_none(state, shape, dtype):
    return np.zeros(shape, dtype) if state is None else state


def _sigmoid(z):
    """σ(z) = (1 + tanh(z/2)) / 2, which cannot overflow as exp(−z) can."""
    return 0.5 * np.tanh(0.5 * z) + 0.5


def lstm_forward_plain(x, w, u, b, h0=None, c0=None):
    """The definition: one time step after another, as in the equations above.

    Arguments and results are those of `lstm_forward`; the cache is this version's own.
    """
    check_lstm(x.shape, w, u, b, h0, c0)
    batch, steps, _ = x.shape
    h = _zeros_if_none(h0, (batch, len(u)), x.dtype)
    c = _zeros_if_none(c0, (batch, len(u)), x.dtype)
    saved, outputs = [], []
    for t in range(steps):
        z_i, z_f, z_g, z_o = np.split(x[:, t] @ w + h @ u + b, 4, axis=1)
        i, f, g, o = _sigmoid(z_i), _sigmoid(z_f), np.tanh(z_g), _sigmoid(z_o)
        saved.append((h, c, i, f, g, o))
        c = f * c + i * g
        h = o * np.tanh(c)
        outputs.append(h)
    return (np.stack(outputs, axis=1), h, c), (x, w, u, saved)


def lstm_backward_plain(dh, dh_T, dc_T, cache, needs=(True, True, True, True)):
    """The definition, from the last step to the first. Arguments and results are those of `lstm_backward`."""
    x, w, u, saved = cache
    state = (len(x), len(u))
    dx, dw, du, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros(u.shape[1], u.dtype)
    dh_later, dc = (_zeros_if_none(d, state, x.dtype) for d in (dh_T, dc_T))
    for t in reversed(range(x.shape[1])):
        h_before, c_before, i, f, g, o = saved[t]
        tanh_c = np.tanh(f * c_before + i * g)
        dh_t = dh_later if dh is None else dh_later + dh[:, t]
        dc = dc + dh_t * o * (1 - tanh_c**2)
        dz = np.concatenate([dc * g * i * (1 - i), dc * c_before * f * (1 - f),
                             dc * i * (1 - g**2), dh_t * tanh_c * o * (1 - o)], axis=1)
        dx[:, t] = dz @ w.T
        dw += x[:, t].T @ dz
        du += h_before.T @ dz
        db += dz.sum(axis=0)
        dh_later, dc = dz @ u.T, dc * f
    wanted = (gradient if need else None for gradient, need in zip((dx, dw, du, db), needs))
    return (*wanted, dh_later, dc)


def lstm_forward(x, w, u, b, h0=None, c0=None):
    """One LSTM layer over a batch of sequences.

    x: (N, T, in); w: (in, 4u), u: (u, 4u), b: (4u,), gates in the order input, forget, cell, output; h0 and
    c0: (N, u), zeros where None. Returns ((h, h_T, c_T), cache) with h (N, T, u) every hidden state, and h_T,
    c_T (N, u) the last ones. Raises ValueError where shapes do not fit.

    Floor: 8·N·T·u·(in + u) flops of matrix products; memory traffic 4·N·T·(2·in + 16u) bytes in float32.

    >>> import numpy as np
    >>> x, w, u, b = np.ones((2, 5, 3)), np.zeros((3, 16)), np.zeros((4, 16)), np.zeros(16)
    >>> (h, h_T, c_T), cache = lstm_forward(x, w, u, b, None, np.ones((2, 4)))
    >>> h.shape, float(c_T[0, 0] * 2**5)            # the forget gate is σ(0) = ½ at each of 5 steps
    ((2, 5, 4), 1.0)
    """
    check_lstm(x.shape, w, u, b, h0, c0)
    return stack_forward(x, [(w, u, b)], (), h0, c0)


def lstm_backward(dh, dh_T, dc_T, cache, needs=(True, True, True, True)):
    """Gradients of `lstm_forward`, backward through time.

    dh: (N, T, u), dh_T and dc_T: (N, u), the gradients of the three results; any may be None (result not
    used). Returns (dx, dw, du, db, dh0, dc0); the first four are None where `needs` says so.

    Floor: 16·N·T·u·(in + u) flops of matrix products; memory traffic 4·N·T·(2·in + 20u) bytes in float32.

    >>> import numpy as np
    >>> x, w, u, b = np.ones((2, 5, 3)), np.zeros((3, 16)), np.zeros((4, 16)), np.zeros(16)
    >>> (h, h_T, c_T), cache = lstm_forward(x, w, u, b, None, np.ones((2, 4)))
    >>> dx, dw, du, db, dh0, dc0 = lstm_backward(None, None, np.ones((2, 4)), cache)
    >>> float(dc0[0, 0] * 2**5)
    1.0
    """
    gradients, state = stack_backward(dh, dh_T, dc_T, cache, needs)
    return *gradients, *state


def layer_by_layer(lstm_forward, dropout_forward, x, weights, dropouts):
    """`lstm_stack_forward` by its definition, with these two kernels."""
    check_lstm_stack(x, weights, dropouts)
    caches, dropped = [], None
    for depth, each in enumerate(weights):
        if depth:
            x, dropped = dropout_forward(x, *dropouts[depth - 1])
        (x, _, _), cache = lstm_forward(x, *each)
        caches.append((dropped, cache))
    return x, caches


def layer_by_layer_back(lstm_backward, dropout_backward, dh, caches, needs):
    """`lstm_stack_backward` by its definition, with these two kernels."""
    gradients = []
    for depth, (dropped, cache) in reversed(list(enumerate(caches))):
        needs_of_layer = depth > 0 or needs[0], *needs[1 + 3 * depth:4 + 3 * depth]
        dh, *of_weights, _, _ = lstm_backward(dh, None, None, cache, needs=needs_of_layer)
        gradients = of_weights + gradients
        if depth:
            dh = dropout_backward(dh, dropped)
    return dh, *gradients


def lstm_stack_forward_plain(x, weights, dropouts):
    """The definition: one layer after another. Arguments and results are those of `lstm_stack_forward`."""
    return layer_by_layer(lstm_forward_plain, dropout_forward_plain, x, weights, dropouts)


def lstm_stack_backward_plain(dh, cache, needs):
    """The definition. Arguments and results are those of `lstm_stack_backward`."""
    return layer_by_layer_back(lstm_backward_plain, dropout_backward_plain, dh, cache, needs)


def lstm_stack_forward(x, weights, dropouts):
    """LSTM layers one above the other, with dropout between them.

    x: (N, T, in); weights: (w, u, b) of each layer, the inputs of one being the units of the one below; dropouts: (p, seed)
    for each place between two layers, as in `dropout_forward`. Returns (h, cache) with h (N, T, u) every hidden state of the
    highest layer. Raises ValueError where shapes do not fit or there are not as many dropouts as places.

    Floor: that of the layers, less 8 bytes for each hidden state between them, which are not written and read once more.

    >>> import numpy as np
    >>> lower, higher = ([np.zeros(shape) for shape in ((3, 4 * u), (u, 4 * u), (4 * u,))] for u in (3, 5))
    >>> h, cache = lstm_stack_forward(np.ones((2, 7, 3)), [lower, higher], [(0.5, 1)])
    >>> h.shape
    (2, 7, 5)
    """
    check_lstm_stack(x, weights, dropouts)
    (h, _, _), cache = stack_forward(x, weights, dropouts)
    return h, cache


def lstm_stack_backward(dh, cache, needs):
    """Gradients of `lstm_stack_forward`: (dx, dw, du, db, dw, du, db, …), the lowest layer first.

    dh: (N, T, u); needs: which of the gradients are wanted, in their order; the others are None.
    """
    gradients, _ = stack_backward(dh, None, None, cache, needs)
    return gradients
