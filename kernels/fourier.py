"""Convolution with large windows, such as 13×13: a product of frequencies.

A wave e^(2πi·f·t/P) that is shifted is the same wave, times a number. A convolution adds up shifted copies of its input; so if
the input is written as a sum of waves, each wave f can be treated by itself: it is multiplied by one number, which depends on the
window alone (the convolution theorem). In two dimensions, with X, W and Y the waves in x, w and y,

    Y[f, o] = Σ over channels c of  X[f, c] · conj(W[f, c, o])              x, w and y repeat after P rows and Q columns

conj since this is a correlation: the window is not flipped. However large the window, there are P·Q products for a pair
of channels; half of them suffice, since for real numbers X[−f] = conj(X[f]). P = H' + kh − 1 rows are those that the H' rows of
outputs look at, so what lies beyond the repetition's edge is never seen. The padding costs nothing: waves of zeros are zero.
Backward it is the same: dX[f, c] = Σ over o of dY[f, o] · W[f, c, o],  dW[f, c, o] = Σ over images of X[f, c] · conj(dY[f, o]).

From numbers to waves and back: the discrete Fourier transform, F[f, t] = e^(−2πi·f·t/P), along one axis and then the other.
The fast transform (FFT) needs fewer multiplications, but for some sixty points a matrix product, which runs at the processor's
rate, takes no longer, skips the rows of padding, and leaves the numbers in the order in which they are multiplied next. With
U = P/2 + 1 frequencies kept along the rows:

    rows F x                 real, half of the frequencies          (2U, H) · (H, W·C)       for each image
    columns F (F x)ᵀ         complex                                (Q, W) · (W, U·N·C)      for a block of images
    at each frequency X · W  a complex number is two real ones      (N, 2C) · (2C, 2O)
    and the first two steps, with the inverse matrices, last one first.

A complex product is a real one of twice as many numbers, (xr xi) · ⎡wr −wi⎤ for x · conj(w).
                                                                    ⎣wi  wr⎦
In float32 the rounding error is that of one long sum, a few ten-millionths of the largest number in the image. What is not
finite spreads over its whole image.
"""
import math
from functools import lru_cache, partial

import numpy as np

from nanoemo.kernels.conv_checks import output_shape
from nanoemo.kernels.memory import aligned, workspace
from nanoemo.kernels.threads import image_blocks, parallel, row_blocks, sum_of

__all__ = ["fourier_correlate", "fourier_gradients", "fourier_suits"]

BLOCK_BYTES = 1 << 20       # of the frequencies of a block of images
LEAST_TAPS = 5              # of the window along each axis
MOST_CHANNELS = 32          # with more, products of columns run at the processor's rate, too, and move fewer numbers
WORTH = 0.65                # multiplications by columns that take as long as one of these, whose products are larger


def fourier_suits(w_shape, strides, x_shape, outputs):
    """Whether a convolution has stride 1, few channels, and a window so large that it is quicker by frequencies.

    outputs: (height, width) of the result
    """
    if strides != (1, 1) or min(w_shape[:2]) < LEAST_TAPS or max(w_shape[2:]) > MOST_CHANNELS:
        return False
    images, inputs, channels = x_shape[0], *w_shape[2:]
    rows, columns = _period(outputs, w_shape)
    half = rows // 2 + 1
    planes = (images * inputs, x_shape[1:3]), (images * channels, outputs), (inputs * channels, w_shape[:2])
    transforms = sum(count * (2 * half * h * w + 4 * columns * w * half) for count, (h, w) in planes)
    products = 4 * columns * half * images * inputs * channels
    return (transforms + products) * WORTH <= images * math.prod(outputs) * math.prod(w_shape)


def fourier_correlate(x, w, b, pads):
    """What `conv2d_forward` computes with stride 1.

    x: (N, H, W, C); w: (kh, kw, C, O); b: (O,) or None; pads: ((top, bottom), (left, right))
    """
    x, channels = np.ascontiguousarray(x), w.shape[3]
    outputs = output_shape(x.shape, w.shape, (1, 1), pads)
    period = _period(outputs, w.shape)
    weights = _weights_at_frequencies(w, period)
    y = np.empty((len(x), *outputs, channels), x.dtype)

    def work(images):
        at_frequencies = _to_frequencies(x[images], period, _origin(pads), partial(workspace, "fourier inputs"))
        products = workspace("fourier products", (*at_frequencies.shape[:2], 2 * channels), x.dtype)
        np.matmul(at_frequencies, weights, out=products)
        _from_frequencies(products, period, (0, 0), y[images])
        if b is not None:
            y[images] += b

    parallel(work, _blocks(len(x), period, max(w.shape[2:]), x.dtype))
    return y


