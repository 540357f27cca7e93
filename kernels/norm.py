"""Batch normalisation (Ioffe and Szegedy 2015, algorithm 1): each channel to mean 0, variance 1, then scaled.

Over all axes but the last, M values a channel:

    mean = Σ x / M        var = Σ (x − mean)² / M        σ = √(var + eps)
    y = gamma · x̂ + beta,   x̂ = (x − mean) / σ

In training mean and var come from the batch, and the running ones follow it,

    running = (1 − m)·running + m·batch,     with Σ (x − mean)² / (M − 1) for the running variance.

In evaluation the running ones are used.

    dbeta = Σ dy          dgamma = Σ dy·x̂
    training:    dx = gamma/σ · (dy − dbeta/M − x̂·dgamma/M)     (mean and var depend on x, too)
    evaluation:  dx = gamma/σ · dy

The variance is computed from Σ (x − mean)², never as Σ x² / M − mean², which in float32 loses all its digits where
the mean is far from 0.
"""
import numpy as np

from nanoemo.kernels.threads import parallel, row_blocks

__all__ = ["batch_norm_forward_plain", "batch_norm_backward_plain",
           "batch_norm_forward", "batch_norm_backward"]

# Larger than in the convolution: with less work per byte, smaller blocks would have threads wait for the interpreter lock.
BLOCK_BYTES = 1024 * 1024


def check_batch_norm(x, training, **vectors):
    """Raise ValueError where x has no channels, a vector is not one number a channel, or a batch in training has no variance."""
    if x.ndim < 2:
        raise ValueError(f"batch_norm: x must have at least 2 axes, channels last, got shape {x.shape}")
    if x.shape[-1] == 0:
        raise ValueError(f"batch_norm: x of shape {x.shape} has no channels (last axis)")
    for name, vector in vectors.items():
        if vector.shape != (x.shape[-1],):
            raise ValueError(f"batch_norm: x has {x.shape[-1]} channels (last axis of {x.shape}) but {name} "
                             f"has shape {vector.shape}; it must be ({x.shape[-1]},)")
    count = x.size // x.shape[-1]
    if training and count < 2:
        raise ValueError(f"batch_norm: x of shape {x.shape} has {count} value for each channel, and training "
                         "needs at least 2 to have a variance; use a larger batch, or evaluation mode")


def _follow(running, batch, momentum):
    """running = (1 − m)·running + m·batch, in place."""
    running *= 1 - momentum
    running += (momentum * batch).astype(running.dtype)


# -------------------------------------------------------------------------------------------- the definitions

