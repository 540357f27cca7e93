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
from threading import Lock

import numpy as np

from nanoemo.kernels.memory import aligned
from nanoemo.kernels.threads import beside, parallel, row_blocks, sum_of

__all__ = ["lstm_forward", "lstm_backward", "lstm_forward_plain", "lstm_backward_plain"]

BLOCK_STATES = 4096         # sequences times units that a thread takes through time together, about
PIECE = 64                  # columns of a product with the state that are one call of BLAS
PARTS = 8                   # of the time, in which backward sums up the gradients of weights and inputs


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


# The fast version. Five changes:
# 1. What does not wait for the step before is one large product for many steps: x w + b in forward; dw, du, db
#    and dx in backward. The bias is the weight of one more input that is always 1, so it costs no pass of its
#    own, and in backward the state before each step is further inputs: one product gives dw, db and du.
# 2. In the loop arrays are (gate, sequence, unit), so that every gate is one contiguous piece, and the gates
#    stand in the order output, input, forget, cell: the first three are sigmoids, the last three take their
#    gradient from dc. Every elementwise result goes into a buffer that is there already, and a step's gates are
#    worked on in one that stays in the level-1 and level-2 cache, and put away at the end.
# 3. Forward, blocks of sequences go through time independently of each other, each on one thread. Threads that make
#    short calls wait for each other at the interpreter's lock, at every call. So they take turns: one has the
#    elementwise part of its step while another is in its product. And blocks are of about 4096 states, not less:
#    with 128 units one thread with 32 sequences is still faster than two with 16. Backward there are large products
#    as well: one thread walks through time, and the others sum up the parts of it that it has passed.
# 4. A step's product with the state has few rows: copying u into the order that BLAS works in, as it does
#    for large products, takes half as long as the product. Under 100³ multiplications OpenBLAS does not copy
#    where the processor has AVX-512, so u is laid out once in pieces of 64 columns, a product each, which begin at
#    a line of the cache (kernels/memory.py), as does all that a step works in.
# 5. BLAS threads no product itself: its threads would have to meet at every step, and between products they
#    spin on the cores that the others are using.

def _by_gate(weights):
    """(in, 4u), gates in the order i f g o -> (4, in, u) in the order o i f g, each gate contiguous."""
    return _reordered(weights).reshape(len(weights), 4, -1).transpose(1, 0, 2).copy()


def _reordered(weights):
    """(in, 4u), gates in the order i f g o -> o i f g."""
    return np.roll(weights.reshape(len(weights), 4, -1), 1, axis=1).reshape(weights.shape)


def _restored(gradient):
    """The inverse of `_reordered`."""
    return np.roll(gradient.reshape(len(gradient), 4, -1), -1, axis=1).reshape(gradient.shape)