def fourier_gradients(dy, x, w, pads, needs):
    """(dx, dw) with stride 1, None for one that `needs`, a pair, does not ask for.

    At each frequency dx is dy times w, summed over its channels; dw is x times conj(dy), summed over the images.
    """
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    period = _period(dy.shape[1:3], w.shape)
    weights = _weights_at_frequencies(w, period).transpose(0, 2, 1) if needs[0] else None       # of the product without conj
    dx = np.empty_like(x) if needs[0] else None

    def work(images):
        dy_at = _to_frequencies(dy[images], period, (0, 0), aligned if needs[1] else partial(workspace, "fourier inputs"))
        if needs[0]:
            products = workspace("fourier products", (*dy_at.shape[:2], 2 * x.shape[3]), x.dtype)
            np.matmul(dy_at, weights, out=products)
            _from_frequencies(products, period, _origin(pads), dx[images])
        return (_to_frequencies(x[images], period, _origin(pads), aligned), dy_at) if needs[1] else None

    blocks = parallel(work, _blocks(len(x), period, max(w.shape[2:]), x.dtype))
    return dx, _weight_gradient(blocks, period, w.shape) if needs[1] else None


def _weight_gradient(blocks, period, w_shape):
    """dw from the frequencies of x and dy, a pair for each block of images."""
    kh, kw, inputs, channels = w_shape
    dtype = blocks[0][0].dtype
    dw_at = aligned((_frequencies(period), inputs, channels, 2), dtype)

    def work(frequencies):
        total = sum_of([np.matmul(x_at[frequencies].transpose(0, 2, 1), dy_at[frequencies]) for x_at, dy_at in blocks])
        total = total.reshape(-1, inputs, 2, channels, 2)
        np.add(total[:, :, 0, :, 0], total[:, :, 1, :, 1], out=dw_at[frequencies, ..., 0])      # (xr + i·xi) · (dr − i·di)
        np.subtract(total[:, :, 1, :, 0], total[:, :, 0, :, 1], out=dw_at[frequencies, ..., 1])

    parallel(work, row_blocks(len(dw_at), 4 * dw_at[0].nbytes))
    dw = np.empty((inputs, kh, kw, channels), dtype)
    parallel(lambda part: _from_frequencies(dw_at[:, part].reshape(len(dw_at), -1, 2 * channels), period, (0, 0), dw[part]),
             _blocks(inputs, period, channels, dtype))
    return np.ascontiguousarray(dw.transpose(1, 2, 0, 3))


def _period(outputs, w_shape):
    """Rows and columns that the outputs look at: after so many everything repeats."""
    return outputs[0] + w_shape[0] - 1, outputs[1] + w_shape[1] - 1


