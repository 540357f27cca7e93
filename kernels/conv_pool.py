"""Convolution, ReLU and max pooling in one go: what pooling throws away need not go out to memory first.

A first layer has one channel to read and many to write. Nine multiplications make a number, which then goes out to memory
and comes back to be pooled, where three of four are thrown away. Here a block of outputs is pooled while it is in the cache:

    y = max over each window of max(x ∗ w + b, 0)

The columns (kernels/conv.py) are gathered in an order that suits the pool: first all outputs that lie at the first place
of their pooling windows, then those at the second, and so on. The product then gives an array for each place, and pooling
compares whole arrays. One more row of the columns is always 1, and its weight is the bias.

Only two things are written: y and, in a byte for each number of it, the place in its window that was chosen. In the
backward pass the gradient of a block's outputs before pooling is made from dy and those places, and used for dw and db before
it leaves the cache.

    d(x ∗ w + b) at place k of a window = dy where place k was chosen, else 0;     [dw; db] = columns · that

This is done where the convolution has few channels and goes by columns, the pool pads nothing, and, backward, where nobody
asks for dx. Later layers, with many channels, go by minimal filtering; if its tiles hold whole pooling windows they are pooled
before they are written (`TilePool` in kernels/winograd_tiles.py), and the backward pass runs kernel by kernel. In all other
cases the kernels run one after the other. The numbers are the same either way, but for rounding: sums are added up in another
order, or tiles have another size.
"""
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nanoemo.kernels.conv import (FEW_CHANNELS, PARTIAL_SUMS, conv2d_backward, conv2d_backward_plain, conv2d_forward,
                                  conv2d_forward_plain, padded_slab)
from nanoemo.kernels.conv_checks import check_conv2d, output_shape
from nanoemo.kernels.fourier import fourier_suits
from nanoemo.kernels.memory import workspace
from nanoemo.kernels.pool import (max_pool2d_backward, relu_max_of, relu_max_pool2d_backward_plain, relu_max_pool2d_forward,
                                  relu_max_pool2d_forward_plain, where_chosen)
from nanoemo.kernels.threads import groups, image_blocks, parallel, sum_of
from nanoemo.kernels.windows import axes_2d
from nanoemo.kernels.winograd import winograd_correlate, winograd_suits

__all__ = ["conv2d_relu_max_pool2d_backward", "conv2d_relu_max_pool2d_backward_plain",
           "conv2d_relu_max_pool2d_forward", "conv2d_relu_max_pool2d_forward_plain"]

BLOCK_BYTES = 4 << 20       # of columns and outputs; smaller ones wait longer for the interpreter lock than they gain


def conv2d_relu_max_pool2d_forward_plain(x, w, b, stride, padding, kernel_size, pool_padding="valid"):
    """The three definitions, one after the other: see `conv2d_relu_max_pool2d_forward`."""
    y, conv_cache = conv2d_forward_plain(x, w, b, stride, padding)
    pooled, pool_cache = relu_max_pool2d_forward_plain(y, kernel_size, None, pool_padding)
    return pooled, (conv_cache, pool_cache)


