"""The fast version of LSTMs one above the other, or of one alone: who does what, and what waits for what.

The arithmetic of a layer is in kernels/recurrent_walk.py. Here

1. time is cut into parts of about 32 steps. A layer can go through a part as soon as the layer below has, and back through it
   as soon as the layer above has: so one thread is in one layer while another is in the next.
2. a large batch is cut into blocks, as sequences do not depend on each other. A small one is not: a walk through the steps is a
   loop of short calls, in which threads wait for each other at the interpreter's lock, so each call should have much to do. The
   blocks are those that suit the widest layer. A layer by itself may be cut into others, and then the sums over the batch are
   rounded differently.
3. dropout is applied to a part where it passes from one layer to the next, while it is in the cache.
"""
from functools import partial

import numpy as np

from nanoemo.kernels.dropout import BLOCK, apply_mask, draw_mask
from nanoemo.kernels.memory import aligned
from nanoemo.kernels.recurrent_walk import BackwardPass, ForwardPass, Layer, weight_gradients
from nanoemo.kernels.tasks import Task, run
from nanoemo.kernels.threads import even_slices, row_blocks

__all__ = ["stack_backward", "stack_forward"]

STEPS = 32                  # of time that are one part, about
BLOCK_STATES = 8192         # sequences times units of the widest layer that go through time together, about


class _Dropout:
    """Dropout between two layers, y = x · m / (1 − p) for x (N, T, u): a part at a time, with the mask of kernels/dropout.py."""

    def __init__(self, p, seed, shape):
        self.p, self.seed, self.kept = p, seed, np.empty(shape, bool) if p else None

    def tasks(self):
        """The tasks that draw the mask."""
        return [Task(partial(self._draw, block)) for block in row_blocks(self.kept.size, 1, BLOCK)] if self.p else []

    def _draw(self, block):
        self.kept.reshape(-1)[block] = draw_mask(block, self.p, self.seed)

    def apply(self, x, rows, part, out):
        """out = y of the sequences `rows` and the steps `part`; x and out are (steps, sequences, u)."""
        if self.p:
            apply_mask(x, self.kept[rows, part].swapaxes(0, 1), self.p, out)
        else:
            np.copyto(out, x)


# Between a layer, whose arrays are (steps, sequences, …), and what lies below it: for the lowest the batch (sequences, steps, …).
# `part` is a slice of the steps, `rows` one of the batch.

def _take_from_batch(x, part, out):
    out[...] = x[:, part].swapaxes(0, 1)


def _take_from_below(below, dropout, rows, part, out):
    dropout.apply(below.hidden[part.start + 1:part.stop + 1], rows, part, out)


def _give_to_batch(dx, part, values):
    dx[:, part] = values.swapaxes(0, 1)


def _give_to_below(dh, dropout, rows, part, values):
    dropout.apply(values, rows, part, dh[part])


def _rows_of_each(rows, *arrays):
    return [None if array is None else array[rows] for array in arrays]


def stack_forward(x, weights, dropouts=(), h0=None, c0=None):
    """Forward through layers of LSTM, one above the other.

    x: (N, T, in); weights: (w, u, b) of each layer, the inputs of one being the units of the one below; dropouts: (p, seed)
    for each place between two layers; h0 and c0: (N, u) or None, what the lowest layer begins with; the others begin with 0
    Returns (h, h_T, c_T), of the highest layer all hidden states (N, T, u), the last one and the last cell (N, u); and cache.
    """
    (batch, steps, _), units = x.shape, [len(u) for _, u, _ in weights]
    layers = [Layer(*each) for each in weights]
    between = [_Dropout(p, seed, (batch, steps, width)) for (p, seed), width in zip(dropouts, units)]
    parts = even_slices(steps, STEPS)
    h, (h_T, c_T) = np.empty((batch, steps, units[-1]), x.dtype), np.empty((2, batch, units[-1]), x.dtype)
    draws = [dropout.tasks() for dropout in between]
    laid_out = [Task(layer.lay_out) for layer in layers]
    blocks, tasks = [], laid_out + [draw for each in draws for draw in each]
    for rows in even_slices(batch, max(1, BLOCK_STATES // max(units))):
        passes, walks = [], []
        for depth, layer in enumerate(layers):
            if depth == 0:
                take, state = partial(_take_from_batch, x[rows]), _rows_of_each(rows, h0, c0)
                needs = [[laid_out[0]] for _ in parts]
            else:
                take, state = partial(_take_from_below, passes[-1], between[depth - 1], rows), ()
                needs = [[laid_out[depth], walk_below, *draws[depth - 1]] for walk_below in walks]
            passes.append(ForwardPass(layer, steps, rows.stop - rows.start, take, *state))
            products, walks = passes[-1].tasks(parts, needs)
            tasks += products + walks
        hidden = passes[-1].hidden
        tasks += [Task(partial(_give_to_batch, h[rows], part, hidden[part.start + 1:part.stop + 1]), [walk])
                  for part, walk in zip(parts, walks)]
        blocks.append((rows, passes))
    run(tasks)
    for rows, (*_, highest) in blocks:
        h_T[rows], c_T[rows] = highest.hidden[-1], highest.cells[-1]
    return (h, h_T, c_T), (x.shape, layers, between, parts, blocks)


def stack_backward(dh, dh_T, dc_T, cache, needs):
    """Gradients of `stack_forward`.

    dh: (N, T, u), dh_T and dc_T: (N, u), the gradients of the three results; any may be None (result not used)
    needs: whether x's gradient is wanted, then w's, u's and b's of each layer
    Returns (dx, dw, du, db, dw, du, db, …), None where `needs` says so; and (dh0, dc0) of the lowest layer.
    """
    x_shape, layers, between, parts, blocks = cache
    wanted = [needs[first:first + 3] for first in range(1, len(needs), 3)]
    dtype, last_part_first = layers[0].w.dtype, parts[::-1]
    dx = np.empty(x_shape, dtype) if needs[0] else None
    laid_out = [Task(layer.lay_out_back) for layer in layers]
    of_layers, added, tasks = [[] for _ in layers], [[] for _ in layers], laid_out[::-1]
    for rows, passes in blocks:
        dh_rows, *state = _rows_of_each(rows, dh, dh_T, dc_T)
        dh_rows = None if dh_rows is None else dh_rows.swapaxes(0, 1)
        dh_of = [*(aligned(lower.hidden[1:].shape, dtype) for lower in passes[:-1]), dh_rows]       # each layer's gradient
        from_above = [[] for _ in parts]                        # the tasks that compute it, of each part
        for depth in reversed(range(len(layers))):
            if depth > 0:
                give = partial(_give_to_below, dh_of[depth - 1], between[depth - 1], rows)
            else:
                give = partial(_give_to_batch, dx[rows]) if needs[0] else None
            back = BackwardPass(passes[depth], dh_of[depth], give, any(wanted[depth]), *state)
            walks, products, adds = back.tasks(last_part_first, [[laid_out[depth], *above] for above in from_above])
            tasks += walks + products + adds
            of_layers[depth].append(back)
            added[depth] += adds
            from_above, state = [[product] for product in products], ()
    gradients = [None] * len(layers)

    def finish(depth):
        gradients[depth] = weight_gradients(of_layers[depth], wanted[depth])

    run(tasks + [Task(partial(finish, depth), added[depth]) for depth in range(len(layers))])
    dh0, dc0 = (np.concatenate([getattr(back, state) for back in of_layers[0]]) for state in ("dh_before", "dc_before"))
    return (dx, *(each for three in gradients for each in three)), (dh0, dc0)
