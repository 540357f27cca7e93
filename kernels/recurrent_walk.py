"""The fast version of the LSTM, one layer (kernels/recurrent.py has the equations, kernels/recurrent_stack.py puts it together).

Five changes to the definition:

1. What does not wait for the step before is one large product for many steps: x w + b in forward; dw, du, db and dx in
   backward. The bias is the weight of one more input that is always 1, so it costs no pass of its own.
2. Only h u and the elementwise work are left in the loop. There arrays are (gate, sequence, unit), so that every gate is one
   contiguous piece, and the gates stand in the order output, input, forget, cell: the first three are sigmoids, the last
   three take their gradient from dc. Every result goes into a buffer that is there already.
3. Time is cut into parts. The large products of a part are a `Task` (kernels/tasks.py) and the walk through it is another, so
   that they are done beside the walk through another part, in this layer or in the next.
4. A step's product with the state has few rows: copying u into the order that BLAS works in, as it does for large products,
   takes half as long as the product. Under 100³ multiplications OpenBLAS does not copy where the processor has AVX-512, so
   u is laid out once in pieces of 64 columns, a product each, which begin at a line of the cache (kernels/memory.py), as
   does all that a step works in.
5. BLAS threads no product itself: its threads would have to meet at every step, and between products they spin on the cores
   that the others are using.
"""
from functools import partial

import numpy as np

from nanoemo.kernels.memory import aligned
from nanoemo.kernels.tasks import Task
from nanoemo.kernels.threads import sum_of

__all__ = ["Layer", "Reading", "WayBack", "weight_gradients"]

PIECE = 64                  # columns of a product with the state that are one call of BLAS


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


class Layer:
    """The weights of a layer, laid out as the walks need them: `inputs` and `state`, for the way back `w_back` and `u_back`."""

    def __init__(self, w, u, b):
        self.w, self.u, self.b = w, u, b

    def lay_out(self):
        self.inputs, self.state = _by_gate(np.concatenate([self.w, self.b[None]])), _in_pieces(_by_gate(self.u))
        self.inputs[:3] *= 0.5                          # σ(z) = ½ tanh(z/2) + ½: halve z here, once
        self.state[:3] *= 0.5

    def lay_out_back(self):
        self.w_back, self.u_back = _reordered(self.w).T, _in_pieces(_by_gate(self.u).swapaxes(1, 2))


class Reading:
    """One layer reads one block of sequences. Its arrays are (step, sequence, …).

    take: function of a slice of steps and an array (steps, sequences, in), into which it puts the layer's inputs
    """

    def __init__(self, layer, steps, batch, take, h0=None, c0=None):
        (features, units), dtype = (len(layer.w), len(layer.u)), layer.w.dtype
        self.layer, self.take = layer, take
        self.x = aligned((steps, batch, features + 1), dtype)
        self.x[:, :, features] = 1                      # the bias's input
        self.gates = aligned((4, steps, batch, units), dtype)
        self.hidden, self.cells = (aligned((steps + 1, batch, units), dtype) for _ in range(2))
        self.hidden[0] = 0 if h0 is None else h0        # [t] of both goes into step t
        self.cells[0] = 0 if c0 is None else c0

    def read(self, part):
        """x w + b of the steps `part`, put where the walk will find it."""
        x = self.x[part]
        self.take(part, x[:, :, :-1])
        x = _rows_of(x)
        for gate, weights in zip(self.gates, self.layer.inputs):
            np.matmul(x, weights, out=_rows_of(gate[part]))

    def walk(self, part):
        """From step to step, through `part`."""
        state = self.layer.state
        z, scratch = aligned(self.gates[:, 0].shape, self.x.dtype), aligned(self.cells[0].shape, self.x.dtype)
        pieces, half_z, g = _pieces_of(z, state), z[:3], z[3]
        hidden, cells = (array[part.start:part.stop + 1] for array in (self.hidden, self.cells))
        for gates, h_before, h, c_before, c in zip(self.gates[:, part].swapaxes(0, 1), hidden, hidden[1:], cells, cells[1:]):
            o, i, f, _ = gates
            np.matmul(h_before, state, out=pieces)
            z += gates
            np.tanh(z, out=z)
            half_z *= 0.5
            np.add(half_z, 0.5, out=gates[:3])
            gates[3] = g
            np.multiply(f, c_before, out=c)
            c += np.multiply(i, g, out=scratch)
            np.multiply(o, np.tanh(c, out=scratch), out=h)

    def tasks(self, parts, needs):
        """Those of reading each part, which needs others, and those of walking through it."""
        reads = [Task(partial(self.read, part), need) for part, need in zip(parts, needs)]
        walks = []
        for part, read in zip(parts, reads):
            walks.append(Task(partial(self.walk, part), [read, *walks[-1:]], short_calls=True))
        return reads, walks


