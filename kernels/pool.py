"""Pooling: each output cell is the largest, smallest or mean value of a window of the input.

With kernel (kh, kw), stride (sh, sw) and `before` cells of padding above and to the left, channel by channel,

    max pooling   y[n, r, c] = max over (i, j) of x[n, r·sh + i − before_h, c·sw + j − before_w]
    min pooling   the same with min
    mean pooling  y[n, r, c] = sum over the window's real cells / number of real cells

Padding counts as −∞ for max and +∞ for min, and is never chosen, not even where all real cells are −∞ themselves; a mean
leaves it out (TensorFlow's rule).

Backward, max and min: the whole of dy[n, r, c] goes to the cell that was chosen, of equal cells the first in
row-major order, as in PyTorch. Forward notes the chosen cell's place in its window, i·kw + j, in a byte, or in two where
a window has 256 cells or more.
Backward, mean: each real cell of the window gets dy[n, r, c] / number of real cells.

ReLU before max pooling is done together with it: max over a window of max(x, 0) is max(max over the window of x, 0). So
ReLU costs a pass over the outputs while they are in the cache, a quarter of the inputs where windows are 2×2. Where the
maximum is not positive no cell is noted as chosen, and none gets a gradient, as if ReLU had come first.

A NaN in a window makes its output NaN; which cell then gets the gradient is not specified. 1-D pooling of
(N, T, C) is 2-D pooling of (N, 1, T, C) with a window one row high.

The definitions, which go from window to window, are in kernels/pool_plain.py. The fast versions go through the places (i, j) of a
window instead, and at each take that one cell of all windows at once: kh·kw operations on whole arrays.
"""
from typing import NamedTuple

import numpy as np

from nanoemo.kernels.pool_plain import (avg_pool1d_backward_plain, avg_pool1d_forward_plain, avg_pool2d_backward_plain,
                                        avg_pool2d_forward_plain, max_pool1d_backward_plain, max_pool1d_forward_plain,
                                        max_pool2d_backward_plain, max_pool2d_forward_plain, min_pool2d_backward_plain,
                                        min_pool2d_forward_plain, relu_max_pool1d_backward_plain, relu_max_pool1d_forward_plain,
                                        relu_max_pool2d_backward_plain, relu_max_pool2d_forward_plain)
from nanoemo.kernels.threads import parallel, row_blocks
from nanoemo.kernels.windows import as_one_row, axes_1d, axes_2d

__all__ = [
    "avg_pool1d_backward", "avg_pool1d_backward_plain", "avg_pool1d_forward", "avg_pool1d_forward_plain",
    "avg_pool2d_backward", "avg_pool2d_backward_plain", "avg_pool2d_forward", "avg_pool2d_forward_plain",
    "max_pool1d_backward", "max_pool1d_backward_plain", "max_pool1d_forward", "max_pool1d_forward_plain",
    "max_pool2d_backward", "max_pool2d_backward_plain", "max_pool2d_forward", "max_pool2d_forward_plain",
    "min_pool2d_backward", "min_pool2d_backward_plain", "min_pool2d_forward", "min_pool2d_forward_plain",
    "relu_max_pool1d_backward", "relu_max_pool1d_backward_plain", "relu_max_pool1d_forward", "relu_max_pool1d_forward_plain",
    "relu_max_pool2d_backward", "relu_max_pool2d_backward_plain", "relu_max_pool2d_forward", "relu_max_pool2d_forward_plain",
]

# About the level-2 cache: in smaller ones the threads wait for the interpreter lock (measured: 1 to 1.6 times as long).
BLOCK_BYTES = 3 * 512 * 1024


class Extreme(NamedTuple):
    """What tells max from min pooling: two ufuncs, and the value that is never chosen."""
    better: np.ufunc
    choose: np.ufunc
    worst: float


MAX = Extreme(np.greater, np.maximum, -np.inf)
MIN = Extreme(np.less, np.minimum, np.inf)


