"""The fast version of one LSTM layer: forward and backward through parts of the time, each piece of work a task.

kernels/recurrent.py has the equations; kernels/recurrent_stack.py orders the tasks and runs them. To *walk* through a part is
to go through its steps one by one, the only work in which each step waits for the one before.

Five changes to the definition:

1. What does not wait for the step before is one large product for many steps: x w + b in forward; dw, du, db and dx in
   backward. The bias is the weight of one more input that is always 1, so it costs no pass of its own.
2. Only h u and the elementwise work are left in the loop. There arrays are (gate, sequence, unit), so that every gate is one
   contiguous piece, and the gates stand in the order output, input, forget, cell: the first three are sigmoids, the last
   three take their gradient from dc. Every result goes into a buffer that is there already.
3. Time is cut into parts. The large products of a part are a `Task` (kernels/tasks.py) and the walk through it is another, so
   that they are done beside the walk through another part, in this layer or in the next.
4. A step's product with u has few rows. Large products BLAS begins by copying their factors into an order of its own; here
   that would take half as long as the product. Below 100³ multiplications OpenBLAS does not copy where the processor has
   AVX-512, so u is laid out once in pieces of 64 columns, each a small product, which begin at a line of the cache
   (kernels/memory.py), as does all that a step works in.
5. BLAS threads no product itself: its threads would have to meet at every step, and between products they spin on the cores
   that the others are using.
"""
from functools import partial

import numpy as np

from nanoemo.kernels.memory import aligned
from nanoemo.kernels.tasks import Task
from nanoemo.kernels.threads import sum_of

__all__ = ["BackwardPass", "ForwardPass", "Layer", "weight_gradients"]

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
    """The weights of a layer, and the orders in which the passes need them.

    Forward: `w_and_b` (4, in + 1, u), b the last row of w, and `u_pieces` (`_in_pieces`), both by gate.
    Backward: `w_back` (4u, in) and `u_back` (`_in_pieces`), wᵀ and uᵀ in the same order of gates.
    """

    def __init__(self, w, u, b):
        self.w, self.u, self.b = w, u, b

    def lay_out(self):
        """Make what forward needs."""
        self.w_and_b, self.u_pieces = _by_gate(np.concatenate([self.w, self.b[None]])), _in_pieces(_by_gate(self.u))
        self.w_and_b[:3] *= 0.5                         # σ(z) = ½ tanh(z/2) + ½: halve z here, once
        self.u_pieces[:3] *= 0.5

    def lay_out_back(self):
        """Make what backward needs."""
        self.w_back, self.u_back = _reordered(self.w).T, _in_pieces(_by_gate(self.u).swapaxes(1, 2))


class ForwardPass:
    """One layer forward through one block of sequences. Its arrays are (step, sequence, …), and kept for the backward pass.

    take: function of a slice of steps and an array (steps, sequences, in), into which it puts the layer's inputs
    `hidden` and `cells` (steps + 1, sequences, u) begin with h0 and c0, zeros where None: [t] goes into step t.
    """

    def __init__(self, layer, steps, batch, take, h0=None, c0=None):
        (features, units), dtype = (len(layer.w), len(layer.u)), layer.w.dtype
        self.layer, self.take = layer, take
        self.x = aligned((steps, batch, features + 1), dtype)
        self.x[:, :, features] = 1                      # the bias's input
        self.gates = aligned((4, steps, batch, units), dtype)
        self.hidden, self.cells = (aligned((steps + 1, batch, units), dtype) for _ in range(2))
        self.hidden[0] = 0 if h0 is None else h0
        self.cells[0] = 0 if c0 is None else c0

    def multiply_inputs(self, part):
        """gates = x w + b of the steps `part`, where the walk will add h u and put the gates themselves."""
        x = self.x[part]
        self.take(part, x[:, :, :-1])
        x = _rows_of(x)
        for gate, weights in zip(self.gates, self.layer.w_and_b):
            np.matmul(x, weights, out=_rows_of(gate[part]))

    def walk(self, part):
        """From step to step through `part`: gates, cells and hidden states."""
        u_pieces = self.layer.u_pieces
        z, scratch = aligned(self.gates[:, 0].shape, self.x.dtype), aligned(self.cells[0].shape, self.x.dtype)
        product, half_z, g = _pieces_of(z, u_pieces), z[:3], z[3]
        hidden, cells = (array[part.start:part.stop + 1] for array in (self.hidden, self.cells))
        for gates, h_before, h, c_before, c in zip(self.gates[:, part].swapaxes(0, 1), hidden, hidden[1:], cells, cells[1:]):
            o, i, f, _ = gates
            np.matmul(h_before, u_pieces, out=product)          # z = h u
            z += gates                                          # z = x w + h u + b; of o, i and f half of it
            np.tanh(z, out=z)
            half_z *= 0.5
            np.add(half_z, 0.5, out=gates[:3])                  # o, i, f = ½ tanh(z/2) + ½
            gates[3] = g
            np.multiply(f, c_before, out=c)
            c += np.multiply(i, g, out=scratch)
            np.multiply(o, np.tanh(c, out=scratch), out=h)

    def tasks(self, parts, needs):
        """(products, walks): for each part a task that multiplies its inputs, and one that walks through it.

        needs: for each part a list of the tasks that its inputs wait for
        """
        products = [Task(partial(self.multiply_inputs, part), need) for part, need in zip(parts, needs)]
        walks = []
        for part, product in zip(parts, products):
            walks.append(Task(partial(self.walk, part), [product, *walks[-1:]], short_calls=True))
        return products, walks


