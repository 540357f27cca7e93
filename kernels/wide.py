"""Convolution with wide windows over few channels, such as 13×13×8.

Columns (kernels/conv.py) do badly there: 169 pixels are copied out for every output, and a product with eight
columns of weights runs at less than half the processor's rate. Two changes, one along each axis.

Along a row, a few neighbouring outputs are computed together. Their windows overlap in all but a few pixels, so the
run of pixels that they share is copied once. The weights become a matrix that has them once for each output, every
time one pixel further down, with zeros around them (a block Toeplitz matrix); with 3 taps and 2 outputs

    y₀ = d₀g₀ + d₁g₁ + d₂g₂                                 ⎡g₀  0 ⎤
    y₁ = d₁g₀ + d₂g₁ + d₃g₂         [y₀ y₁] = [d₀ d₁ d₂ d₃] ⎢g₁  g₀⎥
                                                            ⎢g₂  g₁⎥
                                                            ⎣0   g₂⎦

The zeros are multiplied as well: with 13 taps and 8 outputs that is half as much again, in a product that runs more
than twice as fast.

Down a column, minimal filtering (kernels/winograd.py) saves multiplications, but only short filters have few points. So
the window's rows are cut into pieces of TILE taps, and the outputs into tiles of as many rows. Piece q then meets, for
the outputs of tile t, the same inputs as piece 0 for those of tile t + q: the transformed inputs D serve all pieces,

    y(tile t) = Aᵀ Σ over q of (G g(piece q)) ⊙ D(t + q),        D(t) = Bᵀ d(2·TILE − 1 rows from t·TILE on).

The sum over q, like those over pixels and channels, is part of one matrix product at each of 2·TILE − 1 points.
Thirteen taps take 4 pieces · 7 points / 4 outputs = 7 multiplications an output and column instead of 13.

In float32 the rounding error is some 2 to 7 times that of the columns' product. What is not finite spreads, as in
kernels/winograd.py, here over the tiles beside it, too.
"""
import numpy as np
from numpy.lib.stride_tricks import as_strided

from nanoemo.kernels.conv_checks import output_shape
from nanoemo.kernels.memory import workspace
from nanoemo.kernels.shapes import copy_with_border
from nanoemo.kernels.threads import groups, image_blocks, one_blas_thread, parallel, sum_of
from nanoemo.kernels.winograd import add_product, transforms_for

__all__ = ["wide_correlate", "wide_suits", "wide_weight_gradient"]

TILE = 4                    # rows of outputs that are computed together, and taps of a piece
POINTS = 2 * TILE - 1
BLOCK_BYTES = 6 << 20       # of a block's columns at all points: products of many rows are worth leaving the cache for
MIN_BLOCK_BYTES = 2 << 20   # each block transforms the rows of tiles that it shares with the next anew
MIN_BLOCKS = 4              # where that leaves them large enough, so that every thread has its share
MIN_TERMS = 128             # of a window; the transforms of smaller ones cost more than they save
MAX_CHANNELS = 32