def _extreme_forward(x, axes, extreme, relu=False):
    """For all windows at once: the best so far against the cell at each place k = i·kw + j in turn.

    The cells at a place are copied together before they are compared: a ufunc pays about 15 ns for every run
    of C values, a copy 4.
    Memory floor: x read once; y, and one byte for each cell of y, written once.
    """
    shape = (x.shape[0], axes[0].outputs, axes[1].outputs, x.shape[3])
    cells = _cells(axes)
    nowhere = len(cells)            # the place noted where ReLU lets nothing through
    y, place = np.empty(shape, x.dtype), np.empty(shape, np.min_scalar_type(nowhere))
    first_places = _first_places(axes)
    padded = any(axes[0].pads + axes[1].pads)

    def pool_images(images):
        best, chosen = y[images], place[images]
        candidate = np.empty_like(best)
        for k, (outputs, inputs) in enumerate(cells):
            here = candidate if k else best
            if padded:
                here.fill(extreme.worst)
            here[outputs] = x[images][inputs]
            if k:
                keep_better(best, chosen, candidate, k, extreme)
            else:
                chosen[...] = first_places
        if relu:
            block_negative(best, chosen, nowhere)

    parallel(pool_images, _blocks(x))
    return y, (place, axes)


def relu_max_of(cells, best, chosen):
    """The largest of the cells at one place each, or 0 where none is positive, into `best`; the place of it into `chosen`, and
    where there is none, how many places there are."""
    np.copyto(best, cells[0])
    chosen.fill(0)
    for k in range(1, len(cells)):
        keep_better(best, chosen, cells[k], k)
    block_negative(best, chosen, nowhere=len(cells))


def keep_better(best, chosen, candidate, k, extreme=MAX):
    """Put the cells at place k of their windows where they are better than the best so far, in place."""
    won = extreme.better(candidate, best).view(np.uint8)                    # not where equal: the first keeps its place
    extreme.choose(best, candidate, out=best)
    np.maximum(chosen, won * chosen.dtype.type(k), out=chosen)      # k if won, as k only grows


def block_negative(best, chosen, nowhere):
    """ReLU of the best, in place; `nowhere` is the place noted where it lets nothing through."""
    blocked = (best <= 0).view(np.uint8)
    np.maximum(chosen, blocked * chosen.dtype.type(nowhere), out=chosen)
    np.maximum(best, 0, out=best)


def _first_places(axes):
    """The place of each window's first real cell, which is chosen unless another is better, (H', W', 1)."""
    rows, columns = (np.maximum(axis.pads[0] - np.arange(axis.outputs) * axis.stride, 0) for axis in axes)
    return np.add.outer(rows * axes[1].kernel, columns)[..., None]


def _cells(axes):
    """(outputs, inputs) for each place k = i·kw + j of a window: what to index y and x with to pair them."""
    pairs = [(rows, columns) for rows in map(axes[0].cells, range(axes[0].kernel))
             for columns in map(axes[1].cells, range(axes[1].kernel))]
    return [(np.s_[:, rows[0], columns[0]], np.s_[:, rows[1], columns[1]]) for rows, columns in pairs]


def _extreme_backward(dy, cache):
    """dx = dy where this cell was chosen, else 0, for each cell (i, j) of the window in turn.

    dy·(place == k) is computed on the bits of dy as integers, which is exact, also where dy is infinite.
    Memory floor: dy and one byte for each of its cells read once, dx written once.
    """
    place, axes = cache

    def shares(images, k, g):
        return where_chosen(place[images], k, g, np.empty_like(g))

    return _spread(dy, axes, shares)


def where_chosen(place, k, dy, out):
    """dy where its window's place k was chosen, else 0, into `out`; both are contiguous."""
    bits = out.view(f"i{out.itemsize}")
    np.copyto(bits, place == k)
    bits *= dy.view(bits.dtype)
    return out


def _spread(dy, axes, share):
    """dx, the sum over windows and their cells k = i·kw + j of share(images, k, dy[images])."""
    rows, columns = axes
    dy = np.ascontiguousarray(dy)
    dx = np.empty((dy.shape[0], rows.size, columns.size, dy.shape[3]), dy.dtype)
    overlapping = rows.stride < rows.kernel or columns.stride < columns.kernel
    cells = _cells(axes)

    def spread_images(images):
        block, g = dx[images], dy[images]
        _zero_uncovered(block, axes, overlapping)
        for k, (outputs, inputs) in enumerate(cells):
            part = share(images, k, g)[outputs]
            if overlapping:
                block[inputs] += part
            else:
                block[inputs] = part

    parallel(spread_images, _blocks(dx))
    return dx


def _zero_uncovered(block, axes, overlapping):
    """Zero the cells that no window writes: behind the last one where windows tile, else maybe anywhere."""
    rows, columns = axes
    if overlapping or any(axis.stride != axis.kernel for axis in axes):
        block.fill(0)
    else:
        block[:, rows.outputs * rows.kernel - rows.pads[0]:] = 0
        block[:, :, columns.outputs * columns.kernel - columns.pads[0]:] = 0