class BackwardPass:
    """Back through what a `ForwardPass` went through, the last part first.

    dh: (steps, sequences, u) or None, the gradients of the hidden states that come from above
    give: function of a slice of steps and dx (steps, sequences, in), or None where nobody wants dx
    `dh_before` and `dc_before` (sequences, u): gradients of the state before the step that the walk has reached. They begin as
    dh_T and dc_T, zeros where None, and end as dh0 and dc0.
    """

    def __init__(self, forward, dh, give, wants_weights, dh_T=None, dc_T=None):
        self.forward, self.layer, self.dh, self.give, self.wants_weights = forward, forward.layer, dh, give, wants_weights
        self.dz, self.shares = {}, {}                   # of a part, by its first step
        self.total = None                               # of the shares
        self.dh_before, self.dc_before = (aligned(forward.cells[0].shape, forward.x.dtype) for _ in range(2))
        self.dh_before[:] = 0 if dh_T is None else dh_T
        self.dc_before[:] = 0 if dc_T is None else dc_T

    def walk(self, part):
        """From step to step back through `part`: dz, and what the state before it gets."""
        gates, cells, dh, (batch, units) = self.forward.gates, self.forward.cells, self.dh, self.dh_before.shape
        dh_t, dc, (p, q) = self.dh_before, self.dc_before, aligned((2, batch, units), gates.dtype)
        d, by_gate = aligned((2, 4, batch, units), gates.dtype)
        u_back = self.layer.u_back
        product, (d_o, d_i, d_f, d_g) = _pieces_of(by_gate, u_back), d
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
            np.matmul(d[:, None], u_back, out=product)
            np.add.reduce(by_gate, axis=0, out=dh_t)

    def multiply_gradients(self, part):
        """The large products of `part`: dx = dz wᵀ, which is given away, and the part's shares of Σ xᵀ dz and Σ hᵀ dz.

        Those are kept in `shares`: dw, with db as one more row, (in + 1, 4u), and du (u, 4u).
        """
        dz, x, h = self.dz.pop(part.start), self.forward.x[part], self.forward.hidden[part]
        dz = dz.reshape(len(x) * x.shape[1], len(self.layer.w_back))
        if self.give:
            self.give(part, (dz @ self.layer.w_back).reshape(*x.shape[:2], x.shape[2] - 1))
        if self.wants_weights:
            self.shares[part.start] = _rows_of(x).T @ dz, _rows_of(h).T @ dz

    def add_shares(self, part):
        """Add the part's shares to the total: a task of its own, so that the order of the sum is always the same."""
        shares = self.shares.pop(part.start)
        self.total = shares if self.total is None else [sum_of(pair) for pair in zip(self.total, shares)]

    def tasks(self, parts, needs):
        """(walks, products, adds): for each part a task that walks back through it, one for its large products and, where
        gradients of weights are wanted, one that adds up its shares.

        parts: the last one first; needs: for each part a list of the tasks that its walk waits for
        """
        walks, products, adds = [], [], []
        for part, need in zip(parts, needs):
            walks.append(Task(partial(self.walk, part), [*need, *walks[-1:]], short_calls=True))
            products.append(Task(partial(self.multiply_gradients, part), walks[-1:]))
            if self.wants_weights:
                adds.append(Task(partial(self.add_shares, part), [products[-1], *adds[-1:]]))
        return walks, products, adds


def weight_gradients(passes, wanted):
    """(dw, du, db) of a layer, None for one that is not wanted: the totals of its backward passes, one a block of sequences."""
    if not any(wanted):
        return None, None, None
    dw_and_db, du = (_restored(sum_of(each)) for each in zip(*(back.total for back in passes)))
    return tuple(gradient if wants else None for gradient, wants in zip((dw_and_db[:-1], du, dw_and_db[-1]), wanted))


def _rows_of(array):
    """(steps, sequences, k) as (steps · sequences, k)."""
    return array.reshape(len(array) * array.shape[1], array.shape[2])
