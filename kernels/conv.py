"""Convolution: a small window of weights slides over an image.

    y[n, i, j, o] = b[o] + Σ over di, dj, c of  x[n, i·s + di, j·s + dj, c] · w[di, dj, c, o]

Images are (N, H, W, C), weights (kh, kw, C, O), s is the stride, and x stands for the image with its padding.
Strictly this is a cross-correlation: the window is not flipped. Every deep-learning library calls it convolution.

Gradients, from the chain rule on that sum:

    dw[di, dj, c, o]          = Σ over n, i, j of  x[n, i·s + di, j·s + dj, c] · dy[n, i, j, o]
    dx[n, i·s + di, j·s + dj, c] += Σ over o of    dy[n, i, j, o] · w[di, dj, c, o]
    db[o]                     = Σ over n, i, j of  dy[n, i, j, o]

The definitions below say just that. The fast versions, further down, turn the sums into matrix products: the window
under (i, j) is written out as a row of kh·kw·C numbers ("im2col", Chellapilla et al. 2006), and then all the outputs
of a block of rows are one product, columns (rows·W', kh·kw·C) times weights (kh·kw·C, O). The columns of a whole batch
would be kh·kw times the batch, nine for 3×3 windows, and moving them through memory costs more than the arithmetic; so a
block of about a megabyte, or one row of outputs where that is more, is gathered and multiplied while it is in the cache, and
its buffer used again for the next. Where few channels come out of many, the window comes after the product
(`_correlate_by_taps`). Two kinds of window go a faster way still, which multiplies less: those of 3 or 5 taps over many
channels (kernels/winograd.py), and large ones over few (kernels/fourier.py).

A 1-D convolution is a 2-D one over images of one row.
"""
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nanoemo.kernels.conv_checks import as_images, check_conv1d, check_conv2d, output_shape, without_row_axis
from nanoemo.kernels.fourier import fourier_correlate, fourier_gradients, fourier_suits
from nanoemo.kernels.memory import workspace
from nanoemo.kernels.shapes import copy_with_border, overlap
from nanoemo.kernels.threads import even_slices, groups, image_blocks, parallel, row_blocks, sum_of
from nanoemo.kernels.winograd import winograd_correlate, winograd_suits, winograd_weight_gradient

__all__ = ["conv1d_backward", "conv1d_backward_plain", "conv1d_forward", "conv1d_forward_plain",
           "conv2d_backward", "conv2d_backward_plain", "conv2d_forward", "conv2d_forward_plain"]

COLUMN_BYTES = 1 << 20      # columns gathered at a time, by each thread; half of a usual level-2 cache
FEW_CHANNELS = 7            # with at most this many, columns are gathered along the image's row
FEW_OUT = 4                 # with at most 1/FEW_OUT as many channels out as in, products come before the window
HARDLY_LARGER = 1.2         # largest ratio of x's cells to y's at which sums go by the cells of x instead
PARTIAL_SUMS = 8            # dw is summed in this many parts whatever the number of threads, for the same bits


# ---- the definition -------------------------------------------------------------------------------------------


def conv2d_forward_plain(x, w, b, stride, padding):
    """Convolution as the equation says it. Shapes as in `conv2d_forward`."""
    strides, pads = check_conv2d(x, w, b, stride, padding)
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = output_shape(x.shape, w.shape, strides, pads)
    kh, kw = w.shape[:2]
    y = np.zeros((x.shape[0], height, width, w.shape[3]), x.dtype)
    for n in range(x.shape[0]):
        for i in range(height):
            for j in range(width):
                window = padded[n, i * strides[0]:i * strides[0] + kh, j * strides[1]:j * strides[1] + kw]
                for o in range(w.shape[3]):
                    y[n, i, j, o] = (window * w[..., o]).sum()
    if b is not None:
        y += b
    return y, (x, w, b is not None, strides, pads)


