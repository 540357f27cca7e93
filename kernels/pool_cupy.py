"""Pooling on the GPU: the functions of pool.py, computed by pool.cu. Arguments and errors are those of pool.py."""
from functools import lru_cache

import cupy as cp
import numpy as np

from nanoemo.kernels.cuda import CudaFile, each, in_order
from nanoemo.kernels.windows import as_one_row, axes_1d, axes_2d

__all__ = [
    "avg_pool1d_backward", "avg_pool1d_forward", "avg_pool2d_backward", "avg_pool2d_forward", "max_pool1d_backward",
    "max_pool1d_forward", "max_pool2d_backward", "max_pool2d_forward", "min_pool2d_backward", "min_pool2d_forward",
    "relu_max_pool1d_backward", "relu_max_pool1d_forward", "relu_max_pool2d_backward", "relu_max_pool2d_forward",
]

IMAGES_A_THREAD = 4                 # pool.cu: AT_ONCE
MOST_BLOCKS_IN_Y = 65535            # that a card takes; with more images, threads work on more of them
AXIS = np.dtype([(name, np.int32) for name in ("size", "outputs", "kernel", "stride", "pad")])
POOLING = np.dtype([*((name, np.int32) for name in ("images", "channels", "inputs", "outputs")),
                    ("rows", AXIS), ("columns", AXIS)])

launch = CudaFile("pool.cu").launch


@lru_cache
def _launching(images, axes, channels):
    """(shape of x, shape of y): launch shapes with a thread for each number of an image; and pool.cu's Pooling."""
    rows, columns = axes
    numbers = rows.size * columns.size * channels, rows.outputs * columns.outputs * channels
    images_at_once = min(-(-images // IMAGES_A_THREAD), MOST_BLOCKS_IN_Y)
    shapes = [((*grid, images_at_once), block) for grid, block in map(each, numbers)]
    structs = [(axis.size, axis.outputs, axis.kernel, axis.stride, axis.pads[0]) for axis in axes]
    return shapes, np.array([(images, channels, *numbers, *structs)], POOLING)


def _forward(x, axes):
    """What kernels that make y are launched with: x in order, y, launch shape, Pooling."""
    images, _, _, channels = x.shape
    y = cp.empty((images, axes[0].outputs, axes[1].outputs, channels), x.dtype)
    (_, shape), pooling = _launching(images, axes, channels)
    return in_order(x), y, shape, pooling


def _backward(dy, axes):
    """What kernels that make dx are launched with: dy in order, dx, launch shape, Pooling."""
    images, _, _, channels = dy.shape
    dx = cp.empty((images, axes[0].size, axes[1].size, channels), dy.dtype)
    (shape, _), pooling = _launching(images, axes, channels)
    return in_order(dy), dx, shape, pooling


def _extreme_forward(x, axes, sign, relu=False):
    """The largest sign·x of each window, times sign."""
    x, y, shape, pooling = _forward(x, axes)
    place = cp.empty(y.shape, cp.uint8 if axes[0].kernel * axes[1].kernel <= 255 else cp.int32)
    launch(f"extreme_forward_{place.dtype}", shape, x, y, place, pooling, sign, relu)
    return y, (place, axes)


def _extreme_backward(dy, cache):
    """dx: what the windows that chose a cell have of dy."""
    place, axes = cache
    dy, dx, shape, pooling = _backward(dy, axes)
    launch(f"extreme_backward_{place.dtype}", shape, dy, place, dx, pooling)
    return dx


def _mean_forward(x, axes):
    """The mean of each window's real cells."""
    x, y, shape, pooling = _forward(x, axes)
    launch("mean_forward", shape, x, y, pooling)
    return y, axes


def _mean_backward(dy, axes):
    """dx: each real cell of a window gets dy / real cells."""
    dy, dx, shape, pooling = _backward(dy, axes)
    launch("mean_backward", shape, dy, dx, pooling)
    return dx


# ---------------------------------------------------------------------------------------- the kernels, by name

def max_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window: x (N, H, W, C) -> y (N, H', W', C)."""
    return _extreme_forward(x, axes_2d("max_pool2d", x, kernel_size, stride, padding), 1)


def relu_max_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window, or 0 where none is positive."""
    return _extreme_forward(x, axes_2d("relu_max_pool2d", x, kernel_size, stride, padding), 1, relu=True)


def min_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Smallest value of each window."""
    return _extreme_forward(x, axes_2d("min_pool2d", x, kernel_size, stride, padding), -1)


def avg_pool2d_forward(x, kernel_size, stride=None, padding="valid"):
    """Mean of each window's real cells."""
    return _mean_forward(x, axes_2d("avg_pool2d", x, kernel_size, stride, padding))


def max_pool1d_forward(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window of a sequence: x (N, T, C) -> y (N, T', C)."""
    return as_one_row(_extreme_forward, x, axes_1d("max_pool1d", x, kernel_size, stride, padding), 1)


def relu_max_pool1d_forward(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window of a sequence, or 0 where none is positive."""
    return as_one_row(_extreme_forward, x, axes_1d("relu_max_pool1d", x, kernel_size, stride, padding), 1, True)


def avg_pool1d_forward(x, kernel_size, stride=None, padding="valid"):
    """Mean of the real cells of each window of a sequence."""
    return as_one_row(_mean_forward, x, axes_1d("avg_pool1d", x, kernel_size, stride, padding))


def max_pool1d_backward(dy, cache):
    """Gradient of `max_pool1d_forward`: dy (N, T', C) -> dx (N, T, C)."""
    return _extreme_backward(dy[:, None], cache)[:, 0]


def avg_pool1d_backward(dy, cache):
    """Gradient of `avg_pool1d_forward`: dy (N, T', C) -> dx (N, T, C)."""
    return _mean_backward(dy[:, None], cache)[:, 0]


# The backward of max and min pooling sends dy to the cell that was chosen, whichever rule chose it.
max_pool2d_backward = min_pool2d_backward = relu_max_pool2d_backward = _extreme_backward
relu_max_pool1d_backward = max_pool1d_backward
avg_pool2d_backward = _mean_backward
