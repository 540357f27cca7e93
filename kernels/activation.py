"""Activations: a function of each element, and the softmax along the last axis.

    ReLU           y = max(x, 0)                         dx = dy where x > 0, else 0
    leaky ReLU     y = x where x > 0, else slope·x       dx = dy where x > 0, else slope·dy
    sigmoid        y = 1 / (1 + e^−x)                    dx = dy · y · (1 − y)
    tanh           y = tanh x                            dx = dy · (1 − y²)
    softmax        y_k = e^x_k / Σ_j e^x_j               dx = y · (dy − Σ_j dy_j·y_j)
    log-softmax    y_k = x_k − log Σ_j e^x_j             dx = dy − e^y · Σ_j dy_j

Both softmaxes first subtract the largest x of the row, which changes nothing in exact arithmetic and keeps
e^x from overflowing. Where the derivative can be written in terms of y, y is what is kept for the backward
pass: the next layer holds it anyway. At x = 0 the derivative of ReLU is taken as 0, as in PyTorch; a NaN in x stays NaN.
"""
import numpy as np

from nanoemo.kernels.threads import parallel, row_blocks

__all__ = [
    "leaky_relu_backward", "leaky_relu_backward_plain", "leaky_relu_forward", "leaky_relu_forward_plain",
    "log_softmax_backward", "log_softmax_backward_plain", "log_softmax_forward", "log_softmax_forward_plain",
    "relu_backward", "relu_backward_plain", "relu_forward", "relu_forward_plain", "sigmoid_backward",
    "sigmoid_backward_plain", "sigmoid_forward", "sigmoid_forward_plain", "softmax_backward", "softmax_backward_plain",
    "softmax_forward", "softmax_forward_plain", "tanh_backward", "tanh_backward_plain", "tanh_forward",
    "tanh_forward_plain",
]

# Larger than in the convolution: with less work per byte, smaller blocks would have threads wait for the interpreter lock.
BLOCK_BYTES = 1024 * 1024


# -------------------------------------------------------------------------------------------- the definitions

def relu_forward_plain(x):
    """max(x, 0), by definition."""
    return np.where(x <= 0, 0, x).astype(x.dtype), x


def relu_backward_plain(dy, x):
    """dy where x > 0 (or NaN), else 0."""
    return np.where(x <= 0, 0, dy).astype(dy.dtype)


def leaky_relu_forward_plain(x, slope):
    """x where x > 0, else slope·x, by definition."""
    return np.where(x > 0, x, slope * x).astype(x.dtype), (x, slope)


def leaky_relu_backward_plain(dy, cache):
    """dy where x > 0, else slope·dy."""
    x, slope = cache
    return np.where(x > 0, dy, slope * dy).astype(dy.dtype)


def sigmoid_forward_plain(x):
    """1 / (1 + e^−x); for negative x in the form e^x / (1 + e^x), so that nothing overflows."""
    e = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    return y, y


def sigmoid_backward_plain(dy, y):
    """dy · y · (1 − y)."""
    return dy * y * (1 - y)


def tanh_forward_plain(x):
    """tanh x, by definition."""
    e = np.exp(-2 * np.abs(x))
    y = np.sign(x) * (1 - e) / (1 + e)
    return y, y


def tanh_backward_plain(dy, y):
    """dy · (1 − y²)."""
    return dy * (1 - y * y)


