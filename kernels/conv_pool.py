"""Convolution, ReLU and max pooling in one go, for layers that move more numbers than they multiply.

A first layer has one channel to read and many to write: nine multiplications a number, which then goes out to memory,
comes back to be pooled, and three of four are thrown away. Here a block of outputs is pooled while it is in the cache:

    y = max over each window of max(x ∗ w + b, 0)

Only y and, a byte for each number of it, the place in its window that was chosen are written. On the way back the block's
dy is made again from those two, and used for dw before it leaves the cache.

This is done where the convolution goes by columns (kernels/conv.py) and, backward, where nobody asks for dx; else the
kernels run one after the other. The numbers are the same either way, but for the order in which dw is summed up.
"""
import math

import numpy as np

from nanoemo.kernels.conv import (PARTIAL_SUMS, _check, _gather, _goes_by_columns, _output_shape, conv2d_backward,
                                  conv2d_backward_plain, conv2d_forward, conv2d_forward_plain)
from nanoemo.kernels.pool import (max_pool2d_backward, relu_max_pool2d_backward_plain, relu_max_pool2d_forward,
                                  relu_max_pool2d_forward_plain)
from nanoemo.kernels.threads import groups, image_blocks, parallel, sum_of, workspace
from nanoemo.kernels.windows import Axis, axes_2d

__all__ = ["conv2d_relu_max_pool2d_backward", "conv2d_relu_max_pool2d_backward_plain",
           "conv2d_relu_max_pool2d_forward", "conv2d_relu_max_pool2d_forward_plain"]

BLOCK_BYTES = 4 << 20       # of columns and outputs; smaller ones wait longer for the interpreter lock than they gain


def conv2d_relu_max_pool2d_forward_plain(x, w, b, stride, padding, kernel_size):
    """The three definitions, one after the other: see `conv2d_relu_max_pool2d_forward`."""
    y, conv_cache = conv2d_forward_plain(x, w, b, stride, padding)
    pooled, pool_cache = relu_max_pool2d_forward_plain(y, kernel_size)
    return pooled, (conv_cache, pool_cache)


def conv2d_relu_max_pool2d_backward_plain(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db) by the definitions."""
    conv_cache, pool_cache = cache
    return conv2d_backward_plain(relu_max_pool2d_backward_plain(dy, pool_cache), conv_cache, needs)


def conv2d_relu_max_pool2d_forward(x, w, b, stride, padding, kernel_size):
    """max_pool2d(relu(conv2d(x, w, b))), the windows of the pooling side by side.

    x, w, b, stride, padding: as for `conv2d_forward`; kernel_size: a number or (rows, columns), also the pool's stride
    Returns y (N, H' // kernel_size, W' // kernel_size, O) and the cache. Raises ValueError where shapes do not fit.

    Floor: the flops of the convolution; x read, y and a byte for each number of it written.

    >>> y, cache = conv2d_relu_max_pool2d_forward(np.ones((1, 4, 4, 1)), np.ones((1, 1, 1, 2)), None, 1, "valid", 2)
    >>> y.shape, y.ravel().tolist()
    ((1, 2, 2, 2), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """
    strides, pads = _check("conv2d_relu_max_pool2d", x, w, b, stride, padding)
    height, width = _output_shape(x, w, strides, pads)
    unpooled = np.broadcast_to(x[:1, :1, :1, :1], (len(x), height, width, 1))       # stands for its shape
    axes = rows, columns = axes_2d("conv2d_relu_max_pool2d", unpooled, kernel_size, None, "valid")
    if not _goes_by_columns(w.shape, strides, (height, width)):
        whole, conv_cache = conv2d_forward(x, w, b, stride, padding)
        y, (place, _) = relu_max_pool2d_forward(whole, kernel_size)
        return y, (conv_cache, place, axes)
    weights = np.ascontiguousarray(w).reshape(-1, w.shape[3])
    y = np.empty((x.shape[0], rows.outputs, columns.outputs, w.shape[3]), x.dtype)
    place = np.empty(y.shape, np.min_scalar_type(rows.kernel * columns.kernel))

    def work(block):
        images, conv_rows = _conv_rows(block, rows)
        windows = _gather(x, w.shape, strides, pads, images, conv_rows, width)
        whole = _whole_block(block, axes, y)
        np.dot(windows, weights, out=whole.reshape(-1, w.shape[3]))
        if b is not None:
            np.add(whole, b, out=whole)
        y[block], (place[block], _) = relu_max_pool2d_forward(whole, kernel_size)

    parallel(work, _blocks(axes, y, weights))
    return y, ((x, w, b is not None, strides, pads), place, axes)


def conv2d_relu_max_pool2d_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db), None where `needs` does not ask for one."""
    conv_cache, place, axes = cache
    x, w, has_bias, strides, pads = conv_cache
    if needs[0] or not _goes_by_columns(w.shape, strides, (axes[0].size, axes[1].size)):
        return conv2d_backward(max_pool2d_backward(dy, (place, axes)), conv_cache, needs)
    dy = np.ascontiguousarray(dy)

    def work(group):
        dw = np.zeros((math.prod(w.shape[:3]), w.shape[3]), dy.dtype)
        db = np.zeros(w.shape[3], dy.dtype)
        product = workspace("conv dw", dw.shape, dy.dtype)
        for block in group:
            images, conv_rows = _conv_rows(block, axes[0])
            height = Axis(conv_rows.stop - conv_rows.start, axes[0].kernel, axes[0].kernel, (0, 0))
            whole = max_pool2d_backward(dy[block], (place[block], (height, axes[1]))).reshape(-1, w.shape[3])
            windows = _gather(x, w.shape, strides, pads, images, conv_rows, axes[1].size)
            np.dot(windows.T, whole, out=product)
            np.add(dw, product, out=dw)
            db += np.dot(np.ones(len(whole), dy.dtype), whole)
        return dw, db

    parts = parallel(work, groups(_blocks(axes, dy, w.reshape(-1, w.shape[3])), PARTIAL_SUMS))
    dw, db = (sum_of(part) for part in zip(*parts))
    return None, dw.reshape(w.shape) if needs[1] else None, db if has_bias and needs[2] else None


def _blocks(axes, y, weights):
    """Blocks of y, (images, rows), whose columns and outputs before pooling fill BLOCK_BYTES."""
    row_bytes = axes[0].kernel * axes[1].size * sum(weights.shape) * y.itemsize
    return image_blocks(len(y), axes[0].outputs, BLOCK_BYTES // row_bytes)


def _conv_rows(block, rows):
    """The same block, in rows of the convolution's output."""
    images, pooled = block
    return images, slice(pooled.start * rows.kernel, pooled.stop * rows.kernel)


def _whole_block(block, axes, y):
    """Room for a block's outputs before pooling."""
    images, pooled = block
    height = (pooled.stop - pooled.start) * axes[0].kernel
    return workspace("conv whole", (images.stop - images.start, height, axes[1].size, y.shape[3]), y.dtype)