def _mean_forward(x, axes):
    """The sum over the places of the window, times 1 / real cells. Memory floor: x read, y written, once."""
    y = np.empty((x.shape[0], axes[0].outputs, axes[1].outputs, x.shape[3]), x.dtype)
    weight = _one_over_real_cells(axes, x.dtype)
    cells = _cells(axes)

    def pool_images(images):
        sums = y[images]
        sums.fill(0)
        for outputs, inputs in cells:
            sums[outputs] += x[images][inputs]
        sums *= weight

    parallel(pool_images, _blocks(x))
    return y, axes


def _mean_backward(dy, axes):
    """Each real cell of a window gets dy / real cells. Memory floor: dy read once, dx written once."""
    return _spread(dy * _one_over_real_cells(axes, dy.dtype), axes, lambda images, k, g: g)


def _one_over_real_cells(axes, dtype):
    counts = [axis.real_cells() for axis in axes]
    return (1 / np.multiply.outer(*counts)).astype(dtype)[..., None]


def _blocks(images):
    """Slices of whole images."""
    return row_blocks(len(images), images[:1].nbytes, BLOCK_BYTES)


# --------------------------------------------------------------------------------------- the kernels, by name

def max_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window.

    x (N, H, W, C); kernel_size and stride numbers or pairs (rows, columns), stride None meaning kernel_size;
    padding "valid", "same" (TensorFlow's rule) or a number or pair of at most half the window.
    Returns y (N, H', W', C) and the cache. Raises ValueError where x, window and padding do not fit.

    >>> y, cache = max_pool2d_forward(np.arange(16.0).reshape(1, 4, 4, 1), 2)
    >>> y[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    axes = axes_2d("max_pool2d", x, kernel_size, stride, padding)
    return _extreme_forward(x, axes, MAX)


def relu_max_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window, or 0 where none is positive: max_pool2d(relu(x)) in one go, to the last bit.

    Arguments as for `max_pool2d_forward`.

    >>> y, cache = relu_max_pool2d_forward(np.array([-1.0, 2.0, -3.0, -4.0]).reshape(1, 1, 4, 1), (1, 2))
    >>> y.ravel().tolist(), relu_max_pool2d_backward(np.ones_like(y), cache).ravel().tolist()
    ([2.0, 0.0], [0.0, 1.0, 0.0, 0.0])
    """
    axes = axes_2d("relu_max_pool2d", x, kernel_size, stride, padding)
    return _extreme_forward(x, axes, MAX, relu=True)


def min_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Smallest value of each window; arguments as for `max_pool2d_forward`."""
    axes = axes_2d("min_pool2d", x, kernel_size, stride, padding)
    return _extreme_forward(x, axes, MIN)


def avg_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Mean of each window's real cells; arguments as for `max_pool2d_forward`."""
    return _mean_forward(x, axes_2d("avg_pool2d", x, kernel_size, stride, padding))


def max_pool1d_forward(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window of a sequence x (N, T, C); y (N, T', C).

    Arguments as for `max_pool2d_forward`, each one number; a pair as padding is (before, after).
    """
    axes = axes_1d("max_pool1d", x, kernel_size, stride, padding)
    return as_one_row(_extreme_forward, x, axes, MAX)


def relu_max_pool1d_forward(x, kernel_size, stride=None, padding="valid"):
    """max_pool1d(relu(x)) in one go, to the last bit: see `relu_max_pool2d_forward`."""
    axes = axes_1d("relu_max_pool1d", x, kernel_size, stride, padding)
    return as_one_row(_extreme_forward, x, axes, MAX, relu=True)


def avg_pool1d_forward(x, kernel_size, stride=None, padding="valid"):
    """Mean of the real cells of each window of a sequence x (N, T, C); y (N, T', C)."""
    return as_one_row(_mean_forward, x, axes_1d("avg_pool1d", x, kernel_size, stride, padding))


def max_pool1d_backward(dy, cache):
    """Gradient of `max_pool1d_forward`: dy (N, T', C) -> dx (N, T, C)."""
    return _extreme_backward(dy[:, None], cache)[:, 0]


def avg_pool1d_backward(dy, cache):
    """Gradient of `avg_pool1d_forward`: dy (N, T', C) -> dx (N, T, C)."""
    return _mean_backward(dy[:, None], cache)[:, 0]


# Max and min pooling send dy to the cell chosen, whichever rule chose it, so their backward is one function.
max_pool2d_backward = min_pool2d_backward = relu_max_pool2d_backward = _extreme_backward
relu_max_pool1d_backward = max_pool1d_backward
avg_pool2d_backward = _mean_backward