def softmax_forward_plain(x):
    """e^x_k / Σ_j e^x_j along the last axis, by definition."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


def softmax_backward_plain(dy, y):
    """The Jacobian of each row, diag(y) − y·yᵀ, times dy."""
    rows = y.reshape(-1, y.shape[-1])
    jacobians = rows[:, :, None] * (np.eye(y.shape[-1], dtype=y.dtype) - rows[:, None, :])
    return np.einsum("nkj,nk->nj", jacobians, dy.reshape(rows.shape)).reshape(y.shape)


def log_softmax_forward_plain(x):
    """x_k − log Σ_j e^x_j along the last axis, by definition."""
    shifted = x - x.max(axis=-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, y


def log_softmax_backward_plain(dy, y):
    """The Jacobian of each row, 1 − (softmax repeated), times dy."""
    rows = y.reshape(-1, y.shape[-1])
    jacobians = np.eye(y.shape[-1], dtype=y.dtype) - np.exp(rows)[:, None, :]
    return np.einsum("nkj,nk->nj", jacobians, dy.reshape(rows.shape)).reshape(y.shape)


# ------------------------------------------------------------------------------------------ the fast versions

def _elementwise(work, *inputs):
    """A new array like inputs[0], filled by work(*blocks of inputs, block of the result), a block at a time.

    Several passes over a block cost little, as it stays in the level-2 cache.
    """
    result = np.empty(inputs[0].shape, inputs[0].dtype)
    flat = [np.ascontiguousarray(array).reshape(-1) for array in inputs] + [result.reshape(-1)]
    parallel(lambda block: work(*(array[block] for array in flat)),
             row_blocks(result.size, result.itemsize, BLOCK_BYTES))
    return result


def _rowwise(work, *inputs):
    """The same for work along the last axis: the blocks are whole rows, shaped (rows, K)."""
    result = np.empty(inputs[0].shape, inputs[0].dtype)
    rows = [array.reshape(-1, result.shape[-1]) for array in (*inputs, result)]
    parallel(lambda block: work(*(array[block] for array in rows)),
             row_blocks(len(rows[-1]), rows[-1][:1].nbytes, BLOCK_BYTES))
    return result


def _where(mask, array, out):
    """out = array where mask, else 0.

    The bits of the array, as integers, times 0 or 1: exact, also for infinities (∞·0 would be NaN), and three
    times as fast as np.where. The mask is widened first, since a product of mixed types goes through buffers.
    """
    bits = np.dtype(f"i{array.itemsize}")
    np.copyto(out.view(bits), mask)
    np.multiply(out.view(bits), array.view(bits), out=out.view(bits))


def relu_forward(x):
    """max(x, 0), any shape. Keeps y. Memory floor: x read, y written.

    >>> relu_forward(np.array([-1.0, 2.0]))[0]
    array([0., 2.])
    """
    y = _elementwise(lambda x, y: np.maximum(x, 0, out=y), x)
    return y, y


def relu_backward(dy, y):
    """dy where y is not 0, which is where x > 0 or NaN. Memory floor: dy and y read, dx written."""
    return _elementwise(lambda dy, y, dx: _where(y != 0, dy, dx), dy, y)


def leaky_relu_forward(x, slope):
    """max(x, 0) + slope·min(x, 0), any shape. Keeps x. Memory floor: x read, y written.

    >>> leaky_relu_forward(np.array([-1.0, 2.0]), 0.1)[0]
    array([-0.1,  2. ])
    """
    def work(x, y):
        np.minimum(x, 0, out=y)
        y *= slope
        y += np.maximum(x, 0)

    slope = float(slope)
    return _elementwise(work, x), (x, slope)


def leaky_relu_backward(dy, cache):
    """dy where x > 0, else slope·dy. Memory floor: dy and x read, dx written."""
    x, slope = cache

    def work(dy, x, dx):
        rising, falling = x > 0, np.empty_like(dy)
        _where(rising, dy, dx)
        _where(~rising, dy, falling)
        falling *= slope
        dx += falling

    return _elementwise(work, dy, x)


def sigmoid_forward(x):
    """1 / (1 + e^−x), any shape. Keeps y. Memory floor: x read, y written.

    For x far below 0 e^−x becomes infinite and y 0, as it should: the overflow is no error here.

    >>> sigmoid_forward(np.array([-1000.0, 0.0, 1000.0]))[0]
    array([0. , 0.5, 1. ])
    """
    def work(x, y):
        with np.errstate(over="ignore"):
            np.exp(np.negative(x, out=y), out=y)
        y += 1
        np.reciprocal(y, out=y)

    y = _elementwise(work, x)
    return y, y


def sigmoid_backward(dy, y):
    """dy · y · (1 − y). Memory floor: dy and y read, dx written."""
    def work(dy, y, dx):
        np.subtract(1, y, out=dx)
        dx *= y
        dx *= dy

    return _elementwise(work, dy, y)


def tanh_forward(x):
    """tanh x, any shape. Keeps y. Memory floor: x read, y written."""
    y = _elementwise(lambda x, y: np.tanh(x, out=y), x)
    return y, y


def tanh_backward(dy, y):
    """dy · (1 − y²). Memory floor: dy and y read, dx written."""
    def work(dy, y, dx):
        np.multiply(y, y, out=dx)
        np.subtract(1, dx, out=dx)
        dx *= dy

    return _elementwise(work, dy, y)


def softmax_forward(x):
    """e^x_k / Σ_j e^x_j along the last axis of x (…, K). Keeps y. Memory floor: x read, y written.

    >>> softmax_forward(np.array([[1000.0, 1000.0]]))[0]
    array([[0.5, 0.5]])
    """
    def work(x, y):
        np.subtract(x, x.max(axis=1, keepdims=True), out=y)
        np.exp(y, out=y)
        y /= y.sum(axis=1, keepdims=True)

    y = _rowwise(work, x)
    return y, y


def softmax_backward(dy, y):
    """y · (dy − Σ_j dy_j·y_j). Memory floor: dy and y read, dx written."""
    def work(dy, y, dx):
        np.multiply(dy, y, out=dx)
        np.subtract(dy, dx.sum(axis=1, keepdims=True), out=dx)
        dx *= y

    return _rowwise(work, dy, y)


def log_softmax_forward(x):
    """x_k − log Σ_j e^x_j along the last axis of x (…, K). Keeps y. Memory floor: x read, y written."""
    def work(x, y):
        np.subtract(x, x.max(axis=1, keepdims=True), out=y)
        y -= np.log(np.exp(y).sum(axis=1, keepdims=True))

    y = _rowwise(work, x)
    return y, y


def log_softmax_backward(dy, y):
    """dy − e^y · Σ_j dy_j. Memory floor: dy and y read, dx written."""
    def work(dy, y, dx):
        np.exp(y, out=dx)
        dx *= dy.sum(axis=1, keepdims=True)
        np.subtract(dy, dx, out=dx)

    return _rowwise(work, dy, y)