def conv2d_backward_plain(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db) as the equations say them."""
    x, w, has_bias, strides, pads = cache
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    kh, kw = w.shape[:2]
    for n, i, j, o in np.ndindex(dy.shape):
        rows, columns = slice(i * strides[0], i * strides[0] + kh), slice(j * strides[1], j * strides[1] + kw)
        dw[..., o] += padded[n, rows, columns] * dy[n, i, j, o]
        dpadded[n, rows, columns] += dy[n, i, j, o] * w[..., o]
    (top, _), (left, _) = pads
    dx = dpadded[:, top:top + x.shape[1], left:left + x.shape[2]]
    db = dy.sum(axis=(0, 1, 2)) if has_bias else None
    return tuple(gradient if wanted else None for gradient, wanted in zip((dx, dw, db), needs))


# ---- the fast version -----------------------------------------------------------------------------------------


def conv2d_forward(x, w, b, stride, padding):
    """Convolve images with weights.

    x: (N, H, W, C); w: (kh, kw, C, O); b: (O,) or None; stride: a number or (rows, columns)
    padding: "valid", "same", a number or (rows, columns)
    Returns y (N, H', W', O) and the cache for `conv2d_backward`. Raises ValueError where shapes do not fit.

    Floor: 2·N·H'·W'·kh·kw·C·O flops at the speed of the matrix product; x, y and w once through memory.

    >>> import numpy as np
    >>> y, cache = conv2d_forward(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), None, 1, "valid")
    >>> y[0, :, :, 0].tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    strides, pads = check_conv2d(x, w, b, stride, padding)
    return _correlate(x, w, b, strides, pads), (x, w, b is not None, strides, pads)


