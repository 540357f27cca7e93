"""Batch normalisation and dropout: layers that behave differently in training."""
from nanoemo import ops
from nanoemo.kernels.dropout import check_p
from nanoemo.nn import init
from nanoemo.nn.checks import positive_integers
from nanoemo.nn.module import Buffer, Module, Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "Dropout"]


class _BatchNorm(Module):
    """What the two have in common; `ranks` are the numbers of axes that x may have, and what these are."""
    ranks = {}

    def __init__(self, num_features, momentum=0.1, eps=1e-5):
        positive_integers(type(self).__name__, num_features=num_features)
        self.gamma = Parameter(init.ones(num_features))
        self.beta = Parameter(init.zeros(num_features))
        self.running_mean = Buffer(init.zeros(num_features))
        self.running_var = Buffer(init.ones(num_features))
        self.momentum = momentum
        self.eps = eps

    def forward(self, x):
        if x.ndim not in self.ranks:
            expected = " or ".join(self.ranks.values())
            raise ValueError(f"{type(self).__name__}: expected x of shape {expected}, got {x.shape}")
        return ops.batch_norm(x, self.gamma, self.beta, self.running_mean, self.running_var, self.training,
                              self.momentum, self.eps)

    def extra_repr(self):
        return f"{self.gamma.size}, momentum={self.momentum}, eps={self.eps}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features (N, C) or sequences (N, T, C); see `ops.batch_norm`.

    Learned: gamma, beta. Kept: running_mean, running_var, which `eval` mode uses. Ioffe & Szegedy 2015.

    >>> from nanoemo import Tensor, nn
    >>> nn.BatchNorm1d(1)(Tensor([[1.0], [3.0]])).numpy().round(3).ravel().tolist()
    [-1.0, 1.0]
    """
    ranks = {2: "(N, C)", 3: "(N, T, C)"}


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, H, W, C), one mean and variance a channel ("spatial").

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> nn.BatchNorm2d(3)(Tensor(np.ones((2, 4, 4, 3), np.float32))).shape
    (2, 4, 4, 3)
    """
    ranks = {4: "(N, H, W, C)"}


class Dropout(Module):
    """In training, set each value to 0 with probability `p` and scale the rest by 1 / (1 − p).

    See `ops.dropout`. Raises ValueError for a `p` outside [0, 1).

    >>> from nanoemo import Tensor, nn
    >>> nn.Dropout(0.5).eval()(Tensor([1.0, 2.0]))
    Tensor([1. 2.])
    """

    def __init__(self, p=0.5):
        check_p(p, "Dropout")
        self.p = p

    def forward(self, x):
        return ops.dropout(x, self.p, self.training)

    def extra_repr(self):
        return f"{self.p}"
