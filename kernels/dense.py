"""The dense (fully connected, affine) layer, and the matrix product by itself.

    y = x w + b            x: (…, in), w: (in, out), b: (out,)

    dx = dy wᵀ             each input feature gathers what its weights sent on
    dw = xᵀ dy             summed over all rows of x, whatever axes they lie on
    db = Σ dy
"""
import numpy as np

from nanoemo.kernels.threads import parallel

__all__ = ["linear_forward", "linear_backward", "linear_forward_plain", "linear_backward_plain", "matmul", "matmul_plain"]


def check_linear(x, w, b):
    """Raise ValueError where the shapes of x, w and b, which may be None, do not fit together."""
    if w.ndim != 2:
        raise ValueError(f"linear: w must be (in, out), got shape {w.shape}")
    if x.ndim < 1 or x.shape[-1] != w.shape[0]:
        features = x.shape[-1] if x.ndim else "no"
        raise ValueError(f"linear: x has {features} features (last axis of {x.shape}) but w of shape "
                         f"{w.shape} expects {w.shape[0]}")
    if b is not None and b.shape != (w.shape[1],):
        raise ValueError(f"linear: b must be {(w.shape[1],)}, one number for each column of w {w.shape}; "
                         f"got {b.shape}")


def linear_forward_plain(x, w, b=None):
    """The definition: y[…, j] = Σ_i x[…, i] w[i, j] + b[j]. Arguments as for `linear_forward`."""
    check_linear(x, w, b)
    y = np.zeros((*x.shape[:-1], w.shape[1]), x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        for j in range(w.shape[1]):
            for i in range(w.shape[0]):
                y[row][j] += x[row][i] * w[i, j]
            if b is not None:
                y[row][j] += b[j]
    return y, (x, w, b is not None)


def linear_backward_plain(dy, cache, needs=(True, True, True)):
    """The definition, product by product. Arguments and results are those of `linear_backward`."""
    x, w, has_bias = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1], w.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        for j in range(w.shape[1]):
            for i in range(w.shape[0]):
                dx[row][i] += dy[row][j] * w[i, j]
                dw[i, j] += x[row][i] * dy[row][j]
            db[j] += dy[row][j]
    return (dx if needs[0] else None, dw if needs[1] else None, db if needs[2] and has_bias else None)


def _product(a, b):
    """a @ b, the longer side of the result cut into at most eight pieces of 256 or more for the threads.

    BLAS would cut it as well, but its own threads spin for a while after, and hold up ours in the next kernel.
    """
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    longer = max(out.shape)
    step = max(256, -(-longer // 8))
    pieces = [slice(start, min(start + step, longer)) for start in range(0, longer, step)]
    if out.shape[0] == longer:
        parallel(lambda rows: np.matmul(a[rows], b, out=out[rows]), pieces)
    else:
        parallel(lambda columns: np.matmul(a, b[:, columns], out=out[:, columns]), pieces)
    return out


def linear_forward(x, w, b=None):
    """y = x w + b over the last axis, any leading axes; b may be None. Returns (y, cache).

    x: (…, in), w: (in, out), b: (out,); y: (…, out). Raises ValueError where shapes do not fit.

    Floor: one matrix product of 2·rows·in·out flops, which reads w (4·in·out bytes in float32) once.

    >>> import numpy as np
    >>> x, w, b = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 10.0]]), np.array([5.0, 5.0])
    >>> y, cache = linear_forward(x, w, b)
    >>> y.tolist()
    [[6.0, 25.0]]
    """
    check_linear(x, w, b)
    y = _product(x.reshape(-1, x.shape[-1]), w).reshape(*x.shape[:-1], w.shape[1])
    if b is not None:
        y += b
    return y, (x, w, b is not None)


def linear_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db) of `linear_forward`, None where `needs` says so or there is no bias.

    dy: (…, out). Floor: two matrix products of 2·rows·in·out flops; they read w and write dw once.

    >>> import numpy as np
    >>> x, w, b = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 10.0]]), np.zeros(2)
    >>> y, cache = linear_forward(x, w, b)
    >>> [gradient.tolist() for gradient in linear_backward(np.array([[1.0, 1.0]]), cache)]
    [[[1.0, 10.0]], [[1.0, 1.0], [2.0, 2.0]], [1.0, 1.0]]
    """
    x, w, has_bias = cache
    dy_rows = dy.reshape(-1, w.shape[1])
    dx = _product(dy_rows, w.T).reshape(x.shape) if needs[0] else None
    dw = _product(x.reshape(-1, w.shape[0]).T, dy_rows) if needs[1] else None
    db = dy_rows.sum(axis=0) if needs[2] and has_bias else None
    return dx, dw, db


def matmul_plain(a, b):
    """The definition: y[…, i, j] = Σ_k a[…, i, k] b[…, k, j], the axes before repeated where one is 1."""
    y = np.zeros((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype)
    for k in range(a.shape[-1]):
        y += a[..., :, k, None] * b[..., None, k, :]
    return y


def matmul(a, b):
    """Products of the matrices in the last two axes. a: (…, n, k); b: (…, k, m); axes before them broadcast.

    Floor: 2·n·k·m flops a product.
    """
    return a @ b
