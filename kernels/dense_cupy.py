"""The dense layer on the GPU: dense.py's functions, by cuBLAS and dense.cu."""
import cupy as cp

from nanoemo.kernels.blas_cupy import matmul
from nanoemo.kernels.cuda import CudaFile, each
from nanoemo.kernels.dense import check_linear

__all__ = ["linear_forward", "linear_backward"]

launch = CudaFile("dense.cu").launch

ROWS_OF_PART = 256      # that a block sums up: 32 rows for each of its eight warps
MOST_PARTS = 1024       # more blocks than a card runs at once; beyond, each sums up more rows


def add_bias(y, b):
    """y += b along the last axis, in place."""
    launch("add_bias", each(y.size), y, b, y.size, b.size)


def column_sums(x):
    """x (rows, columns) summed over its rows; the same bits every time."""
    rows, columns = x.shape
    part = max(ROWS_OF_PART, -(-rows // MOST_PARTS))
    parts = -(-rows // part)
    if parts == 0:
        return cp.zeros(columns, x.dtype)
    sums = cp.empty((parts, columns), x.dtype)
    launch("column_sums", ((-(-columns // 32), parts), (32, 8)), x, sums, rows, columns, part)
    return sums[0] if parts == 1 else column_sums(sums)


def linear_forward(x, w, b=None):
    """y = x w + b over the last axis; returns (y, cache). Shapes and errors are those of dense.py."""
    check_linear(x, w, b)
    w = cp.ascontiguousarray(w)
    y = matmul(cp.ascontiguousarray(x).reshape(-1, x.shape[-1]), w)
    if b is not None:
        add_bias(y, cp.ascontiguousarray(b))
    return y.reshape(*x.shape[:-1], w.shape[1]), (x, w, b is not None)


def linear_backward(dy, cache, needs=(True, True, True)):
    """(dx, dw, db), None where `needs` says so or there is no bias."""
    x, w, has_bias = cache
    dy = cp.ascontiguousarray(dy).reshape(-1, w.shape[1])
    dx = matmul(dy, w, transpose_b=True).reshape(x.shape) if needs[0] else None
    dw = matmul(cp.ascontiguousarray(x).reshape(-1, w.shape[0]), dy, transpose_a=True) if needs[1] else None
    db = column_sums(dy) if needs[2] and has_bias else None
    return dx, dw, db