def _in_pieces(weights):
    """(4, in, u) -> (4, u / PIECE, in, PIECE); one piece where u is no multiple of PIECE."""
    gates, rows, units = weights.shape
    width = PIECE if units % PIECE == 0 else units
    pieces = aligned((gates, units // width, rows, width), weights.dtype)
    np.copyto(pieces, weights.reshape(gates, rows, -1, width).transpose(0, 2, 1, 3))
    return pieces


def _pieces_of(product, weights):
    """A view of (4, N, u) as the (4, u / PIECE, N, PIECE) that a product with `_in_pieces` weights is."""
    _, count, _, width = weights.shape
    return product.reshape(4, -1, count, width).transpose(0, 2, 1, 3)


def _inputs(x, part, h=None, h0=None):
    """What the weights are multiplied with in the steps `part`, (T·N, in + 1): x (N, ·, in) and a 1 for the bias.
    With h and h0 the state before each step stands beside them: (T·N, in + 1 + u)."""
    batch, _, features = x.shape
    width = features + 1 + (0 if h is None else h.shape[2])
    inputs = np.empty((part.stop - part.start, batch, width), x.dtype)
    inputs[:, :, :features] = x[:, part].transpose(1, 0, 2)
    inputs[:, :, features] = 1
    if h is not None:
        inputs[0, :, features + 1:] = h[:, part.start - 1] if part.start else h0
        inputs[1:, :, features + 1:] = h[:, part.start:part.stop - 1].transpose(1, 0, 2)
    return inputs.reshape(-1, width)


def _each_gate(left, right):
    """left @ right[gate] for the four gates, shared out over the threads."""
    product = aligned((4, left.shape[0], right.shape[2]), left.dtype)
    parallel(lambda gate: np.matmul(left, right[gate], out=product[gate]), range(4))
    return product


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
    w_gates, u_gates = _by_gate(np.concatenate([w, b[None]])), _in_pieces(_by_gate(u))
    w_gates[:3] *= 0.5                              # σ(z) = ½ tanh(z/2) + ½: halve z here, once
    u_gates[:3] *= 0.5
    gates = _each_gate(_inputs(x, slice(0, steps)), w_gates).reshape(4, steps, batch, units)
    h = np.empty((batch, steps, units), x.dtype)
    cells = aligned((steps + 1, batch, units), x.dtype)         # cells[t] goes into step t
    cells[0] = 0 if c0 is None else c0
    h_last = aligned((batch, units), x.dtype)
    h_last[:] = 0 if h0 is None else h0
    h0, turn = h_last.copy(), Lock()

    def run(rows):
        hidden = h_last[rows]
        z, scratch = aligned((4, *hidden.shape), x.dtype), aligned(hidden.shape, x.dtype)
        pieces, sigmoids, (o, i, f, g) = _pieces_of(z, u_gates), z[:3], z
        each_step = zip(gates[:, :, rows].swapaxes(0, 1), cells[:, rows], cells[1:, rows], h[rows].swapaxes(0, 1))
        for gates_t, c_before, c, h_t in each_step:
            np.matmul(hidden, u_gates, out=pieces)
            with turn:
                z += gates_t
                np.tanh(z, out=z)
                sigmoids *= 0.5
                sigmoids += 0.5
                gates_t[...] = z
                np.multiply(f, c_before, out=c)
                c += np.multiply(i, g, out=scratch)
                np.multiply(o, np.tanh(c, out=scratch), out=hidden)
                h_t[...] = hidden

    parallel(run, row_blocks(batch, 1, max(1, BLOCK_STATES // units)))
    return (h, h_last, cells[-1].copy()), (x, w, u, h, h0, cells, gates)


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
    u_back, w_back = _in_pieces(_by_gate(u).swapaxes(1, 2)), _reordered(w).T
    dz = aligned((steps, batch, 4, units), x.dtype)
    dx = np.empty_like(x) if needs[0] else None
    dh_before, dc_before = aligned((2, batch, units), x.dtype)
    dh_before[:] = 0 if dh_T is None else dh_T
    dc_before[:] = 0 if dc_T is None else dc_T

    def walk_back(part):
        dh_t, dc, (p, q) = dh_before, dc_before, aligned((2, batch, units), x.dtype)
        d, by_gate = aligned((2, 4, batch, units), x.dtype)
        pieces, (d_o, d_i, d_f, d_g) = _pieces_of(by_gate, u_back), d
        for t in reversed(range(part.start, part.stop)):
            o, i, f, g = gates[:, t]
            if dh is not None:
                dh_t += dh[:, t]
            np.subtract(1, gates[:3, t], out=d[:3])             # 1 − σ, for σ' = σ(1 − σ)
            tanh_c = np.tanh(cells[t + 1], out=d_g)
            np.multiply(dh_t, o, out=p)
            np.multiply(p, tanh_c, out=q)                       # q = dh ∘ o ∘ tanh c
            d_o *= q
            q *= tanh_c
            p -= q                                              # p = dh ∘ o ∘ (1 − tanh²c)
            dc += p
            np.multiply(dc, i, out=p)                           # p = dc ∘ i
            np.multiply(p, g, out=q)                            # q = dc ∘ i ∘ g
            d_i *= q
            q *= g
            np.subtract(p, q, out=d_g)                          # dc ∘ i ∘ (1 − g²)
            d_f *= cells[t]
            dc *= f
            d_f *= dc
            dz[t] = d.swapaxes(0, 1)
            np.matmul(d[:, None], u_back, out=pieces)
            np.add.reduce(by_gate, axis=0, out=dh_t)

    def sum_up(part):
        """dx of some steps, and their share of the gradients of all weights, (in + 1 + u, 4u)."""
        dz_part = dz[part].reshape(-1, 4 * units)
        if needs[0]:
            dx[:, part] = (dz_part @ w_back).reshape(part.stop - part.start, batch, features).swapaxes(0, 1)
        return _inputs(x, part, h, h0).T @ dz_part if any(needs[1:]) else 0

    shares = []
    with beside(sum_up) as start:
        for part in reversed(row_blocks(steps, 1, -(-steps // PARTS))):
            walk_back(part)
            shares.append(start(part))
    shares = [share.result() for share in shares]
    dw = du = db = None
    if any(needs[1:]):
        gradient = _restored(sum_of(shares))
        each = gradient[:features], gradient[features + 1:], gradient[features]
        dw, du, db = (part if need else None for part, need in zip(each, needs[1:]))
    return dx, dw, du, db, dh_before, dc_before
