"""What minimal filtering (kernels/winograd.py) does with tiles but multiply them: read, transform, pool and write them.

A block of tiles, part of an image or several, is an array (rows, columns, image, tile row, tile column, channel): first the place
in a tile, so that a transform is one product for the whole block, and all cells at one place lie together.
"""
import math

import numpy as np

from nanoemo.kernels.memory import workspace
from nanoemo.kernels.pool import relu_max_of
from nanoemo.kernels.shapes import copy_with_border

__all__ = ["TilePool", "TileReader", "TileTransform", "TileWriter"]


class TileTransform:
    """Transforms all tiles d of a block, rows_matrix · d · columns_matrixᵀ, in buffers that are kept.

    Fill `input` (p, q, cells), call `run()`, and read `output` (p', q', cells).
    cells: shape of those at one place of all tiles; source, target: names of the buffers (`workspace`)
    """

    def __init__(self, rows_matrix, columns_matrix, cells, source, target):
        (p_out, p), (q_out, q), dtype = rows_matrix.shape, columns_matrix.shape, rows_matrix.dtype
        rest = math.prod(cells)
        self.input = workspace(source, (p, q, rest), dtype)
        self.output = workspace(target, (p_out, q_out, rest), dtype)
        # A product for each column, then one for each row: small enough each to stay in the cache.
        columns_first = self.input.transpose(1, 0, 2)
        if p == p_out == 1:                             # one row, as of a sequence: its matrix is 1
            self.steps = [(columns_matrix, self.input, self.output)]
        elif q == q_out == 1:
            self.steps = [(rows_matrix, columns_first, self.output.transpose(1, 0, 2))]
        else:
            half = workspace("winograd half", (q, p_out, rest), dtype)
            self.steps = [(rows_matrix, columns_first, half), (columns_matrix, half.transpose(1, 0, 2), self.output)]

    def run(self):
        """Compute `output` from `input`."""
        for matrix, given, target in self.steps:
            np.matmul(matrix, given, out=target)


class TileReader:
    """Copies the tiles of a block of images into a buffer, (rows, columns, image, tile row, tile column, channel).

    size: of a tile; step: from one tile to the next, less where they overlap; origin: where the first one starts in x
    cells: shape of those at one place of all tiles
    """

    def __init__(self, x, size, step, origin, cells, buffer):
        self.x, self.origin, self.step = x, origin, step
        count, height, width, channels = cells
        self.shape = (*size, *cells)
        self.tiles = buffer.reshape(self.shape)
        self.reach = (height - 1) * self.step[0] + size[0], (width - 1) * self.step[1] + size[1]
        self.slab = workspace("winograd slab", (count, *self.reach, channels), x.dtype)

    def read(self, block):
        """Copy the tiles of this block, with zeros for what lies outside the images."""
        images, rows = block
        x, (top, left) = self.x, (rows.start * self.step[0] + self.origin[0], self.origin[1])
        bottom, right = top + self.reach[0], left + self.reach[1]
        if top >= 0 and left >= 0 and bottom <= x.shape[1] and right <= x.shape[2]:
            n, i, j, _ = x.strides
            source, offset = x, images.start * n + top * i + left * j
        else:
            source, offset = copy_with_border(x, images, (top, left), out=self.slab), 0
        n, i, j, k = source.strides
        # The same window as np.lib.stride_tricks.as_strided would give, without its overhead.
        np.copyto(self.tiles, np.ndarray(self.shape, x.dtype, source, offset,
                                         (i, j, n, i * self.step[0], j * self.step[1], k)))


class TileWriter:
    """Copies the tiles of a block to their places in y, but for what lies beyond its edge."""

    def __init__(self, tiles, y):
        self.tiles, self.y = tiles.transpose(2, 3, 0, 4, 1, 5), y       # image, tile row, row, tile column, column, channel

    def write(self, block):
        images, rows = block
        count, height, mh, width, mw, channels = self.tiles.shape
        target = self.y[images, rows.start * mh:rows.stop * mh]
        if target.shape[1:3] == (height * mh, width * mw):
            np.copyto(target.reshape(self.tiles.shape), self.tiles)
        else:
            whole_tiles = workspace("winograd rows", self.tiles.shape, self.tiles.dtype)
            np.copyto(whole_tiles, self.tiles)
            whole_tiles = whole_tiles.reshape(count, height * mh, width * mw, channels)
            np.copyto(target, whole_tiles[:, :target.shape[1], :target.shape[2]])


class TilePool:
    """ReLU and max pooling of tiles that hold whole windows, side by side: writes the largest to y, and which it was to `place`.

    All cells at one place of their windows are compared with all at the next.
    """

    def __init__(self, tiles, window, y, place):
        (mh, mw, *rest), (ph, pw) = tiles.shape, window
        windows = tiles.reshape(mh // ph, ph, mw // pw, pw, *rest)
        self.cells = [windows[:, i, :, j] for i in range(ph) for j in range(pw)]
        self.best = workspace("winograd best", self.cells[0].shape, y.dtype)
        self.chosen = workspace("winograd chosen", self.cells[0].shape, place.dtype)
        self.writers = TileWriter(self.best, y), TileWriter(self.chosen, place)

    def write(self, block):
        relu_max_of(self.cells, self.best, self.chosen)
        for writer in self.writers:
            writer.write(block)
