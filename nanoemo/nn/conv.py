"""Convolution layers."""
from nanoemo import ops
from nanoemo.nn import init
from nanoemo.nn.checks import checked_window, positive_integers
from nanoemo.nn.module import Module, Parameter

__all__ = ["Conv1d", "Conv2d"]


class _Conv(Module):
    """What the two have in common; `axes` are those that the window slides along."""
    axes = 2

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding="valid", bias=True):
        layer = type(self).__name__
        positive_integers(layer, in_channels=in_channels, out_channels=out_channels)
        window = checked_window(layer, self.axes, kernel_size, stride, padding)
        self.weight = Parameter(init.glorot_uniform((*window, in_channels, out_channels)))
        self.bias = Parameter(init.zeros(out_channels)) if bias else None
        self.stride = stride
        self.padding = padding

    def extra_repr(self):
        *window, in_channels, out_channels = self.weight.shape
        kernel_size = window[0] if len(window) == 1 else tuple(window)
        text = f"{in_channels}, {out_channels}, {kernel_size}, stride={self.stride}, padding={self.padding!r}"
        return text if self.bias is not None else text + ", bias=False"


class Conv2d(_Conv):
    """Convolution over images, (N, H, W, in_channels) to (N, H', W', out_channels); see `ops.conv2d`.

    kernel_size, stride: a number or (rows, columns); padding: "valid", "same", a number or (rows, columns)
    weight (kh, kw, in, out) starts as Glorot uniform, bias (out,) as 0: Keras' defaults.

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> layer = nn.Conv2d(1, 32, 3, padding="same")
    >>> layer(Tensor(np.zeros((2, 48, 48, 1), np.float32))).shape, layer.num_parameters()
    ((2, 48, 48, 32), 320)
    """

    def forward(self, x):
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class Conv1d(_Conv):
    """Convolution over sequences, (N, T, in_channels) to (N, T', out_channels); see `ops.conv1d`.

    weight (k, in, out) starts as Glorot uniform, bias (out,) as 0.

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> nn.Conv1d(1, 256, 5, padding="same")(Tensor(np.zeros((2, 162, 1), np.float32))).shape
    (2, 162, 256)
    """
    axes = 1

    def forward(self, x):
        return ops.conv1d(x, self.weight, self.bias, self.stride, self.padding)