class WayBack:
    """Back through what a `Reading` has read.

    dh: (steps, sequences, u) or None, what the results of the steps get from above; give: function of a slice of steps and
    dx, (steps, sequences, in), or None where nobody wants it. `dh_before` and `dc_before` (sequences, u) begin as
    what the state gets from behind its last step, and end as the gradients of the state before the first.
    """

    def __init__(self, reading, dh, give, wants_weights, dh_T=None, dc_T=None):
        self.reading, self.layer, self.dh, self.give, self.wants_weights = reading, reading.layer, dh, give, wants_weights
        self.dz, self.shares = {}, {}                   # of a part, by its first step
        self.total = None                               # of the shares
        self.dh_before, self.dc_before = (aligned(reading.cells[0].shape, reading.x.dtype) for _ in range(2))
        self.dh_before[:] = 0 if dh_T is None else dh_T
        self.dc_before[:] = 0 if dc_T is None else dc_T

    def walk(self, part):
        """From step to step, back through `part`."""
        gates, cells, dh, (batch, units) = self.reading.gates, self.reading.cells, self.dh, self.dh_before.shape
        dh_t, dc, (p, q) = self.dh_before, self.dc_before, aligned((2, batch, units), gates.dtype)
        d, by_gate = aligned((2, 4, batch, units), gates.dtype)
        u_back = self.layer.u_back
        pieces, (d_o, d_i, d_f, d_g) = _pieces_of(by_gate, u_back), d
        dz = self.dz[part.start] = aligned((part.stop - part.start, batch, 4, units), gates.dtype)
        for t in reversed(range(part.start, part.stop)):
            o, i, f, g = gates[:, t]
            if dh is not None:
                dh_t += dh[t]
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
            dz[t - part.start] = d.swapaxes(0, 1)
            np.matmul(d[:, None], u_back, out=pieces)
            np.add.reduce(by_gate, axis=0, out=dh_t)

    def sum_up(self, part):
        """The large products of `part`: dx, and its shares of the gradients of the weights, in `shares`: those of the inputs
        with a row for the bias (in + 1, 4u), and those of the state (u, 4u)."""
        dz, x, h = self.dz.pop(part.start), self.reading.x[part], self.reading.hidden[part]
        dz = dz.reshape(len(x) * x.shape[1], len(self.layer.w_back))
        if self.give:
            self.give(part, (dz @ self.layer.w_back).reshape(*x.shape[:2], x.shape[2] - 1))
        if self.wants_weights:
            self.shares[part.start] = _rows_of(x).T @ dz, _rows_of(h).T @ dz

    def add(self, part):
        """Its shares to the total, in an order that is always the same."""
        shares = self.shares.pop(part.start)
        self.total = shares if self.total is None else [sum_of(pair) for pair in zip(self.total, shares)]

    def tasks(self, parts, needs):
        """Those of walking back through each part, which needs others, of summing it up, and of adding its shares. The last part
        is the first."""
        walks, sums, adds = [], [], []
        for part, need in zip(parts, needs):
            walks.append(Task(partial(self.walk, part), [*need, *walks[-1:]], short_calls=True))
            sums.append(Task(partial(self.sum_up, part), walks[-1:]))
            if self.wants_weights:
                adds.append(Task(partial(self.add, part), [sums[-1], *adds[-1:]]))
        return walks, sums, adds


def weight_gradients(ways, wanted):
    """(dw, du, db) of a layer, those that are wanted: the totals of all blocks."""
    if not any(wanted):
        return None, None, None
    inputs, state = (_restored(sum_of(each)) for each in zip(*(way.total for way in ways)))
    return tuple(gradient if wants else None for gradient, wants in zip((inputs[:-1], state, inputs[-1]), wanted))


def _rows_of(array):
    """(steps, sequences, k) as (steps · sequences, k)."""
    return array.reshape(len(array) * array.shape[1], array.shape[2])
