"""Batch normalisation and dropout: what behaves differently in training. Kernels: kernels/norm.py, kernels/dropout.py."""
from nanoemo import random
from nanoemo.ops.common import kernel_op
from nanoemo.tensor import Tensor

__all__ = ["batch_norm", "dropout"]


def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """gamma · (x − mean) / √(var + eps) + beta, a mean and a variance for each channel (last axis).

    x: (..., C); gamma, beta, running_mean, running_var: (C,)
    In training the batch's own statistics are used, and the running ones move towards them by `momentum`, in place;
    otherwise the running ones are used. Ioffe & Szegedy 2015, algorithms 1 and 2.
    Raises ValueError for a batch that has one value a channel, in training.

    >>> from nanoemo import Tensor, ops
    >>> one, zero = Tensor([1.0]), Tensor([0.0])
    >>> y = ops.batch_norm(Tensor([[1.0], [3.0]]), one, zero, Tensor([0.0]), Tensor([1.0]), training=True)
    >>> y.numpy().round(3).ravel().tolist()
    [-1.0, 1.0]
    """
    statistics = [s.array if isinstance(s, Tensor) else s for s in (running_mean, running_var)]
    return kernel_op("batch_norm", {"x": x, "gamma": gamma, "beta": beta}, *statistics, training, momentum, eps)


def dropout(x, p, training):
    """In training set each value to 0 with probability `p` and scale the others by 1 / (1 − p); otherwise x itself.

    Which values go is drawn from the library's seed (`nanoemo.manual_seed`). Srivastava et al. 2014.
    Raises ValueError for a `p` outside [0, 1).

    >>> from nanoemo import Tensor, ops
    >>> ops.dropout(Tensor([1.0, 2.0]), 0.5, training=False)
    Tensor([1. 2.])
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p must be at least 0 and below 1, got {p!r}")
    if not training or p == 0:
        return x
    return kernel_op("dropout", {"x": x}, p, random.next_seed())
