"""Convolution with fewer multiplications: Winograd's minimal filtering.

m neighbouring outputs of a filter of r taps need m·r multiplications when written out. Both are coefficients of a
product of polynomials, and a product of degree n − 1 is known from its values at n = m + r − 1 points; so n
multiplications, one a point, are enough (Toom and Cook; Winograd 1980). Along one axis

    y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]         d: n inputs, g: r taps, y: m outputs, ⊙: element by element

and along both axes of an image, where d, g and y are small squares,

    y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A.

With tiles of 4×4 outputs that is 36 multiplications instead of 144 for a 3×3 window, and 64 instead of 400 for one of
5×5. Summing over input channels comes before the last step, so at each of the 36 or 64 points there is one matrix
product, tiles × channels times channels × outputs (Lavin & Gray 2016, "Fast algorithms for convolutional neural
networks"). The three transforms are matrix products as well. The whole is linear in g, so its gradient is the
same steps transposed, last one first (that of d is a correlation again, kernels/conv.py):

    dg = Gᵀ [ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G.

The price is rounding: a larger tile takes more points, whose powers lie farther from 1. With tiles of four outputs and 64
channels float32's error forward is some 3 times that of the columns' product for a sequence, 6 times for 3×3 windows and 10
times for 5×5; of a gradient of the weights up to 25 times. That is a few millionths of the result. Tiles of six for 3×3
windows have as many points as those of four for 5×5, and are as far off. A value that is not finite, or so large that a
transform overflows, spreads over its whole tile, and an infinity becomes NaN.
"""
import itertools
import math
from functools import lru_cache

import numpy as np

from nanoemo.kernels.conv_checks import output_shape
from nanoemo.kernels.memory import aligned, workspace
from nanoemo.kernels.threads import groups, image_blocks, once_per_thread, parallel, row_blocks, sum_of
from nanoemo.kernels.winograd_tiles import TilePool, TileReader, TileTransform, TileWriter

__all__ = ["winograd_correlate", "winograd_suits", "winograd_weight_gradient"]

POINTS = (0, 1, -1, 2, -2, 1 / 2, -1 / 2)       # and infinity
USUAL_TILE = 4                  # outputs along an axis at the most, as a larger tile rounds more
LARGEST_TILE = 6                # the same where there are many channels, and so large a tile saves a tenth of the multiplications
MANY_CHANNELS = 64              # in and out: products are then much more work than transforms
WEIGHTS_COST = 100              # in tiles: the weights at all points are written once, and read again for every block
BLOCK_BYTES = 2000 << 10        # of the larger of a block's transformed inputs and outputs: about a level-2 cache
MIN_TILES = 64                  # in a block, for products of enough rows
LEAST_SAVED = 45                # multiplications for each number that is transformed: below, the transforms cost more
LEAST_SAVED_IN_A_LINE = 60      # along one axis only, where columns are quick to gather


def winograd_suits(w_shape, strides, images, outputs, pool=(1, 1)):
    """Whether a convolution has stride 1, a 3- or 5-tap window, and channels and outputs enough to be worth it.

    images: how many; outputs: (height, width) of the result; pool: as for `winograd_correlate`, and whether it fits into tiles

    >>> [winograd_suits((5, 5, 32, 64), (1, 1), 32, (24, 24), pool) for pool in ((1, 1), (2, 2), (5, 5))]
    [True, True, False]
    """
    kh, kw, *channels = w_shape
    if strides != (1, 1) or not {kh, kw} <= {1, 3, 5} or max(kh, kw) == 1 or not all(_sizes(w_shape, pool)):
        return False
    outputs = whole_windows(outputs, pool)
    points, tiles = points_and_tiles(tile_size(images, outputs, w_shape, pool), images, outputs, (kh, kw))
    saved = (images * math.prod(outputs) * kh * kw - points * (tiles + WEIGHTS_COST)) * math.prod(channels)
    transformed = points * tiles * sum(channels)
    return saved >= (LEAST_SAVED if min(kh, kw) > 1 else LEAST_SAVED_IN_A_LINE) * transformed


def transforms(m, r):
    """Matrices Aᵀ (m, n), G (n, r), Bᵀ (n, n) of F(m, r), n = m + r − 1.

    A polynomial of degree below n is, of its values v at the points p, Σ v(p) Π (x − q) / Π (p − q), q all other points
    (Lagrange). Row k of A and of G evaluates at point k, in G divided by Π (p − q); row k of Bᵀ holds the coefficients of
    Π (x − q). The last row stands for the point at infinity: it picks the leading coefficient.

    >>> at, g, bt = transforms(2, 3)
    >>> import numpy as np
    >>> d, taps = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0, 100.0])
    >>> (at @ ((g @ taps) * (bt @ d))).tolist()
    [321.0, 432.0]
    """
    n = m + r - 1
    points = POINTS[:n - 1]
    at, g, bt = np.zeros((m, n)), np.zeros((n, r)), np.zeros((n, n))
    for k, p in enumerate(points):
        others = [q for q in points if q != p]
        at[:, k] = [p ** i for i in range(m)]
        g[k] = [p ** j / math.prod(p - q for q in others) for j in range(r)]
        bt[k, :n - 1] = np.polynomial.polynomial.polyfromroots(others)
    at[m - 1, -1] = g[-1, r - 1] = 1
    bt[-1] = np.polynomial.polynomial.polyfromroots(points)
    return at, g, bt


