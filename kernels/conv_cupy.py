"""Convolution on the GPU: the functions of conv.py, by conv.cu and, for the products, cuBLAS."""
import math
from functools import lru_cache

import cupy as cp
import numpy as np

from nanoemo.kernels.blas_cupy import matmul
from nanoemo.kernels.conv_checks import as_images, check_conv1d, check_conv2d, output_shape, without_row_axis
from nanoemo.kernels.cuda import LARGEST_INT, CudaFile, each, in_order
from nanoemo.kernels.dense_cupy import add_bias, column_sums

__all__ = ["conv1d_backward", "conv1d_forward", "conv2d_backward", "conv2d_forward"]

COLUMN_BYTES = 256 << 20    # of columns at a time: enough work for any card, little beside its memory
DIRECT_SIZE = 32            # numbers in a window up to which columns do not pay (conv.cu)
STRIP = 4                   # outputs a thread in direct_forward

WINDOWS = np.dtype([(field, np.int32) for field in (
    "height", "width", "channels", "kernel_height", "kernel_width", "stride_down", "stride_across", "top", "left",
    "out_height", "out_width")])        # struct Windows in conv.cu

launch = CudaFile("conv.cu").launch


def conv2d_forward(x, w, b, stride, padding):
    """Convolve images x (N, H, W, C) with w (kh, kw, C, O) and add b (O,) or None: y (N, H', W', O). Keeps x and w."""
    strides, pads = check_conv2d(x, w, b, stride, padding)
    return convolve(x, w, b, strides, pads)


def conv2d_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db); None for one that `needs` does not ask for, or for a bias that is not there."""
    x, w, has_bias, strides, pads = cache
    dy = in_order(dy)
    dx = _input_gradient(dy, x.shape, w, strides, pads) if needs[0] else None
    dw = _weight_gradient(dy, x, w.shape, strides, pads) if needs[1] else None
    db = column_sums(dy.reshape(-1, dy.shape[3])) if has_bias and needs[2] else None
    return dx, dw, db


def conv1d_forward(x, w, b, stride, padding):
    """The same for sequences x (N, T, C) and w (k, C, O), as images of one row: y (N, T', O)."""
    strides, pads = check_conv1d(x, w, b, stride, padding)
    y, cache = convolve(*as_images(x, w), b, strides, pads)
    return y[:, 0], cache


def conv1d_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db), as `conv2d_backward`."""
    return without_row_axis(*conv2d_backward(dy[:, None], cache, needs))


def convolve(x, w, b, strides, pads):
    """(y, cache) of arguments that have been checked, padding given as ((top, bottom), (left, right))."""
    x, w, b = (None if a is None else in_order(a) for a in (x, w, b))
    height, width = output_shape(x.shape, w.shape, strides, pads)
    size, outputs = math.prod(w.shape[:3]), w.shape[3]
    y = cp.empty((x.shape[0], height, width, outputs), x.dtype)
    weights = w.reshape(size, outputs)
    if _are_columns(x.shape, w.shape, strides, pads):
        matmul(x.reshape(-1, size), weights, out=y.reshape(-1, outputs))
        if b is not None:
            add_bias(y, b)
        return y, (x, w, b is not None, strides, pads)
    for images in _chunks(y.shape, max(size, outputs), x.itemsize):
        if size <= DIRECT_SIZE:
            _convolve_directly(x[images], w, b, y[images], strides, pads)
            continue
        rows = y[images].reshape(-1, outputs)
        columns = _columns(x[images], w.shape, strides, pads, b, rows)
        matmul(columns, weights, out=rows, add=b is not None)
        del columns                             # so that the next chunk gets the same memory
    return y, (x, w, b is not None, strides, pads)


def _convolve_directly(x, w, b, y, strides, pads):
    images, height, width, outputs = y.shape
    count = images * height * -(-width // STRIP) * outputs
    launch("direct_forward", each(count), x, w, b, y, _windows(x.shape, w.shape, strides, pads), outputs, count)


def _weight_gradient(dy, x, w_shape, strides, pads):
    """dw = columnsᵀ · dy."""
    size, outputs = math.prod(w_shape[:3]), w_shape[3]
    if _are_columns(x.shape, w_shape, strides, pads):
        return matmul(x.reshape(-1, size), dy.reshape(-1, outputs), transpose_a=True).reshape(w_shape)
    dw = cp.empty((size, outputs), dy.dtype)
    for images in _chunks(dy.shape, size, dy.itemsize):
        columns = _columns(x[images], w_shape, strides, pads)
        matmul(columns, dy[images].reshape(-1, outputs), out=dw, transpose_a=True, add=images.start > 0)
        del columns
    return dw.reshape(w_shape)


def _input_gradient(dy, x_shape, w, strides, pads):
    """dx: the columns' gradient dy · wᵀ, from which each number of x collects its own."""
    size, outputs = math.prod(w.shape[:3]), w.shape[3]
    weights = w.reshape(size, outputs)
    if _are_columns(x_shape, w.shape, strides, pads):
        return matmul(dy.reshape(-1, outputs), weights, transpose_b=True).reshape(x_shape)
    dx = cp.empty(x_shape, dy.dtype)
    four = _four_at_a_time(dx)
    windows = _windows(x_shape, w.shape, strides, pads, four)
    for images in _chunks(dy.shape, size, dy.itemsize):
        columns = matmul(dy[images].reshape(-1, outputs), weights, transpose_b=True)
        count = dx[images].size // four
        launch("col2im_four" if four == 4 else "col2im", each(count), columns, dx[images], windows, count)
        del columns
    return dx


