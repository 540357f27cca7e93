"""Batch normalisation and dropout: what behaves differently in training. Kernels: kernels/norm.py, kernels/dropout.py."""
import numbers

import numpy as np

from nanoemo import live, random
from nanoemo.kernels.dropout import check_p
from nanoemo.ops.common import floats_only, kernel_op, same_device, same_dtype

__all__ = ["batch_norm", "dropout"]


def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """gamma · (x − mean) / √(var + eps) + beta, a mean and a variance for each channel (last axis).

    x: (..., C); gamma, beta, running_mean, running_var: (C,)
    In training the batch's own statistics are used, and the running ones move towards them by `momentum`, in place;
    otherwise the running ones are used. Ioffe & Szegedy 2015, algorithms 1 and 2.
    Raises ValueError in training for a batch that has only one value per channel.

    >>> from nanoemo import Tensor, ops
    >>> one, zero = Tensor([1.0]), Tensor([0.0])
    >>> y = ops.batch_norm(Tensor([[1.0], [3.0]]), one, zero, Tensor([0.0]), Tensor([1.0]), training=True)
    >>> y.numpy().round(3).ravel().tolist()
    [-1.0, 1.0]
    """
    statistics = {"running_mean": running_mean, "running_var": running_var}
    floats_only("batch_norm", x=x, **statistics)
    same_dtype("batch_norm", x=x, **statistics)
    same_device("batch_norm", x=x, **statistics)
    for what, value, most in (("momentum", momentum, 1), ("eps", eps, float("inf"))):
        if not isinstance(value, numbers.Real) or not 0 <= value <= most:
            limit = " and at most 1" if what == "momentum" else ""
            raise ValueError(f"batch_norm: {what} must be a number of at least 0{limit}, got {value!r}")
    arrays = [statistic.array for statistic in statistics.values()]
    return kernel_op("batch_norm", {"x": x, "gamma": gamma, "beta": beta}, *arrays, training,
                     float(momentum), float(eps))


def dropout(x, p, training):
    """In training, set each value to 0 with probability `p` and scale the others by 1 / (1 − p); otherwise x itself.

    Which values go is drawn from the library's seed (`nanoemo.manual_seed`). Srivastava et al. 2014.
    Raises ValueError for a `p` outside [0, 1).

    >>> from nanoemo import Tensor, ops
    >>> ops.dropout(Tensor([1.0, 2.0]), 0.5, training=False)
    Tensor([1. 2.])
    """
    check_p(p)
    floats_only("dropout", x=x)
    if not training or p == 0:
        return x
    return kernel_op("dropout", {"x": x}, float(p), live.number(random.next_seed, np.uint64))
