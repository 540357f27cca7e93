"""The fast version of LSTMs one above the other, or of one alone: who does what, and what waits for what.

The arithmetic of a layer is in kernels/recurrent_walk.py. Here

1. time is cut into parts of about 32 steps. A layer can read a part as soon as the layer below has walked through it, and walk
   back through one as soon as the layer above has: so one thread is in one layer while another is in the next.
2. a large batch is cut into blocks, as sequences do not depend on each other. Not a small one: a walk is a loop of short calls,
   in which threads wait for each other at the interpreter's lock, so it should have much to do at each step. The widest layer
   decides; a layer alone may be cut otherwise, and then its sums are rounded otherwise.
3. dropout is applied where a layer takes its inputs from the layer below, and its gradients from the layer above, while they
   are in the cache.
"""
from functools import partial

import numpy as np

from nanoemo.kernels.dropout import BLOCK, apply_mask, draw_mask
from nanoemo.kernels.memory import aligned
from nanoemo.kernels.recurrent_walk import Layer, Reading, WayBack, weight_gradients
from nanoemo.kernels.tasks import Task, run
from nanoemo.kernels.threads import even_slices, row_blocks

__all__ = ["walk_back", "walk_through"]

STEPS = 32                  # of time that are one part, about
BLOCK_STATES = 8192         # sequences times units of the widest layer that go through time together, about


class _Dropout:
    """What lies between two layers: y = x · m / (1 − p) for x (N, T, u), as in kernels/dropout.py and with its mask."""

    def __init__(self, p, seed, shape):
        self.p, self.seed, self.kept = p, seed, np.empty(shape, bool) if p else None

    def tasks(self):
        """Those of drawing the mask."""
        return [Task(partial(self._draw, block)) for block in row_blocks(self.kept.size, 1, BLOCK)] if self.p else []

    def _draw(self, block):
        self.kept.reshape(-1)[block] = draw_mask(block, self.p, self.seed)

    def apply(self, x, rows, part, out):
        """Of some sequences and steps, x and out (steps, sequences, u)."""
        if self.p:
            apply_mask(x, self.kept[rows, part].swapaxes(0, 1), self.p, out)
        else:
            np.copyto(out, x)


def _take_from_batch(x, part, out):
    out[...] = x[:, part].swapaxes(0, 1)


def _give_to_batch(dx, part, values):
    dx[:, part] = values.swapaxes(0, 1)


def _take_from_below(below, dropout, rows, part, out):
    dropout.apply(below.hidden[part.start + 1:part.stop + 1], rows, part, out)


def _give_to_below(dh, dropout, rows, part, values):
    dropout.apply(values, rows, part, dh[part])


def _part_of(rows, *arrays):
    return [None if array is None else array[rows] for array in arrays]


def walk_through(x, weights, dropouts=(), h0=None, c0=None):
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
        take, state, needs, readings = partial(_take_from_batch, x[rows]), _part_of(rows, h0, c0), [()] * len(parts), []
        for depth, layer in enumerate(layers):
            reading = Reading(layer, steps, rows.stop - rows.start, take, *state)
            reads, walks = reading.tasks(parts, [(laid_out[depth], *need) for need in needs])
            tasks += reads + walks
            readings.append(reading)
            if depth < len(between):
                take, state = partial(_take_from_below, reading, between[depth], rows), ()
                needs = [[walk, *draws[depth]] for walk in walks]
        tasks += [Task(partial(_give_to_batch, h[rows], part, reading.hidden[part.start + 1:part.stop + 1]), [walk])
                  for part, walk in zip(parts, walks)]
        blocks.append((rows, readings))
    run(tasks)
    for rows, (*_, highest) in blocks:
        h_T[rows], c_T[rows] = highest.hidden[-1], highest.cells[-1]
    return (h, h_T, c_T), (x.shape, layers, between, parts, blocks)


def walk_back(dh, dh_T, dc_T, cache, needs):
    """Gradients of `walk_through`.

    dh: (N, T, u), dh_T and dc_T: (N, u), the gradients of the three results; any may be None (result not used)
    needs: whether x's gradient is wanted, then w's, u's and b's of each layer
    Returns (dx, dw, du, db, dw, du, db, …), None where `needs` says so; and (dh0, dc0) of the lowest layer.
    """
    x_shape, layers, between, parts, blocks = cache
    wanted = [needs[first:first + 3] for first in range(1, len(needs), 3)]
    dtype, last_part_first = layers[0].w.dtype, parts[::-1]
    dx = np.empty(x_shape, dtype) if needs[0] else None
    laid_out = [Task(layer.lay_out_back) for layer in layers]
    ways, added, tasks = [[] for _ in layers], [[] for _ in layers], laid_out[::-1]
    for rows, readings in blocks:
        from_above, *state = _part_of(rows, dh, dh_T, dc_T)
        from_above = None if from_above is None else from_above.swapaxes(0, 1)
        needs_of_walks = [()] * len(parts)
        for depth in reversed(range(len(layers))):
            if depth:
                to_below = aligned(readings[depth - 1].hidden[1:].shape, dtype)
                give = partial(_give_to_below, to_below, between[depth - 1], rows)
            else:
                give = partial(_give_to_batch, dx[rows]) if needs[0] else None
            way = WayBack(readings[depth], from_above, give, any(wanted[depth]), *state)
            walks, sums, adds = way.tasks(last_part_first, [(laid_out[depth], *need) for need in needs_of_walks])
            tasks += walks + sums + adds
            ways[depth].append(way)
            added[depth] += adds
            if depth:
                from_above, state, needs_of_walks = to_below, (), [[each] for each in sums]
    gradients = [None] * len(layers)

    def finish(depth):
        gradients[depth] = weight_gradients(ways[depth], wanted[depth])

    run(tasks + [Task(partial(finish, depth), added[depth]) for depth in range(len(layers))])
    dh0, dc0 = (np.concatenate([getattr(way, state) for way in ways[0]]) for state in ("dh_before", "dc_before"))
    return (dx, *(each for three in gradients for each in three)), (dh0, dc0)
