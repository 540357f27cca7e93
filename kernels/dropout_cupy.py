"""Dropout on the GPU: the functions of dropout.py, computed by dropout.cu. From one seed both draw the same mask."""
import cupy as cp

from nanoemo.kernels.cuda import CudaFile, each, in_order
from nanoemo.kernels.dropout import PER_COUNT, check_p, threshold

__all__ = ["dropout_forward", "dropout_backward"]

THREADS = 128       # a block: see dropout.cu

launch = CudaFile("dropout.cu").launch


def dropout_forward(x, p, seed):
    """Inverted dropout; `seed` is a number, or an array () of uint64 on the card, which the backward reads again.

    Where p is 0, y is x itself. Raises ValueError for p outside [0, 1).
    """
    check_p(p)
    return _drop(x, p, seed), (p, seed)


def dropout_backward(dy, cache):
    """dy · m / (1 − p), the mask drawn again."""
    return _drop(dy, *cache)


def _drop(x, p, seed):
    if p == 0:
        return x
    x = in_order(x)
    y = cp.empty_like(x)
    draws = -(-y.size // PER_COUNT)
    launch("drop", each(draws, THREADS), x, seed, threshold(p), 1 / (1 - p), y, y.size)
    return y