def _columns(x, w_shape, strides, pads, b=None, y=None):
    """Columns (positions, kh·kw·C) of images. With b, also sets every row of y to b."""
    size, outputs = math.prod(w_shape[:3]), w_shape[3]
    four = _four_at_a_time(x)
    columns = cp.empty((x.shape[0] * math.prod(output_shape(x.shape, w_shape, strides, pads)), size), x.dtype)
    count = columns.size // w_shape[0] // four
    launch("im2col_four" if four == 4 else "im2col", each(count), x, b, columns, y,
           _windows(x.shape, w_shape, strides, pads, four), outputs, count)
    return columns


def _are_columns(x_shape, w_shape, strides, pads):
    """Whether the images are their own columns: windows of one pixel, or as large as the image."""
    one_pixel = w_shape[:2] == (1, 1) and strides == (1, 1)
    return (one_pixel or w_shape[:2] == x_shape[1:3]) and pads == ((0, 0), (0, 0))


def _chunks(shape, size, itemsize):
    """Slices of images that fill COLUMN_BYTES with `size` numbers for each position of y or dy (N, H', W', O)."""
    images, height, width, _ = shape
    if height * width * size > LARGEST_INT:
        raise ValueError(f"convolution: {height} × {width} windows of {size} numbers, for one image, are more than an int can "
                         "number; use smaller images or a larger stride")
    step = max(1, COLUMN_BYTES // (height * width * size * itemsize))
    return [slice(start, min(start + step, images)) for start in range(0, images, step)]


def _four_at_a_time(images):
    """4 where a thread can move four channels together, which takes addresses divisible by 16; else 1."""
    return 4 if images.shape[3] % 4 == 0 and images.data.ptr % 16 == 0 else 1


@lru_cache
def _windows(x_shape, w_shape, strides, pads, four=1):
    """struct Windows; with four=4 the channels are counted in fours."""
    _, height, width, channels = x_shape
    out = output_shape(x_shape, w_shape, strides, pads)
    windows = np.zeros(1, WINDOWS)
    windows[0] = (height, width, channels // four, *w_shape[:2], *strides, pads[0][0], pads[1][0], *out)
    return windows