def conv2d_relu_max_pool2d_backward_plain(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db) by the definitions."""
    conv_cache, pool_cache = cache
    return conv2d_backward_plain(relu_max_pool2d_backward_plain(dy, pool_cache), conv_cache, needs)


def conv2d_relu_max_pool2d_forward(x, w, b, stride, padding, kernel_size, pool_padding="valid"):
    """max_pool2d(relu(conv2d(x, w, b))), the windows of the pooling side by side.

    x, w, b, stride, padding: as for `conv2d_forward`; kernel_size: a number or (rows, columns), also the pool's stride
    pool_padding: as `padding` for `max_pool2d_forward`
    Returns y (N, H' // kernel_size, W' // kernel_size, O), one more with padding that needs it, and the cache. Raises
    ValueError where shapes do not fit.

    Floor: the flops of the convolution; x read, y and a byte for each number of it written.

    >>> y, cache = conv2d_relu_max_pool2d_forward(np.ones((1, 4, 4, 1)), np.ones((1, 1, 1, 2)), None, 1, "valid", 2)
    >>> y.shape, y.ravel().tolist()
    ((1, 2, 2, 2), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """
    strides, pads = check_conv2d(x, w, b, stride, padding)
    height, width = output_shape(x.shape, w.shape, strides, pads)
    stand_in = np.broadcast_to(x[:1, :1, :1, :1], (len(x), height, width, 1))       # of the shape of what will be pooled
    axes = rows, columns = axes_2d("max_pool2d", stand_in, kernel_size, None, pool_padding)
    if _in_tiles(x.shape, w.shape, strides, axes):
        y, place = winograd_correlate(x, w, b, pads, (rows.kernel, columns.kernel))
        return y, ((x, w, b is not None, strides, pads), place, axes)
    if not _in_one_go(x.shape, w.shape, strides, axes):
        convolved, conv_cache = conv2d_forward(x, w, b, stride, padding)
        y, (place, _) = relu_max_pool2d_forward(convolved, kernel_size, None, pool_padding)
        return y, (conv_cache, place, axes)
    channels, places = w.shape[3], rows.kernel * columns.kernel
    weights = np.concatenate([w.reshape(-1, channels), (np.zeros(channels, w.dtype) if b is None else b)[None]])
    y = np.empty((x.shape[0], rows.outputs, columns.outputs, channels), x.dtype)
    place = np.empty(y.shape, np.min_scalar_type(places))

    def work(block):
        best, chosen = y[block], place[block]
        convolved = workspace("conv before pooling", (places, *best.shape), x.dtype)
        np.dot(_columns(x, w.shape, strides, pads, axes, block).T, weights, out=convolved.reshape(-1, channels))
        relu_max_of(convolved, best, chosen)

    parallel(work, _blocks(axes, y, weights))
    return y, ((x, w, b is not None, strides, pads), place, axes)


def conv2d_relu_max_pool2d_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db), None where `needs` does not ask for one."""
    conv_cache, place, axes = cache
    x, w, has_bias, strides, pads = conv_cache
    if needs[0] or not _in_one_go(x.shape, w.shape, strides, axes):
        return conv2d_backward(max_pool2d_backward(dy, (place, axes)), conv_cache, needs)
    dy = np.ascontiguousarray(dy)
    channels, places = w.shape[3], axes[0].kernel * axes[1].kernel

    def work(group):
        dweights = np.zeros((math.prod(w.shape[:3]) + 1, channels), dy.dtype)
        product = workspace("conv dw", dweights.shape, dy.dtype)
        for block in group:
            dconvolved = workspace("conv before pooling", (places, *dy[block].shape), dy.dtype)
            for k in range(places):
                where_chosen(place[block], k, dy[block], dconvolved[k])
            np.dot(_columns(x, w.shape, strides, pads, axes, block), dconvolved.reshape(-1, channels), out=product)
            np.add(dweights, product, out=dweights)
        return dweights

    dweights = sum_of(parallel(work, groups(_blocks(axes, dy, w.reshape(-1, channels)), PARTIAL_SUMS)))
    return None, dweights[:-1].reshape(w.shape) if needs[1] else None, dweights[-1] if has_bias and needs[2] else None


def _in_tiles(x_shape, w_shape, strides, axes):
    """Whether a convolution, whose outputs `axes` pool, is by minimal filtering, and its tiles hold whole windows."""
    rows, columns = axes
    return not _has_border(axes) and winograd_suits(w_shape, strides, x_shape[0], (rows.size, columns.size),
                                                    (rows.kernel, columns.kernel))


def _in_one_go(x_shape, w_shape, strides, axes):
    """Whether a convolution, whose outputs `axes` pool, has few channels and so goes by columns; no window is cut off."""
    return (not _has_border(axes) and w_shape[2] <= FEW_CHANNELS
            and not fourier_suits(w_shape, strides, x_shape, (axes[0].size, axes[1].size)))


def _has_border(axes):
    """Whether the pooling adds a border."""
    return any(axes[0].pads + axes[1].pads)


def _blocks(axes, y, weights):
    """Blocks of y, (images, rows), whose columns and outputs before pooling fill BLOCK_BYTES."""
    row_bytes = axes[0].kernel * axes[1].size * sum(weights.shape) * y.itemsize
    return image_blocks(len(y), axes[0].outputs, BLOCK_BYTES // row_bytes)


def _columns(x, w_shape, strides, pads, axes, block):
    """Columns of a block of y, (kh·kw·C + 1, places · outputs): the factors of the weights and, last, of the bias."""
    (kh, kw, c, _), (images, pooled), (rows, columns) = w_shape, block, axes
    slab = padded_slab(x, kh, strides, pads, images, slice(pooled.start * rows.kernel, pooled.stop * rows.kernel))
    n, i, j, k = slab.strides
    down, right = i * strides[0], j * strides[1]
    shape = kh, kw, c, rows.kernel, columns.kernel, len(slab), pooled.stop - pooled.start, columns.outputs
    gathered = workspace("conv columns", (kh * kw * c + 1, math.prod(shape[3:])), x.dtype)
    steps = i, j, k, down, right, n, down * rows.kernel, right * columns.kernel
    np.copyto(gathered[:-1].reshape(shape), as_strided(slab, shape, steps))
    gathered[-1] = 1
    return gathered