def points_and_tiles(tile, images, outputs, taps):
    """At how many points tiles of this size are transformed, and how many tiles cover the outputs."""
    return (math.prod(m + r - 1 for m, r in zip(tile, taps)),
            images * math.prod(-(-o // m) for o, m in zip(outputs, tile)))


@lru_cache(maxsize=256)
def tile_size(images, outputs, window, pool=(1, 1)):
    """Outputs that a tile has along each axis: those that need the fewest multiplications, the weights' cost counted in.

    images: how many; outputs: (height, width) of one; window: (kh, kw, C, O); pool: as for `winograd_correlate`

    >>> tile_size(32, (46, 46), (3, 3, 32, 64)), tile_size(32, (21, 21), (3, 3, 64, 128)), tile_size(1, (21, 21), (3, 3, 64, 128))
    ((4, 4), (3, 3), (2, 2))
    >>> tile_size(32, (10, 10), (3, 3, 256, 128)), tile_size(32, (1, 162), (1, 5, 64, 64))
    ((5, 5), (1, 4))
    """
    taps = window[:2]

    def cost(tile):
        points, tiles = points_and_tiles(tile, images, outputs, taps)
        return points * (tiles + WEIGHTS_COST) * (1.1 if max(tile) > USUAL_TILE else 1)

    return min(itertools.product(*_sizes(window, pool)), key=cost)          # the smallest of equals, which rounds the least


def _sizes(window, pool):
    """The outputs that a tile may have along each axis."""
    largest = LARGEST_TILE if min(window[2:]) >= MANY_CHANNELS else USUAL_TILE
    return [range(p, (min(largest, len(POINTS) + 2 - r) if r > 1 else 1) + 1, p) for r, p in zip(window[:2], pool)]


def whole_windows(outputs, pool):
    """The outputs (height, width) that lie in whole pooling windows: all that have to be computed.

    >>> whole_windows((21, 20), (2, 2))
    (20, 20)
    """
    return tuple(o // p * p for o, p in zip(outputs, pool))


@lru_cache(maxsize=64)
def transforms_for(tile, taps, dtype):
    """`transforms` of the rows and of the columns, in a kernel's dtype."""
    return [[matrix.astype(dtype) for matrix in transforms(m, r)] for m, r in zip(tile, taps)]


class _Tiling:
    """How the outputs of a convolution are cut into tiles, and the tiles into blocks: (images, rows of tiles).

    pool: a window (rows, columns) of which each tile is to hold whole ones; outputs that are in none are left out
    """

    def __init__(self, x_shape, w_shape, pads, dtype, pool=(1, 1)):
        self.taps = w_shape[:2]
        self.origin = (-pads[0][0], -pads[1][0])
        self.outputs = whole_windows(output_shape(x_shape, w_shape, (1, 1), pads), pool)
        self.tile = tile_size(x_shape[0], self.outputs, w_shape, pool)
        self.grid = tuple(-(-o // m) for o, m in zip(self.outputs, self.tile))
        self.points = tuple(m + r - 1 for m, r in zip(self.tile, self.taps))
        tile_bytes = math.prod(self.points) * max(w_shape[2:]) * dtype.itemsize
        rows = max(MIN_TILES, BLOCK_BYTES // tile_bytes) // self.grid[1]
        self.blocks = image_blocks(x_shape[0], self.grid[0], rows)

    def cells(self, count, height, channels):
        """Shape of the cells at one place of all tiles in a block: of `count` images and `height` rows of tiles."""
        return count, height, self.grid[1], channels


class _Inputs:
    """Bᵀ d B of a block, in `values` (points, tiles, channels)."""

    def __init__(self, x, tiling, matrices, count, height):
        cells = tiling.cells(count, height, x.shape[3])
        self.transform = TileTransform(matrices[0][2], matrices[1][2], cells, "winograd tiles", "winograd inputs")
        self.reader = TileReader(x, tiling.points, tiling.tile, tiling.origin, cells, self.transform.input)
        self.values = self.transform.output.reshape(math.prod(tiling.points), -1, x.shape[3])

    def compute(self, block):
        """Fill `values` with those of this block, and return them."""
        self.reader.read(block)
        self.transform.run()
        return self.values


def _transform_weights(rows_matrix, columns_matrix, values):
    """rows_matrix · values · columns_matrixᵀ over the first two axes, as one product with their Kronecker product.

    values: (p, q, C, O). Returns (p'·q', C, O).
    """
    matrix = np.kron(rows_matrix, columns_matrix)
    flat = np.ascontiguousarray(values).reshape(matrix.shape[1], -1)
    out = aligned((len(matrix), flat.shape[1]), values.dtype)
    pieces = row_blocks(flat.shape[1], out.itemsize * len(matrix))
    parallel(lambda columns: np.matmul(matrix, flat[:, columns], out=out[:, columns]), pieces)
    return out.reshape(-1, *values.shape[2:])


def winograd_correlate(x, w, b, pads, pool=None):
    """What `conv2d_forward` computes with stride 1; where `pool` is given, followed by ReLU and max pooling.

    x: (N, H, W, C); w: (kh, kw, C, O); b: (O,) or None; pads: ((top, bottom), (left, right))
    pool: size of the pooling windows, (rows, columns), that lie side by side; `winograd_suits` says which will do
    Returns y, or with `pool` y and the place of each window's maximum, as `relu_max_pool2d_forward` notes it.
    """
    x = np.ascontiguousarray(x)
    window = pool or (1, 1)
    tiling = _Tiling(x.shape, w.shape, pads, x.dtype, window)
    matrices = (at_rows, g_rows, _), (at_columns, g_columns, _) = transforms_for(tiling.tile, tiling.taps, x.dtype)
    points = math.prod(tiling.points)
    weights = _transform_weights(g_rows, g_columns, w)
    channels = w.shape[3]
    # What is found at the point (1, 1) counts once in every output of the tile, so the bias is added there.
    point_one = min(1, tiling.points[0] - 1) * tiling.points[1] + min(1, tiling.points[1] - 1)
    y = np.empty((x.shape[0], *(o // p for o, p in zip(tiling.outputs, window)), channels), x.dtype)
    place = np.empty(y.shape, np.min_scalar_type(math.prod(pool))) if pool else None

    def prepare(count, height):
        """For blocks of `count` images and `height` rows of tiles: this thread's buffers, and the steps in them."""
        inputs = _Inputs(x, tiling, matrices, count, height)
        cells = tiling.cells(count, height, channels)
        outputs = TileTransform(at_rows, at_columns, cells, "winograd products", "winograd tiles")
        products = outputs.input.reshape(points, -1, channels)
        tiles = outputs.output.reshape(*tiling.tile, *cells)
        writer = TilePool(tiles, pool, y, place) if pool else TileWriter(tiles, y)

        def run(block):
            np.matmul(inputs.compute(block), weights, out=products)
            if b is not None:
                products[point_one] += b
            outputs.run()
            writer.write(block)

        return run

    steps = once_per_thread(prepare)
    parallel(lambda block: steps(*_size(block))(block), tiling.blocks)
    return (y, place) if pool else y


def winograd_weight_gradient(dy, x, w_shape, pads, partial_sums):
    """dw: at each point, transformed inputs transposed times transformed dy; then Gᵀ · G. Stride 1."""
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    tiling = _Tiling(x.shape, w_shape, pads, x.dtype)
    matrices = (at_rows, g_rows, _), (at_columns, g_columns, _) = transforms_for(tiling.tile, tiling.taps, x.dtype)
    a_rows, a_columns = np.ascontiguousarray(at_rows.T), np.ascontiguousarray(at_columns.T)
    points, channels = math.prod(tiling.points), w_shape[3]

    def prepare(count, height):
        """As in `winograd_correlate`: this thread's buffers, and the steps in them."""
        inputs = _Inputs(x, tiling, matrices, count, height)
        cells = tiling.cells(count, height, channels)
        outputs = TileTransform(a_rows, a_columns, cells, "winograd dy", "winograd products")
        reader = TileReader(dy, tiling.tile, tiling.tile, (0, 0), cells, outputs.input)
        dy_at_points = outputs.output.reshape(points, -1, channels)

        def add_to(total, block):
            """total + this block's dw, in place; a new array where there is no total yet."""
            reader.read(block)
            outputs.run()
            return add_product(total, inputs.compute(block).transpose(0, 2, 1), dy_at_points)

        return add_to

    steps = once_per_thread(prepare)

    def work(group):
        total = None
        for block in group:
            total = steps(*_size(block))(total, block)
        return total

    total = sum_of(parallel(work, groups(tiling.blocks, partial_sums)))
    dw = _transform_weights(g_rows.T, g_columns.T, total.reshape(*tiling.points, *w_shape[2:]))
    return dw.reshape(w_shape)


def add_product(total, left, right):
    """total + left @ right, in place; a new array where there is no total yet."""
    if total is None:
        return np.matmul(left, right)
    product = workspace("dw at points", total.shape, total.dtype)
    np.matmul(left, right, out=product)
    return np.add(total, product, out=total)


def _size(block):
    """How many images, and how many rows of tiles, a block (images, rows) has."""
    return block[0].stop - block[0].start, block[1].stop - block[1].start
