"""The definitions of pooling, window by window. The equations are in kernels/pool.py, which computes the same in less time.

Padding is written out: cells of −∞ for max and of +∞ for min pooling, of NaN for the mean, which leaves them out.
"""
import numpy as np

from nanoemo.kernels.windows import as_one_row, axes_1d, axes_2d

__all__ = [
    "avg_pool1d_backward_plain", "avg_pool1d_forward_plain", "avg_pool2d_backward_plain", "avg_pool2d_forward_plain",
    "max_pool1d_backward_plain", "max_pool1d_forward_plain", "max_pool2d_backward_plain", "max_pool2d_forward_plain",
    "min_pool2d_backward_plain", "min_pool2d_forward_plain",
    "relu_max_pool1d_backward_plain", "relu_max_pool1d_forward_plain", "relu_max_pool2d_backward_plain",
    "relu_max_pool2d_forward_plain",
]


def _padded(x, axes, value):
    """x with its padding, of cells that are all `value`."""
    rows, columns = axes
    shape = (x.shape[0], rows.size + sum(rows.pads), columns.size + sum(columns.pads), x.shape[3])
    padded = np.full(shape, value, x.dtype)
    _inside(padded, axes)[...] = x
    return padded


def _inside(padded, axes):
    """The part of a padded array that is not padding, as a view."""
    (top, left), (height, width) = (a.pads[0] for a in axes), (a.size for a in axes)
    return padded[:, top:top + height, left:left + width]


def _windows(axes):
    """((row, column) of the output, slices of its window in the padded input) for each output."""
    rows, columns = axes
    for r in range(rows.outputs):
        for c in range(columns.outputs):
            yield (r, c), (slice(r * rows.stride, r * rows.stride + rows.kernel),
                           slice(c * columns.stride, c * columns.stride + columns.kernel))


def _extreme_forward_plain(x, axes, sign):
    """sign · the largest sign·x of each window: max pooling where sign is 1, min pooling where it is −1."""
    padded = _padded(x, axes, -sign * np.inf)
    y = np.empty((x.shape[0], axes[0].outputs, axes[1].outputs, x.shape[3]), x.dtype)
    for (r, c), (i, j) in _windows(axes):
        y[:, r, c] = sign * (sign * padded[:, i, j]).max(axis=(1, 2))
    return y, (padded, axes, sign)


def _extreme_backward_plain(dy, cache):
    """dx: the whole of dy to the cell that was chosen."""
    padded, axes, sign = cache
    dx, real = np.zeros_like(padded), np.zeros_like(padded, bool)
    _inside(real, axes)[...] = True
    for (r, c), (i, j) in _windows(axes):
        for n in range(dy.shape[0]):
            for channel in range(dy.shape[3]):
                window = sign * padded[n, i, j, channel]
                cells = np.flatnonzero(real[n, i, j, channel])
                # argmax takes the first of equal cells
                row, column = np.unravel_index(cells[window.flat[cells].argmax()], window.shape)
                dx[n, i.start + row, j.start + column, channel] += dy[n, r, c, channel]
    return _inside(dx, axes).copy()


def _mean_forward_plain(x, axes):
    """The mean of each window's real cells."""
    padded = _padded(x, axes, np.nan)                       # NaN marks what is to be left out
    real = _padded(np.ones_like(x), axes, 0)
    y = np.empty((x.shape[0], axes[0].outputs, axes[1].outputs, x.shape[3]), x.dtype)
    for (r, c), (i, j) in _windows(axes):
        inside = real[:, i, j]
        y[:, r, c] = padded[:, i, j].sum(axis=(1, 2), where=inside > 0) / inside.sum(axis=(1, 2))
    return y, (real, axes)


def _mean_backward_plain(dy, cache):
    """dx: to each real cell of a window an equal share of dy."""
    real, axes = cache
    dx = np.zeros_like(real)
    for (r, c), (i, j) in _windows(axes):
        count = real[:, i, j].sum(axis=(1, 2), keepdims=True)
        dx[:, i, j] += real[:, i, j] * dy[:, r:r + 1, c:c + 1] / count
    return _inside(dx, axes).copy()


# --------------------------------------------------------------------------------------- the kernels, by name

def max_pool2d_forward_plain(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window, by definition: see `max_pool2d_forward`."""
    return _extreme_forward_plain(x, axes_2d("max_pool2d", x, kernel_size, stride, padding), 1)


def min_pool2d_forward_plain(x, kernel_size, stride=None, padding="valid"):
    """Smallest value of each window, by definition: see `min_pool2d_forward`."""
    return _extreme_forward_plain(x, axes_2d("min_pool2d", x, kernel_size, stride, padding), -1)


def avg_pool2d_forward_plain(x, kernel_size, stride=None, padding="valid"):
    """Mean of each window's real cells, by definition: see `avg_pool2d_forward`."""
    return _mean_forward_plain(x, axes_2d("avg_pool2d", x, kernel_size, stride, padding))


# Max and min pooling send dy to the cell chosen, whichever rule chose it, so their backward is one function.
max_pool2d_backward_plain = min_pool2d_backward_plain = _extreme_backward_plain
avg_pool2d_backward_plain = _mean_backward_plain


def max_pool1d_forward_plain(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window of a sequence, by definition: see `max_pool1d_forward`."""
    return as_one_row(_extreme_forward_plain, x, axes_1d("max_pool1d", x, kernel_size, stride, padding), 1)


def max_pool1d_backward_plain(dy, cache):
    """Gradient of `max_pool1d_forward_plain`: dy (N, T', C) -> dx (N, T, C)."""
    return _extreme_backward_plain(dy[:, None], cache)[:, 0]


def avg_pool1d_forward_plain(x, kernel_size, stride=None, padding="valid"):
    """Mean of each window of a sequence, by definition: see `avg_pool1d_forward`."""
    return as_one_row(_mean_forward_plain, x, axes_1d("avg_pool1d", x, kernel_size, stride, padding))


def avg_pool1d_backward_plain(dy, cache):
    """Gradient of `avg_pool1d_forward_plain`: dy (N, T', C) -> dx (N, T, C)."""
    return _mean_backward_plain(dy[:, None], cache)[:, 0]


def relu_max_pool2d_forward_plain(x, kernel_size, stride=None, padding="valid"):
    """ReLU, then max pooling, by their definitions: see `relu_max_pool2d_forward`."""
    y, cache = max_pool2d_forward_plain(np.where(x <= 0, 0, x).astype(x.dtype), kernel_size, stride, padding)
    return y, (x, cache)


def relu_max_pool2d_backward_plain(dy, cache):
    """Gradient of the pooling, kept where x is positive (or NaN)."""
    x, pool_cache = cache
    return np.where(x <= 0, 0, _extreme_backward_plain(dy, pool_cache)).astype(dy.dtype)


def relu_max_pool1d_forward_plain(x, kernel_size, stride=None, padding="valid"):
    """ReLU, then max pooling, by their definitions: see `relu_max_pool1d_forward`."""
    y, cache = max_pool1d_forward_plain(np.where(x <= 0, 0, x).astype(x.dtype), kernel_size, stride, padding)
    return y, (x, cache)


def relu_max_pool1d_backward_plain(dy, cache):
    """Gradient of the pooling, kept where x is positive (or NaN)."""
    x, pool_cache = cache
    return np.where(x <= 0, 0, max_pool1d_backward_plain(dy, pool_cache)).astype(dy.dtype)
