"""Layers that only rearrange."""
from nanoemo import ops
from nanoemo.nn.module import Module

__all__ = ["Flatten", "Reshape"]


class Flatten(Module):
    """All axes but the batch in one: (N, H, W, C) to (N, H·W·C).

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> nn.Flatten()(Tensor(np.zeros((2, 4, 4, 256), np.float32))).shape
    (2, 4096)
    """

    def forward(self, x):
        return ops.flatten(x)


class Reshape(Module):
    """Each example in another shape: (N, ...) to (N, *shape).

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> nn.Reshape(6, 6, 8)(Tensor(np.zeros((2, 288), np.float32))).shape
    (2, 6, 6, 8)
    """

    def __init__(self, *shape):
        self.shape = shape

    def forward(self, x):
        return ops.reshape(x, x.shape[0], *self.shape)

    def extra_repr(self):
        return ", ".join(map(str, self.shape))