def _frequencies(period):
    """How many are kept: half of them, as the others mirror these."""
    return period[1] * (period[0] // 2 + 1)


def _origin(pads):
    """Where x begins among those rows and columns."""
    return pads[0][0], pads[1][0]


def _blocks(images, period, channels, dtype):
    """A batch in slices whose frequencies fill BLOCK_BYTES."""
    image_bytes = _frequencies(period) * channels * 2 * dtype.itemsize
    return [block for block, _ in image_blocks(images, 1, max(1, BLOCK_BYTES // image_bytes))]


def _weights_at_frequencies(w, period):
    """(Q·U, 2C, 2O): the real matrix of the complex product with conj(W) at each frequency."""
    kh, kw, inputs, channels = w.shape
    windows = np.ascontiguousarray(w.transpose(2, 0, 1, 3))
    matrices = aligned((_frequencies(period), inputs, 2, channels, 2), w.dtype)

    def work(part):
        at_frequencies = _to_frequencies(windows[part], period, (0, 0), partial(workspace, "fourier inputs"))
        real, imaginary = np.moveaxis(at_frequencies.reshape(len(matrices), -1, channels, 2), -1, 0)
        matrices[:, part, 0, :, 0] = matrices[:, part, 1, :, 1] = real
        matrices[:, part, 1, :, 0] = imaginary
        np.negative(imaginary, out=matrices[:, part, 0, :, 1])

    parallel(work, _blocks(inputs, period, channels, w.dtype))
    return matrices.reshape(len(matrices), 2 * inputs, 2 * channels)


# ---- the transform and its inverse ------------------------------------------------------------------------------


def _to_frequencies(images, period, origin, allocate):
    """(n, h, w, c) -> (Q·U, n, 2c): of each number its real and its imaginary part, side by side.

    allocate: function of a shape and a dtype that gives the array for the result
    """
    n, h, w, c = images.shape
    along_rows, along_columns = (axis_transform(size, length, start, images.dtype)
                                 for size, length, start in zip(period, (h, w), origin))
    half = len(along_rows.half) // 2
    rows = workspace("fourier rows", (n, 2, half, w, c), images.dtype)
    np.matmul(along_rows.half, images.reshape(n, h, w * c), out=rows.reshape(n, 2 * half, w * c))
    turned = workspace("fourier columns", (w, half, n, c), along_columns.whole.dtype)
    turned.real[...], turned.imag[...] = rows.transpose(1, 3, 2, 0, 4)
    result = allocate((period[1] * half, n, 2 * c), images.dtype)
    np.matmul(along_columns.whole, turned.reshape(w, -1), out=result.view(turned.dtype).reshape(period[1], -1))
    return result


def _from_frequencies(frequencies, period, origin, out):
    """The inverse of `_to_frequencies`; writes `out` (n, h, w, c)."""
    n, h, w, c = out.shape
    along_rows, along_columns = (axis_transform(size, length, start, out.dtype)
                                 for size, length, start in zip(period, (h, w), origin))
    half = len(along_rows.half) // 2
    turned = workspace("fourier columns", (w, half, n, c), along_columns.whole.dtype)
    waves = np.ascontiguousarray(frequencies).view(turned.dtype).reshape(period[1], -1)
    np.matmul(along_columns.inverse, waves, out=turned.reshape(w, -1))
    rows = workspace("fourier rows", (n, 2, half, w, c), out.dtype)
    for part, numbers in enumerate((turned.real, turned.imag)):
        rows[:, part] = numbers.transpose(2, 1, 0, 3)
    np.matmul(along_rows.half_inverse, rows.reshape(n, 2 * half, w * c), out=out.reshape(n, h, w * c))


class AxisTransform:
    """The matrices of the Fourier transform along one axis, and of its inverse, for numbers at start, start + 1, … of the period.

    whole (P, length): to all frequencies; inverse (length, P), complex
    half (2U, length): of real numbers, the real parts of the frequencies 0 … P/2 and then their imaginary parts
    half_inverse (length, 2U): from those; each frequency stands for its mirror image, too
    """

    def __init__(self, period, length, start, dtype):
        at = np.arange(start, start + length)
        waves = np.exp(-2j * np.pi / period * (np.outer(np.arange(period), at) % period))
        waves[:, (at < 0) | (at >= period)] = 0             # no output looks at what lies there
        kept, complex_dtype = waves[:period // 2 + 1], np.result_type(dtype, np.complex64)
        real_and_imaginary = np.concatenate([kept.real, kept.imag])
        mirrored = np.full(len(kept), 2.0)                  # how many frequencies each of those kept stands for
        mirrored[0] = 1
        if period % 2 == 0:
            mirrored[-1] = 1
        self.whole, self.inverse = waves.astype(complex_dtype), (waves.conj().T / period).astype(complex_dtype)
        self.half = real_and_imaginary.astype(dtype)
        self.half_inverse = np.ascontiguousarray((real_and_imaginary.T * np.tile(mirrored, 2) / period).astype(dtype))


@lru_cache(maxsize=64)
def axis_transform(period, length, start, dtype):
    """`AxisTransform`, kept from call to call.

    >>> transform = axis_transform(4, 3, 0, np.dtype(float))
    >>> numbers = np.array([1.0, 2.0, 3.0])
    >>> np.allclose(transform.half_inverse @ (transform.half @ numbers), numbers)
    True
    """
    return AxisTransform(period, length, start, dtype)
