"""Long short-term memory (Hochreiter and Schmidhuber 1997; the forget gate is of Gers and others 2000).

A layer of u units reads a sequence x₁ … x_T and carries two vectors from step to step, the hidden state h and
the cell c. Four gates are computed from the input and the hidden state before it:

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
"""
import numpy as np

__all__ = ["lstm_forward", "lstm_backward", "lstm_forward_plain", "lstm_backward_plain"]


def _check(x, w, u, b, h0, c0):
    if x.ndim != 3:
        raise ValueError(f"lstm: x must be (batch, steps, features), got shape {x.shape}")
    if x.shape[1] < 1:
        raise ValueError(f"lstm: x of shape {x.shape} has no time steps (axis 1)")
    if u.ndim != 2 or u.shape[1] != 4 * u.shape[0]:
        raise ValueError(f"lstm: u must be (units, 4·units), got shape {u.shape}")
    units = len(u)
    if w.shape != (x.shape[2], 4 * units):
        raise ValueError(f"lstm: x has {x.shape[2]} features (last axis of {x.shape}) and u has {units} "
                         f"units, so w must be {(x.shape[2], 4 * units)}; got {w.shape}")
    if b.shape != (4 * units,):
        raise ValueError(f"lstm: b must be {(4 * units,)}, four for each of {units} units; got {b.shape}")
    for name, state in (("h0", h0), ("c0", c0)):
        if state is not None and state.shape != (len(x), units):
            raise ValueError(f"lstm: {name} must be (batch, units) = {(len(x), units)}, got {state.shape}")


def _zeros_if_none(state, shape, dtype):
    return np.zeros(shape, dtype) if state is None else state


def _sigmoid(z):
    """σ(z) = (1 + tanh(z/2)) / 2, which cannot overflow as exp(−z) can."""
    return 0.5 * np.tanh(0.5 * z) + 0.5


def lstm_forward_plain(x, w, u, b, h0=None, c0=None):
    """The definition: one time step after another, as in the equations above.

    Arguments and results are those of `lstm_forward`; the cache is this version's own.
    """
    _check(x, w, u, b, h0, c0)
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


# The fast version. Three changes:
# 1. What does not wait for the step before is one matrix product over all steps: x w in forward; dw, du, db
#    and dx in backward. Only h u and dz uᵀ stay inside the loop over time. The bias is the weight of one more
#    input that is always 1, so neither b nor db costs a pass of its own.
# 2. Inside, arrays are (step, sequence, …), so that what one step reads and writes is one contiguous piece
#    that fits the level-2 cache. Every elementwise result goes into a buffer that is there already.
# 3. One call of tanh serves all gates: σ and tanh are both s·tanh(s·z) + (1 − s), with s = ½ for σ and 1 for
#    tanh. s is multiplied into the weights beforehand.
# The loop over time is not shared out over Python threads: its elementwise calls last some microseconds each,
# and handing the interpreter lock to and fro costs as much. The matrix products run on BLAS's own threads.

def _time_major_with_one(x):
    """(N, T, in) -> (T·N, in + 1), the last column 1 for the bias."""
    batch, steps, features = x.shape
    inputs = np.empty((steps, batch, features + 1), x.dtype)
    inputs[:, :, :features] = x.transpose(1, 0, 2)
    inputs[:, :, features] = 1
    return inputs.reshape(-1, features + 1)