def conv2d_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db); None for one that `needs` does not ask for, or for a bias that is not there.

    Floor: twice the flops of the forward pass.
    """
    x, w, has_bias, strides, pads = cache
    dy = np.ascontiguousarray(dy)
    if fourier_suits(w.shape, strides, x.shape, dy.shape[1:3]) and not winograd_suits(w.shape, strides, len(x), dy.shape[1:3]):
        dx, dw = fourier_gradients(dy, x, w, pads, needs[:2])       # both at once: they share the frequencies of dy
    else:
        dx = _input_gradient(dy, x.shape, w, strides, pads) if needs[0] else None
        dw = _weight_gradient(dy, x, w.shape, strides, pads) if needs[1] else None
    db = _bias_gradient(dy) if has_bias and needs[2] else None
    return dx, dw, db


def _correlate(x, w, b, strides, pads):
    """The convolution itself, padding given as ((top, bottom), (left, right))."""
    height, width = output_shape(x.shape, w.shape, strides, pads)
    if winograd_suits(w.shape, strides, len(x), (height, width)):
        return winograd_correlate(x, w, b, pads)
    if fourier_suits(w.shape, strides, x.shape, (height, width)):
        return fourier_correlate(x, w, b, pads)
    if _taps_suit(x, w, strides, (height, width)):
        return _correlate_by_taps(x, w, b, pads)
    channels = w.shape[3]
    weights = np.ascontiguousarray(w).reshape(-1, channels)
    y = np.empty((x.shape[0], height, width, channels), x.dtype)

    def work(block):
        images, rows = block
        columns = _gather(x, w.shape, strides, pads, images, rows, width)
        out = y[images, rows].reshape(-1, channels)
        np.dot(columns, weights, out=out)
        if b is not None:
            np.add(out, b, out=out)

    parallel(work, _blocks(x.shape[0], height, width, w.shape, x.itemsize))
    return y


def _taps_suit(x, w, strides, outputs):
    """Whether so few channels come out that products of all cells of x are less to move than columns, and fit into the cache.

    outputs: (height, width) of the result
    """
    return (w.shape[:2] != (1, 1) and FEW_OUT * w.shape[3] <= w.shape[2] and _may_swap(strides, x.shape, outputs)
            and _map_bytes(x, w) <= COLUMN_BYTES)


def _correlate_by_taps(x, w, b, pads):
    """The convolution with stride 1 where few channels come out: first the products, then the window.

    m[di, dj, o, n, i', j'] = Σ over c of      w[di, dj, c, o] · x[n, i', j', c]
    y[n, i, j, o]           = Σ over di, dj of m[di, dj, o, n, i + di, j + dj]
    So kh·kw·O maps are moved through memory in place of the kh·kw·C of columns.
    """
    images, rows, places, c = x.shape
    kh, kw, _, channels = w.shape
    height, width = output_shape(x.shape, w.shape, (1, 1), pads)
    weights = np.ascontiguousarray(w.swapaxes(2, 3)).reshape(-1, c)
    y = np.empty((images, height, width, channels), x.dtype)

    def work(block):
        count = block.stop - block.start
        maps = workspace("conv maps", (len(weights), count * rows * places), x.dtype)
        np.dot(weights, x[block].reshape(-1, c).T, out=maps)
        maps = maps.reshape(kh, kw, channels, count, rows, places)
        out = np.zeros((channels, count, height, width), x.dtype)
        for di in range(kh):
            for dj in range(kw):
                (from_i, to_i), (from_j, to_j) = overlap(di - pads[0][0], height, rows), overlap(dj - pads[1][0], width, places)
                out[..., to_i, to_j] += maps[di, dj][..., from_i, from_j]
        if b is not None:
            out += b[:, None, None, None]
        y[block] = np.moveaxis(out, 0, 3)

    parallel(work, even_slices(images, max(1, COLUMN_BYTES // _map_bytes(x, w)), pairs=True))
    return y


def _map_bytes(x, w):
    """Bytes of the maps m of one image: a number for each of its cells, each place in the window, each channel out."""
    return math.prod(x.shape[1:3]) * math.prod(w.shape[:2]) * w.shape[3] * x.itemsize


def _may_swap(strides, x_shape, y_size):
    """Whether a sum over the cells of y may as well be one over the cells of x."""
    return strides == (1, 1) and math.prod(x_shape[1:3]) <= HARDLY_LARGER * math.prod(y_size)


def _weight_gradient(dy, x, w_shape, strides, pads):
    """dw: for every block, columns transposed times dy, summed up.

    With stride 1 x and dy may change places, as the sum over i is one over i' = i + di, too, and then di is counted backwards:
    dw[di, dj, c, o] = Σ over n, i', j' of dy[n, i' − di, j' − dj, o] · x[n, i', j', c]. So columns are made of whichever has
    fewer channels.
    """
    images, height, width, channels = dy.shape
    if winograd_suits(w_shape, strides, images, (height, width)):
        return winograd_weight_gradient(dy, x, w_shape, pads, PARTIAL_SUMS)
    if channels < w_shape[2] and _may_swap(strides, x.shape, (height, width)):
        swapped = _weight_gradient(x, dy, (*w_shape[:2], *w_shape[:1:-1]), strides, _turned(pads, w_shape))
        return np.ascontiguousarray(swapped[::-1, ::-1].swapaxes(2, 3))
    blocks = _blocks(images, height, width, w_shape, x.itemsize)

    def work(group):
        dw = np.zeros((math.prod(w_shape[:3]), channels), x.dtype)
        product = workspace("conv dw", dw.shape, x.dtype)
        for block in group:
            columns = _gather(x, w_shape, strides, pads, *block, width)
            np.dot(columns.T, dy[block].reshape(-1, channels), out=product)
            np.add(dw, product, out=dw)
        return dw

    return sum_of(parallel(work, groups(blocks, PARTIAL_SUMS))).reshape(w_shape)


def _bias_gradient(dy):
    """db: dy summed over all but channels. A product with a row of ones does that faster than .sum()."""
    rows = dy.reshape(-1, dy.shape[3])
    blocks = row_blocks(len(rows), rows[:1].nbytes, COLUMN_BYTES)
    return sum_of(parallel(lambda block: np.dot(np.ones(block.stop - block.start, dy.dtype), rows[block]), blocks))


def _input_gradient(dy, x_shape, w, strides, pads):
    """dx. With stride 1 it is itself a convolution: of dy, padded, with the weights turned by 180°."""
    if strides == (1, 1):
        turned = w[::-1, ::-1].transpose(0, 1, 3, 2)
        return _correlate(dy, turned, None, strides, _turned(pads, w.shape))
    return _scatter_gradient(dy, x_shape, w, strides, pads)


def _turned(pads, w_shape):
    """The padding for dy, seen as an image, under which it is as large as x once the window has slid over it."""
    return tuple((k - 1 - before, k - 1 - after) for k, (before, after) in zip(w_shape, pads))


def _scatter_gradient(dy, x_shape, w, strides, pads):
    """dx for any stride: the columns' gradient dy · wᵀ, each window added back where it came from ("col2im")."""
    kh, kw, c, channels = w.shape
    images, height, width, _ = dy.shape
    weights = np.ascontiguousarray(w).reshape(-1, channels).T
    (top, bottom), (left, right) = pads
    dx = np.empty(x_shape, dy.dtype)

    def work(n):
        padded = np.zeros((x_shape[1] + top + bottom, x_shape[2] + left + right, c), dy.dtype)
        for _, rows in _blocks(1, height, width, w.shape, dy.itemsize):
            count = rows.stop - rows.start
            columns = workspace("conv columns", (count * width, weights.shape[1]), dy.dtype)
            windows = np.dot(dy[n, rows].reshape(-1, channels), weights, out=columns).reshape(count, width, kh, kw, c)
            below = padded[rows.start * strides[0]:]
            for di in range(kh):
                for dj in range(kw):
                    target = below[di:di + count * strides[0]:strides[0], dj:dj + width * strides[1]:strides[1]]
                    target += windows[:, :, di, dj]
        dx[n] = padded[top:top + x_shape[1], left:left + x_shape[2]]

    parallel(work, range(images))
    return dx