def wide_suits(w_shape, strides, outputs):
    """Whether a convolution has stride 1, a window of 5×5 at least, few channels, and multiplies less so than by columns.

    outputs: (height, width) of the result
    """
    kh, kw, inputs, channels = w_shape
    height, width = outputs
    if strides != (1, 1) or min(kh, kw) < 5 or max(inputs, channels) > MAX_CHANNELS or kh * kw * inputs < MIN_TERMS:
        return False
    across = _tile_width(channels)
    multiplications = POINTS * -(-height // TILE) * -(-kh // TILE) * -(-width // across) * across * (across + kw - 1)
    return multiplications <= height * width * kh * kw          # a small output fills its tiles badly


def _tile_width(channels):
    """Outputs of a row in a tile; of the product's columns, times the channels."""
    return 8 if channels <= 8 else 4


class _Tiling:
    """How outputs are cut into tiles, the window into pieces, and the tiles into blocks: (images, rows of tiles)."""

    def __init__(self, x_shape, w_shape, pads, dtype):
        kh, kw, self.channels, outputs = w_shape
        self.origin = -pads[0][0], -pads[1][0]
        self.pieces = -(-kh // TILE)
        self.width = _tile_width(outputs)
        self.run = self.width + kw - 1                      # pixels of a row that a tile looks at
        self.outputs = output_shape(x_shape, w_shape, (1, 1), pads)
        self.grid = -(-self.outputs[0] // TILE), -(-self.outputs[1] // self.width)
        self.at, self.g, self.bt = transforms_for((TILE,), (TILE,), dtype)[0]
        row_bytes = POINTS * self.grid[1] * self.pieces * self.run * self.channels * dtype.itemsize
        shared_out = max(x_shape[0] * self.grid[0] // MIN_BLOCKS, MIN_BLOCK_BYTES // row_bytes)
        self.blocks = image_blocks(x_shape[0], self.grid[0], min(BLOCK_BYTES // row_bytes, shared_out))


def wide_correlate(x, w, b, pads):
    """What `conv2d_forward` computes with stride 1.

    x: (N, H, W, C); w: (kh, kw, C, O); b: (O,) or None; pads: ((top, bottom), (left, right))
    """
    tiling = _Tiling(x.shape, w.shape, pads, x.dtype)
    weights = _wide_weights(w, tiling)
    rows, columns = tiling.grid
    y = np.empty((len(x), rows, TILE, columns, weights.shape[2]), x.dtype)

    def work(block):
        inputs = _columns(x, tiling, block)
        products = workspace("wide products", (POINTS, inputs.shape[1], weights.shape[2]), x.dtype)
        np.matmul(inputs, weights, out=products)
        outputs = workspace("wide outputs", (TILE, *products.shape[1:]), x.dtype)
        np.matmul(tiling.at, products.reshape(POINTS, -1), out=outputs.reshape(TILE, -1))
        target = y[block].transpose(2, 0, 1, 3, 4)
        target[...] = outputs.reshape(target.shape)
        if b is not None:
            y[block] += np.tile(b, tiling.width)

    parallel(work, tiling.blocks)
    height, width = tiling.outputs
    return np.ascontiguousarray(y.reshape(len(x), rows * TILE, -1, w.shape[3])[:, :height, :width])


def wide_weight_gradient(dy, x, w_shape, pads, partial_sums):
    """dw: at each point, columns transposed times A dy; then back from the wide matrix to the window. Stride 1."""
    tiling = _Tiling(x.shape, w_shape, pads, x.dtype)
    dy = _whole_tiles(dy, tiling)

    def work(group):
        total = None
        for block in group:
            tiles = dy[block].transpose(2, 0, 1, 3, 4)
            rows = workspace("wide outputs", tiles.shape, x.dtype)
            np.copyto(rows, tiles)
            inputs = _columns(x, tiling, block)
            dy_at_points = workspace("wide products", (POINTS, inputs.shape[1], dy.shape[-1]), x.dtype)
            np.matmul(tiling.at.T, rows.reshape(TILE, -1), out=dy_at_points.reshape(POINTS, -1))
            total = add_product(total, inputs.transpose(0, 2, 1), dy_at_points)
        return _window_gradient(total, w_shape, tiling)

    return sum_of(parallel(work, groups(tiling.blocks, partial_sums)))


def _columns(x, tiling, block):
    """D of a block's tiles, each with what all pieces look at: (points, tiles, pieces · run · C)."""
    (images, tile_rows), channels = block, tiling.channels
    count, height = images.stop - images.start, tile_rows.stop - tile_rows.start
    reach = height + tiling.pieces - 1                                  # rows of tiles of inputs
    pixels = (tiling.grid[1] - 1) * tiling.width + tiling.run           # of a row
    row = pixels * channels
    slab = workspace("wide slab", (count, reach * TILE + TILE - 1, pixels, channels), x.dtype)
    copy_with_border(x, images, (tiling.origin[0] + tile_rows.start * TILE, tiling.origin[1]), out=slab)
    n, i, _, k = slab.strides
    tiles = workspace("wide tiles", (count, POINTS, reach * row), x.dtype)
    shape = count, POINTS, reach, row
    np.copyto(tiles.reshape(shape), as_strided(slab, shape, (n, i, TILE * i, k)))
    at_points = workspace("wide inputs", tiles.shape, x.dtype)
    np.matmul(tiling.bt, tiles, out=at_points)
    shape = POINTS, count, height, tiling.grid[1], tiling.pieces, tiling.run * channels
    n, p, k = at_points.strides
    columns = workspace("wide columns", shape, x.dtype)
    np.copyto(columns, as_strided(at_points, shape, (p, n, row * k, tiling.width * channels * k, row * k, k)))
    return columns.reshape(POINTS, count * height * tiling.grid[1], -1)


def _wide_weights(w, tiling):
    """G g of every piece, once for each output of a row: (kh, kw, C, O) -> (points, pieces · run · C, width · O)."""
    kh, kw, channels, outputs = w.shape
    taps = np.zeros((tiling.pieces * TILE, kw, channels, outputs), w.dtype)
    taps[:kh] = w
    with one_blas_thread():
        at_points = np.tensordot(tiling.g, taps.reshape(tiling.pieces, TILE, kw, channels, outputs), (1, 1))
    wide = np.zeros((POINTS, tiling.pieces, tiling.run, channels, tiling.width, outputs), w.dtype)
    for j in range(tiling.width):
        wide[:, :, j:j + kw, :, j] = at_points
    return wide.reshape(POINTS, -1, tiling.width * outputs)


def _window_gradient(wide, w_shape, tiling):
    """`_wide_weights` backward: what reached a weight in all its places, summed up."""
    kh, kw, channels, outputs = w_shape
    wide = wide.reshape(POINTS, tiling.pieces, tiling.run, channels, tiling.width, outputs)
    at_points = sum(wide[:, :, j:j + kw, :, j] for j in range(tiling.width))
    taps = np.tensordot(tiling.g, at_points, (0, 0)).swapaxes(0, 1)             # (pieces, TILE, kw, C, O)
    return np.ascontiguousarray(taps.reshape(-1, kw, channels, outputs)[:kh])


def _whole_tiles(dy, tiling):
    """dy as (N, rows of tiles, TILE, columns of tiles, width · O), with zeros over the edge."""
    images, height, width, channels = dy.shape
    rows, columns = tiling.grid
    whole = rows * TILE, columns * tiling.width
    if (height, width) != whole:
        padded = np.zeros((images, *whole, channels), dy.dtype)
        padded[:, :height, :width] = dy
        dy = padded
    return dy.reshape(images, rows, TILE, columns, -1)
