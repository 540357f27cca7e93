"""Convolutions. Their equations and kernels are in kernels/conv.py."""
from nanoemo.ops.common import kernel_op

__all__ = ["conv1d", "conv2d", "conv2d_relu_max_pool2d"]


def conv2d(x, w, b=None, stride=1, padding="valid"):
    """Slide `w` over images.

    x: (N, H, W, C); w: (kh, kw, C, O); b: (O,) or None; stride: a number or (rows, columns)
    padding: "valid", "same" (TensorFlow's rule), a number or (rows, columns)
    Returns (N, H', W', O). Raises ValueError where shapes do not fit.

    >>> from nanoemo import Tensor, ops
    >>> import numpy as np
    >>> image = Tensor(np.ones((1, 4, 4, 1), np.float32))
    >>> ops.conv2d(image, Tensor(np.ones((3, 3, 1, 8), np.float32)), padding="same").shape
    (1, 4, 4, 8)
    """
    return kernel_op("conv2d", {"x": x, "w": w, "b": b}, stride, padding, optional=("b",), wants_needs=True)


def conv2d_relu_max_pool2d(x, w, b=None, stride=1, padding="valid", kernel_size=2, pool_padding="valid"):
    """max_pool2d(relu(conv2d(x, w, b, stride, padding)), kernel_size, kernel_size, pool_padding) in less time.

    The windows of the pooling lie side by side. x, w, b, stride, padding as for `conv2d`.

    >>> from nanoemo import Tensor, ops
    >>> import numpy as np
    >>> image, w = Tensor(np.ones((1, 48, 48, 1), np.float32)), Tensor(np.ones((3, 3, 1, 32), np.float32))
    >>> ops.conv2d_relu_max_pool2d(image, w, kernel_size=2).shape
    (1, 23, 23, 32)
    """
    return kernel_op("conv2d_relu_max_pool2d", {"x": x, "w": w, "b": b}, stride, padding, kernel_size,
                     pool_padding, optional=("b",), wants_needs=True)


def conv1d(x, w, b=None, stride=1, padding="valid"):
    """Slide `w` over sequences.

    x: (N, T, C); w: (k, C, O); b: (O,) or None; stride and padding as for `conv2d`, a number each; a pair as
        padding is (before, after)
    Returns (N, T', O). Raises ValueError where shapes do not fit.

    >>> from nanoemo import Tensor, ops
    >>> x, w = Tensor([[[1.0], [2.0], [3.0]]]), Tensor([[[1.0]], [[1.0]]])
    >>> ops.conv1d(x, w).numpy().ravel().tolist()
    [3.0, 5.0]
    """
    return kernel_op("conv1d", {"x": x, "w": w, "b": b}, stride, padding, optional=("b",), wants_needs=True)