def batch_norm_forward_plain(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """Batch normalisation by the formulas above: see `batch_norm_forward`."""
    check_batch_norm(x, training, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    mean, var = running_mean, running_var
    if training:
        mean = x.mean(axis=axes)
        var = ((x - mean) ** 2).mean(axis=axes)
        _follow(running_mean, mean, momentum)
        _follow(running_var, var * (count / (count - 1)), momentum)
    sigma = np.sqrt(var + eps)
    normalised = (x - mean) / sigma
    return gamma * normalised + beta, (normalised, sigma, gamma, training)


def batch_norm_backward_plain(dy, cache):
    """(dx, dgamma, dbeta) by the formulas above."""
    normalised, sigma, gamma, training = cache
    axes, count = tuple(range(dy.ndim - 1)), dy.size // dy.shape[-1]
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * normalised).sum(axis=axes)
    dx = gamma / sigma * dy
    if training:
        dx = gamma / sigma * (dy - dbeta / count - normalised * dgamma / count)
    return dx, dgamma, dbeta


# ------------------------------------------------------------------------------------------ the fast versions

class _Rows:
    """Arrays (…, W, C) as matrices of rows W·C long, in blocks that stay in the level-2 cache.

    A row of C values alone would be short work for a ufunc. So a vector of C values is repeated W times along
    the row, and the sum over a row's W parts is taken last.
    """

    def __init__(self, like):
        self.channels = like.shape[-1]
        self.repeats = max(1, like.shape[-2]) if like.ndim > 2 else 1
        self.length = self.repeats * self.channels
        self.count = like.size // self.channels
        self.blocks = row_blocks(like.size // self.length, self.length * like.itemsize, BLOCK_BYTES)
        self.blocks = self.blocks or [slice(0, 0)]          # an empty batch has sums, too: zeros

    def matrix(self, array):
        """(…, W, C) -> (rows, W·C)."""
        return np.ascontiguousarray(array).reshape(-1, self.length)

    def spread(self, vector, dtype):
        """(C,) -> (W·C,): the same for each of the W parts of a row."""
        return np.tile(vector.astype(dtype), self.repeats)

    def gather(self, row):
        """(W·C,) -> (C,): the sum of a row's W parts."""
        return row.reshape(self.repeats, self.channels).sum(axis=0)

    def sum(self, block):
        """Σ of each channel (C,) over a block (rows, W·C): a product with ones, several times as fast as block.sum(axis=0)."""
        return self.gather(np.dot(np.ones(len(block), block.dtype), block))

    def sum_of_products(self, a, b):
        """Σ a·b of each channel, (C,), over two blocks."""
        return self.gather(np.einsum("ij,ij->j", a, b))


def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """Batch normalisation over all axes but the last.

    x (…, C); gamma, beta, running_mean, running_var (C,), the running ones updated in place in training.
    Returns y of x's shape and the cache, which keeps x and vectors. Raises ValueError for a vector of another
    shape and for a batch with one value a channel in training.
    Memory floor: x read once in evaluation, twice in training; y written.

    >>> x, one, zero = np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1)
    >>> y, cache = batch_norm_forward(x, one, zero, zero.copy(), one.copy(), True, eps=0.0)
    >>> y.tolist()
    [[-1.0], [1.0]]
    """
    check_batch_norm(x, training, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    rows = _Rows(x)
    mean, var = running_mean, running_var
    if training:
        mean, var = _mean_and_variance(x, rows)
        _follow(running_mean, mean, momentum)
        _follow(running_var, var * (rows.count / (rows.count - 1)), momentum)
    over_sigma = 1 / np.sqrt(var + eps)
    y = np.empty(x.shape, x.dtype)
    _scale_and_shift(rows, x, gamma * over_sigma, beta - mean * gamma * over_sigma, y)
    return y, (x, mean.copy(), over_sigma, gamma, training)


def _scale_and_shift(rows, x, scale, shift, out, then=None):
    """out = x·scale + shift with vectors (C,), and `then(block, out[block])`, if given, while in the cache.

    Written so, x·scale − mean·scale loses digits where the mean is large, but no more than x lost when it was
    rounded to float32.
    """
    source, target = rows.matrix(x), rows.matrix(out)
    scale, shift = rows.spread(scale, out.dtype), rows.spread(shift, out.dtype)

    def work(block):
        part = np.multiply(source[block], scale, out=target[block])
        part += shift
        if then is not None:
            then(block, part)

    parallel(work, rows.blocks)


def _mean_and_variance(x, rows):
    """float64 vectors (C,), from one pass over x.

    Each block gives its own mean and its Σ (x − block mean)², while it is in the cache. They combine exactly
    (Chan, Golub and LeVeque 1983): Σ (x − mean)² = Σ over blocks of (its own + n·(block mean − mean)²).
    """
    matrix = rows.matrix(x)

    def statistics(block):
        values = matrix[block]
        count = len(values) * rows.repeats
        block_mean = rows.sum(values) / count
        centred = values - rows.spread(block_mean, x.dtype)
        return count, block_mean, rows.sum_of_products(centred, centred)

    counts, means, squares = (np.array(part, np.float64) for part in zip(*parallel(statistics, rows.blocks)))
    mean = counts @ means / rows.count
    return mean, (squares.sum(axis=0) + counts @ (means - mean) ** 2) / rows.count


def batch_norm_backward(dy, cache):
    """(dx, dgamma, dbeta). Memory floor: dy and x read twice (once in evaluation), dx written."""
    x, mean, over_sigma, gamma, training = cache
    rows = _Rows(x)
    source, gradient = rows.matrix(x), rows.matrix(dy)

    mean_row = rows.spread(mean, x.dtype)

    def sums(block):
        # Σ dy·(x − mean), not Σ dy·x − mean·Σ dy, which loses its digits where the mean is far from 0.
        return rows.sum(gradient[block]), rows.sum_of_products(gradient[block], source[block] - mean_row)

    dbeta, dy_times_centred = (np.array(part, np.float64).sum(axis=0) for part in zip(*parallel(sums, rows.blocks)))
    dgamma = dy_times_centred * over_sigma
    dx = np.empty(x.shape, x.dtype)
    scale = rows.spread(gamma * over_sigma, x.dtype)

    def times_scale(block, through_statistics=0):
        """dx = gamma/σ · (dy − what comes through mean and var) of a block."""
        part = np.subtract(gradient[block], through_statistics, out=rows.matrix(dx)[block])
        part *= scale

    if training:
        # dbeta/M + x̂·dgamma/M = x·slope + (dbeta/M − mean·slope)
        slope = over_sigma * dgamma / rows.count
        _scale_and_shift(rows, x, slope, dbeta / rows.count - mean * slope, dx, then=times_scale)
    else:
        parallel(times_scale, rows.blocks)
    return dx, dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)
