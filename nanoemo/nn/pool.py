"""Pooling and up-sampling layers. Each calls the operation of the same name."""
from nanoemo import ops
from nanoemo.kernels.shapes import sizes
from nanoemo.nn.checks import checked_window
from nanoemo.nn.module import Module

__all__ = ["MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d", "MinPool2d", "Upsample2d"]


class _Pool(Module):
    """What all but `Upsample2d` have in common; `axes` are those that the window slides along."""
    operation = None
    axes = 2

    def __init__(self, kernel_size, stride=None, padding="valid"):
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        checked_window(type(self).__name__, self.axes, kernel_size, self.stride, padding)

    def forward(self, x):
        return self.operation(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self):
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding!r}"


class MaxPool2d(_Pool):
    """Largest value of each window, (N, H, W, C) to (N, H', W', C); see `ops.max_pool2d`.

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> nn.MaxPool2d(2)(Tensor(np.zeros((1, 46, 46, 32), np.float32))).shape
    (1, 23, 23, 32)
    """
    operation = staticmethod(ops.max_pool2d)

    @property
    def tiles(self):
        """Whether the windows lie side by side, without overlap or gap."""
        return sizes(self.stride) == sizes(self.kernel_size)


class MinPool2d(_Pool):
    """Smallest value of each window; see `ops.min_pool2d`.

    >>> from nanoemo import Tensor, nn
    >>> nn.MinPool2d(2)(Tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]])).item()
    1.0
    """
    operation = staticmethod(ops.min_pool2d)


class AvgPool2d(_Pool):
    """Mean of each window; see `ops.avg_pool2d`.

    >>> from nanoemo import Tensor, nn
    >>> nn.AvgPool2d(2)(Tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]])).item()
    2.5
    """
    operation = staticmethod(ops.avg_pool2d)


class MaxPool1d(_Pool):
    """Largest value of each window of a sequence, (N, T, C) to (N, T', C); see `ops.max_pool1d`.

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> nn.MaxPool1d(5, stride=2, padding="same")(Tensor(np.zeros((1, 81, 256), np.float32))).shape
    (1, 41, 256)
    """
    operation = staticmethod(ops.max_pool1d)
    axes = 1


class AvgPool1d(_Pool):
    """Mean of each window of a sequence; see `ops.avg_pool1d`.

    >>> from nanoemo import Tensor, nn
    >>> nn.AvgPool1d(2)(Tensor([[[1.0], [3.0]]])).item()
    2.0
    """
    operation = staticmethod(ops.avg_pool1d)
    axes = 1


class Upsample2d(Module):
    """Repeat every cell `scale` times along rows and columns; see `ops.upsample2d`.

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> nn.Upsample2d(2)(Tensor(np.zeros((1, 6, 6, 8), np.float32))).shape
    (1, 12, 12, 8)
    """

    def __init__(self, scale):
        sizes(scale, "Upsample2d: scale")
        self.scale = scale

    def forward(self, x):
        return ops.upsample2d(x, self.scale)

    def extra_repr(self):
        return f"{self.scale}"