def lstm_forward(x, w, u, b, h0=None, c0=None):
    """One LSTM layer over a batch of sequences.

    x: (N, T, in); w: (in, 4u), u: (u, 4u), b: (4u,), gates in the order input, forget, cell, output; h0 and
    c0: (N, u), zeros where None. Returns ((h, h_T, c_T), cache) with h (N, T, u) every hidden state, and h_T,
    c_T (N, u) the last ones. Raises ValueError where shapes do not fit.

    Floor: 8·N·T·u·(in + u) flops of matrix products; memory traffic 4·N·T·(2·in + 14u) bytes in float32.

    >>> import numpy as np
    >>> x, w, u, b = np.ones((2, 5, 3)), np.zeros((3, 16)), np.zeros((4, 16)), np.zeros(16)
    >>> (h, h_T, c_T), cache = lstm_forward(x, w, u, b, None, np.ones((2, 4)))
    >>> h.shape, float(c_T[0, 0] * 2**5)            # the forget gate is σ(0) = ½ at each of 5 steps
    ((2, 5, 4), 1.0)
    """
    _check(x, w, u, b, h0, c0)
    (batch, steps, _), units = x.shape, len(u)
    scale = np.repeat(np.array([0.5, 0.5, 1, 0.5], x.dtype), units)
    shift = 1 - scale
    w_scaled, u_scaled = np.concatenate([w, b[None]]) * scale, u * scale
    gates = (_time_major_with_one(x) @ w_scaled).reshape(steps, batch, 4 * units)
    hidden, cells = np.empty((2, steps + 1, batch, units), x.dtype)
    hidden[0] = 0 if h0 is None else h0
    cells[0] = 0 if c0 is None else c0
    from_hidden, scratch = np.empty_like(gates[0]), np.empty_like(cells[0])
    for t in range(steps):
        z, c = gates[t], cells[t + 1]
        z += np.matmul(hidden[t], u_scaled, out=from_hidden)
        np.tanh(z, out=z)
        z *= scale
        z += shift
        i, f, g, o = _split(z)
        np.multiply(f, cells[t], out=c)
        c += np.multiply(i, g, out=scratch)
        np.multiply(o, np.tanh(c, out=scratch), out=hidden[t + 1])
    h = np.ascontiguousarray(hidden[1:].transpose(1, 0, 2))
    return (h, hidden[-1].copy(), cells[-1].copy()), (x, w, u, h, hidden[0].copy(), cells, gates)


def _split(z):
    """The four gates' columns of (N, 4u), as views."""
    units = z.shape[1] // 4
    return z[:, :units], z[:, units:2 * units], z[:, 2 * units:3 * units], z[:, 3 * units:]


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
    x, w, u, h, h0, cells, gates = cache
    (batch, steps, features), units = x.shape, len(u)
    u_back = np.ascontiguousarray(u.T)              # on few rows BLAS is slower with a transposed factor
    dz = np.empty_like(gates)
    dh_t, dc, tanh_c, dc_from_h = np.empty((4, batch, units), x.dtype)
    dh_t[:] = 0 if dh_T is None else dh_T
    dc[:] = 0 if dc_T is None else dc_T
    for t in reversed(range(steps)):
        i, f, g, o = _split(gates[t])
        dz_i, dz_f, dz_g, dz_o = _split(dz[t])
        if dh is not None:
            dh_t += dh[:, t]
        np.tanh(cells[t + 1], out=tanh_c)
        np.multiply(tanh_c, tanh_c, out=dc_from_h)
        np.subtract(1, dc_from_h, out=dc_from_h)
        dc_from_h *= o
        dc_from_h *= dh_t
        dc += dc_from_h
        _derivatives(gates[t], dz[t])
        dz_i *= g
        dz_f *= cells[t]
        dz_g *= i
        for dz_gate in (dz_i, dz_f, dz_g):
            dz_gate *= dc
        dz_o *= tanh_c
        dz_o *= dh_t
        dc *= f
        np.matmul(dz[t], u_back, out=dh_t)
    dz = dz.reshape(steps * batch, 4 * units)
    dx = dw = du = db = None
    if needs[0]:
        dx = (dz @ w.T).reshape(steps, batch, features).transpose(1, 0, 2).copy(order="C")
    if needs[1] or needs[3]:
        dw_db = _time_major_with_one(x).T @ dz
        dw, db = dw_db[:features] if needs[1] else None, dw_db[features] if needs[3] else None
    if needs[2]:
        hidden = np.concatenate([h0[None], h[:, :-1].transpose(1, 0, 2)]).reshape(-1, units)
        du = hidden.T @ dz
    return dx, dw, du, db, dh_t, dc


def _derivatives(gates, out):
    """σ' = σ − σ² for the input, forget and output gates, tanh' = 1 − tanh² for the cell gate."""
    np.multiply(gates, gates, out=out)
    i, f, g, o = _split(gates)
    d_i, d_f, d_g, d_o = _split(out)
    np.subtract(i, d_i, out=d_i)
    np.subtract(f, d_f, out=d_f)
    np.subtract(1, d_g, out=d_g)
    np.subtract(o, d_o, out=d_o)
