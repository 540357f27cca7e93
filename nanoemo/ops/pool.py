"""Pooling and up-sampling. Their kernels are in kernels/pool.py and kernels/resample.py."""
from nanoemo.ops.common import kernel_op

__all__ = ["max_pool1d", "max_pool2d", "relu_max_pool1d", "relu_max_pool2d", "avg_pool1d", "avg_pool2d", "min_pool2d",
           "upsample2d"]


def max_pool2d(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window. x: (N, H, W, C) to (N, H', W', C).

    kernel_size, stride: a number or (rows, columns); stride is kernel_size unless given
    padding: "valid", "same", a number or (rows, columns); padded cells count as −∞

    >>> from nanoemo import Tensor, ops
    >>> ops.max_pool2d(Tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]]), 2).item()
    4.0
    """
    return kernel_op("max_pool2d", {"x": x}, kernel_size, stride, padding)


def relu_max_pool2d(x, kernel_size, stride=None, padding="valid"):
    """max_pool2d(relu(x)) in one operation: the same numbers and gradients, in less time. Arguments as for `max_pool2d`.

    >>> from nanoemo import Tensor, ops
    >>> ops.relu_max_pool2d(Tensor([[[[-1.0], [-2.0]], [[-3.0], [-4.0]]]]), 2).item()
    0.0
    """
    return kernel_op("relu_max_pool2d", {"x": x}, kernel_size, stride, padding)


def avg_pool2d(x, kernel_size, stride=None, padding="valid"):
    """Mean of each window, over the cells that are not padding. Arguments as for `max_pool2d`.

    >>> from nanoemo import Tensor, ops
    >>> ops.avg_pool2d(Tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]]), 2).item()
    2.5
    """
    return kernel_op("avg_pool2d", {"x": x}, kernel_size, stride, padding)


def min_pool2d(x, kernel_size, stride=None, padding="valid"):
    """Smallest value of each window; padded cells count as +∞. Arguments as for `max_pool2d`.

    >>> from nanoemo import Tensor, ops
    >>> ops.min_pool2d(Tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]]), 2).item()
    1.0
    """
    return kernel_op("min_pool2d", {"x": x}, kernel_size, stride, padding)


def max_pool1d(x, kernel_size, stride=None, padding="valid"):
    """Largest value of each window of a sequence. x: (N, T, C) to (N, T', C).

    >>> from nanoemo import Tensor, ops
    >>> ops.max_pool1d(Tensor([[[1.0], [3.0], [2.0], [4.0]]]), 2).numpy().ravel().tolist()
    [3.0, 4.0]
    """
    return kernel_op("max_pool1d", {"x": x}, kernel_size, stride, padding)


def relu_max_pool1d(x, kernel_size, stride=None, padding="valid"):
    """max_pool1d(relu(x)) in one operation: the same numbers and gradients, in less time. Arguments as for `max_pool1d`.

    >>> from nanoemo import Tensor, ops
    >>> ops.relu_max_pool1d(Tensor([[[-1.0], [3.0], [-2.0], [-4.0]]]), 2).numpy().ravel().tolist()
    [3.0, 0.0]
    """
    return kernel_op("relu_max_pool1d", {"x": x}, kernel_size, stride, padding)


def avg_pool1d(x, kernel_size, stride=None, padding="valid"):
    """Mean of each window of a sequence. x: (N, T, C) to (N, T', C).

    >>> from nanoemo import Tensor, ops
    >>> ops.avg_pool1d(Tensor([[[1.0], [3.0], [2.0], [4.0]]]), 2).numpy().ravel().tolist()
    [2.0, 3.0]
    """
    return kernel_op("avg_pool1d", {"x": x}, kernel_size, stride, padding)


def upsample2d(x, scale):
    """Repeat every cell `scale` times along rows and columns. x: (N, H, W, C) to (N, H·scale, W·scale, C).

    >>> from nanoemo import Tensor, ops
    >>> ops.upsample2d(Tensor([[[[7.0]]]]), 2).shape
    (1, 2, 2, 1)
    """
    return kernel_op("upsample2d", {"x": x}, scale)
