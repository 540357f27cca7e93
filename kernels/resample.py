"""Nearest up-sampling of images: each cell becomes a block of scale_h × scale_w equal cells.

    y[n, r, c] = x[n, r // scale_h, c // scale_w]
    dx[n, i, j] = sum of dy over the block of (i, j)
"""
import numpy as np

from nanoemo.kernels.shapes import sizes
from nanoemo.kernels.threads import parallel, row_blocks

__all__ = ["upsample2d_forward_plain", "upsample2d_backward_plain",
           "upsample2d_forward", "upsample2d_backward"]


def checked_scale(x, scale):
    """`scale` as a pair. Raises ValueError where x or scale is none for `upsample2d`."""
    if x.ndim != 4:
        raise ValueError(f"upsample2d: x must have 4 axes (N, H, W, C), got shape {x.shape}")
    return sizes(scale, "upsample2d: scale")


def upsample2d_forward_plain(x, scale):
    """Nearest up-sampling by definition: see `upsample2d_forward`."""
    rows, columns = checked_scale(x, scale)
    n, height, width, channels = x.shape
    y = np.empty((n, height * rows, width * columns, channels), x.dtype)
    for r in range(y.shape[1]):
        for c in range(y.shape[2]):
            y[:, r, c] = x[:, r // rows, c // columns]
    return y, (rows, columns)


def upsample2d_backward_plain(dy, cache):
    """dx: the sum of dy over each block, by definition."""
    rows, columns = cache
    n, height, width, channels = dy.shape
    dx = np.zeros((n, height // rows, width // columns, channels), dy.dtype)
    for r in range(height):
        for c in range(width):
            dx[:, r // rows, c // columns] += dy[:, r, c]
    return dx


def upsample2d_forward(x, scale):
    """x (N, H, W, C), scale a number or a pair (rows, columns) -> y (N, H·rows, W·columns, C) and the cache.

    Raises ValueError for another rank and for a scale that is no positive whole number.
    Memory floor: x read, y written.

    >>> upsample2d_forward(np.array([[1.0, 2.0]]).reshape(1, 1, 2, 1), 2)[0][0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    rows, columns = checked_scale(x, scale)
    n, height, width, channels = x.shape
    y = np.empty((n, height * rows, width * columns, channels), x.dtype)
    blocks = _as_blocks(y, rows, columns)

    def repeat(images):
        for r in range(rows):
            for c in range(columns):
                blocks[images, :, r, :, c] = x[images]

    parallel(repeat, row_blocks(n, y[:1].nbytes))
    return y, (rows, columns)


def upsample2d_backward(dy, cache):
    """dx (N, H, W, C): the sum of dy over each block. Memory floor: dy read, dx written."""
    rows, columns = cache
    dy = np.ascontiguousarray(dy)
    n, height, width, channels = dy.shape
    dx = np.empty((n, height // rows, width // columns, channels), dy.dtype)
    blocks = _as_blocks(dy, rows, columns)

    def add_up(images):
        dx[images] = blocks[images, :, 0, :, 0]
        for r in range(rows):
            for c in range(1 if r == 0 else 0, columns):
                dx[images] += blocks[images, :, r, :, c]

    parallel(add_up, row_blocks(n, dy[:1].nbytes))
    return dx


def _as_blocks(large, rows, columns):
    """View (N, H·rows, W·columns, C) as (N, H, rows, W, columns, C)."""
    n, height, width, channels = large.shape
    return large.reshape(n, height // rows, rows, width // columns, columns, channels)
