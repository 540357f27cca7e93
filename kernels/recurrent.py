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

from nanoemo.kernels.threads import parallel, row_blocks

__all__ = ["lstm_forward", "lstm_backward", "lstm_forward_plain", "lstm_backward_plain"]

BLOCK_ROWS = 16         # sequences that a thread takes through time together


def check_lstm(x, w, u, b, h0, c0):
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
    check_lstm(x, w, u, b, h0, c0)
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


# The fast version. Four changes:
# 1. What does not wait for the step before is done for all steps at once: x w + b in forward; dw, du, db
#    and dx in backward. The bias is the weight of one more input that is always 1, so it costs no pass of
#    its own.
# 2. Inside, arrays are (gate, step, sequence, unit): at each step every gate is one contiguous piece. The
#    gates stand in the order output, input, forget, cell: the first three are sigmoids, the last three take
#    their gradient from dc. Every elementwise result goes into a buffer that is there already.
# 3. Blocks of 16 sequences go through time independently of each other, each on one thread.
# 4. The products over all steps are shared out gate by gate. BLAS threads no product itself: its threads
#    would have to meet at every step, and between products they spin on the cores that the loop is using.

def _by_gate(weights):
    """(in, 4u) in the order i f g o -> (4, in, u) in the order o i f g, each gate contiguous."""
    by_gate = weights.reshape(len(weights), 4, -1).transpose(1, 0, 2)
    return by_gate[[3, 0, 1, 2]].copy(order="C")


def _from_gates(gradient):
    """The inverse of `_by_gate`: (4, in, u) -> (in, 4u)."""
    return np.roll(gradient, -1, axis=0).transpose(1, 0, 2).reshape(gradient.shape[1], -1)


def _time_major_with_one(x):
    """(N, T, in) -> (T·N, in + 1), the last column 1 for the bias."""
    batch, steps, features = x.shape
    inputs = np.empty((steps, batch, features + 1), x.dtype)
    inputs[:, :, :features] = x.transpose(1, 0, 2)
    inputs[:, :, features] = 1
    return inputs.reshape(steps * batch, features + 1)


def _each_gate(left, right):
    """left @ right[gate] for the four gates, shared out over the threads."""
    product = np.empty((4, left.shape[0], right.shape[2]), left.dtype)
    parallel(lambda gate: np.matmul(left, right[gate], out=product[gate]), range(4))
    return product


def _blocks(batch):
    return row_blocks(batch, 1, BLOCK_ROWS)


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
    check_lstm(x, w, u, b, h0, c0)
    (batch, steps, _), units = x.shape, len(u)
    w_gates, u_gates = _by_gate(np.concatenate([w, b[None]])), _by_gate(u)
    w_gates[:3] *= 0.5                              # σ(z) = ½ tanh(z/2) + ½: halve z here, once
    u_gates[:3] *= 0.5
    gates = _each_gate(_time_major_with_one(x), w_gates).reshape(4, steps, batch, units)
    hidden = np.empty((steps + 1, batch, units), x.dtype)       # hidden[t] and cells[t] go into step t
    cells = np.empty_like(hidden)
    hidden[0] = 0 if h0 is None else h0
    cells[0] = 0 if c0 is None else c0
    h = np.empty((batch, steps, units), x.dtype)

    def run(rows):
        from_state = np.empty((4, *hidden[0, rows].shape), x.dtype)
        scratch = np.empty_like(from_state[0])
        for t in range(steps):
            z, c = gates[:, t, rows], cells[t + 1, rows]
            z += np.matmul(hidden[t, rows], u_gates, out=from_state)
            np.tanh(z, out=z)
            z[:3] *= 0.5
            z[:3] += 0.5
            o, i, f, g = z
            np.multiply(f, cells[t, rows], out=c)
            c += np.multiply(i, g, out=scratch)
            np.multiply(o, np.tanh(c, out=scratch), out=hidden[t + 1, rows])
        h[rows] = hidden[1:, rows].transpose(1, 0, 2)

    parallel(run, _blocks(batch))
    return (h, hidden[-1].copy(), cells[-1].copy()), (x, w, u, h, hidden[0].copy(), cells, gates)


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
    u_back = np.ascontiguousarray(_by_gate(u).transpose(0, 2, 1))   # BLAS is slower with a transposed factor
    dz = np.empty_like(gates)
    dh_before, dc_before = np.empty((2, batch, units), x.dtype)
    dh_before[:] = 0 if dh_T is None else dh_T
    dc_before[:] = 0 if dc_T is None else dc_T

    def run(rows):
        dh_t, dc = dh_before[rows], dc_before[rows]
        by_gate = np.empty((4, *dh_t.shape), x.dtype)
        tanh_c, scratch = np.empty((2, *dh_t.shape), x.dtype)
        for t in reversed(range(steps)):
            d = dz[:, t, rows]
            (o, i, f, g), (d_o, d_i, d_f, d_g) = gates[:, t, rows], d
            if dh is not None:
                dh_t += dh[rows, t]
            np.tanh(cells[t + 1, rows], out=tanh_c)
            np.multiply(tanh_c, tanh_c, out=scratch)            # dc += dh ∘ o ∘ (1 − tanh²c)
            np.subtract(1, scratch, out=scratch)
            scratch *= o
            scratch *= dh_t
            dc += scratch
            np.subtract(1, gates[:3, t, rows], out=d[:3])       # σ' = σ(1 − σ) for the three sigmoids
            d[:3] *= gates[:3, t, rows]
            np.multiply(g, g, out=d_g)                          # tanh' = 1 − tanh²
            np.subtract(1, d_g, out=d_g)
            d_o *= tanh_c
            d_o *= dh_t
            d_i *= g
            d_f *= cells[t, rows]
            d_g *= i
            d[1:] *= dc
            dc *= f
            np.add.reduce(np.matmul(d, u_back, out=by_gate), axis=0, out=dh_t)

    parallel(run, _blocks(batch))
    dz = dz.reshape(4, steps * batch, units)
    dx = dw = du = db = None
    if needs[0]:
        dx = _input_gradient(dz, w, x.shape)
    if needs[1] or needs[3]:
        dw = _from_gates(_each_gate(_time_major_with_one(x).T, dz))
        dw, db = dw[:features] if needs[1] else None, dw[features] if needs[3] else None
    if needs[2]:
        h_before = np.concatenate([h0[None], h[:, :-1].transpose(1, 0, 2)]).reshape(steps * batch, units)
        du = _from_gates(_each_gate(h_before.T, dz))
    return dx, dw, du, db, dh_before, dc_before


def _input_gradient(dz, w, shape):
    """dx = dz wᵀ, summed gate by gate, for blocks of steps: (4, T·N, u) -> (N, T, in)."""
    batch, steps, features = shape
    w_back, dz = _by_gate(w).transpose(0, 2, 1), dz.reshape(4, steps, batch, w.shape[1] // 4)
    dx = np.empty(shape, w.dtype)

    def run(part):
        total, product = np.empty((2, (part.stop - part.start) * batch, features), w.dtype)
        total[:] = 0
        for gate in range(4):
            total += np.matmul(dz[gate, part].reshape(len(total), dz.shape[3]), w_back[gate], out=product)
        dx[:, part] = total.reshape(part.stop - part.start, batch, features).transpose(1, 0, 2)

    parallel(run, row_blocks(steps, w.itemsize * batch * features))
    return dx