# ---- blocks and columns ---------------------------------------------------------------------------------------


def _blocks(images, height, width, w_shape, itemsize):
    """Cut the outputs into (images, rows) slices whose columns fill COLUMN_BYTES.

    Each block reads all the weights, or adds to their gradient. Where those are larger, so are the blocks, but two at least.
    """
    row_bytes = width * math.prod(w_shape[:3]) * itemsize
    block_bytes = max(COLUMN_BYTES, min(math.prod(w_shape) * itemsize, images * height * row_bytes // 2))
    return image_blocks(images, height, block_bytes // row_bytes)


def _gather(x, w_shape, strides, pads, images, rows, width):
    """Columns (positions, kh·kw·C) of a block of outputs."""
    kh, kw, c, _ = w_shape
    slab = padded_slab(x, kh, strides, pads, images, rows)
    count, height = slab.shape[0], rows.stop - rows.start
    n, i, j, k = slab.strides
    if c > FEW_CHANNELS:
        # A window's row is kw·C neighbouring numbers: long runs to copy.
        shape, step = (count, height, width, kh, kw * c), (n, i * strides[0], j * strides[1], i, k)
    else:
        # Few channels: gather transposed, so that the runs go along the image's row instead.
        shape, step = (kh, kw, c, count, height, width), (i, j, k, n, i * strides[0], j * strides[1])
    columns = workspace("conv columns", shape, x.dtype)
    np.copyto(columns, as_strided(slab, shape, step))
    if c > FEW_CHANNELS:
        return columns.reshape(-1, kh * kw * c)
    return columns.reshape(kh * kw * c, -1).T


def padded_slab(x, kh, strides, pads, images, rows):
    """The rows of x, padding included, that a block of output rows looks at; a view where it can be."""
    (top, bottom), (left, right) = pads
    first = rows.start * strides[0] - top
    last = (rows.stop - 1) * strides[0] + kh - top
    if not any((top, bottom, left, right)):
        return np.ascontiguousarray(x[images, first:last])
    shape = (images.stop - images.start, last - first, x.shape[2] + left + right, x.shape[3])
    return copy_with_border(x, images, (first, -left), out=workspace("conv slab", shape, x.dtype))


# ---- one dimension ---------------------------------------------------------------------------------------------


def conv1d_forward_plain(x, w, b, stride, padding):
    """`conv1d_forward` by the 2-D definition."""
    strides, pads = check_conv1d(x, w, b, stride, padding)
    padded = np.pad(x, ((0, 0), pads[1], (0, 0)))
    y, _ = conv2d_forward_plain(*as_images(padded, w), b, strides, "valid")
    return y[:, 0], (*as_images(x, w), b is not None, strides, pads)


def conv1d_backward_plain(dy, cache, needs=(True, True, True)):
    """`conv1d_backward` by the 2-D definition."""
    return without_row_axis(*conv2d_backward_plain(dy[:, None], cache, needs))


def conv1d_forward(x, w, b, stride, padding):
    """Convolve sequences with weights.

    x: (N, T, C); w: (k, C, O); b: (O,) or None; stride: a number; padding: "valid", "same", a number or (before, after)
    Returns y (N, T', O) and the cache for `conv1d_backward`. Raises ValueError where shapes do not fit.

    >>> import numpy as np
    >>> y, _ = conv1d_forward(np.array([[[1.0], [2.0], [3.0]]]), np.ones((2, 1, 1)), None, 1, "same")
    >>> y.ravel().tolist()
    [3.0, 5.0, 3.0]
    """
    strides, pads = check_conv1d(x, w, b, stride, padding)
    images, windows = as_images(x, w)
    return _correlate(images, windows, b, strides, pads)[:, 0], (images, windows, b is not None, strides, pads)


def conv1d_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db), as `conv2d_backward`."""
    return without_row_axis(*conv2d_backward(dy[:, None], cache, needs))
