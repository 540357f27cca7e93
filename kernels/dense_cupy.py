"""The dense layer on the GPU: dense.py's functions, by cuBLAS and dense.cu."""
import cupy as cp
from numpy import broadcast_shapes

from nanoemo.kernels import blas_cupy
from nanoemo.kernels.cuda import CudaFile, each, in_order
from nanoemo.kernels.dense import check_linear

__all__ = ["linear_forward", "linear_backward", "matmul"]

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
    w = in_order(w)
    y = blas_cupy.matmul(in_order(x).reshape(-1, x.shape[-1]), w)
    if b is not None:
        add_bias(y, in_order(b))
    return y.reshape(*x.shape[:-1], w.shape[1]), (x, w, b is not None)


def linear_backward(dy, cache, needs=(True, True, True)):
    """(dx, dw, db), None where `needs` says so or there is no bias."""
    x, w, has_bias = cache
    dy = in_order(dy).reshape(-1, w.shape[1])
    dx = blas_cupy.matmul(dy, w, transpose_b=True).reshape(x.shape) if needs[0] else None
    dw = blas_cupy.matmul(in_order(x).reshape(-1, w.shape[0]), dy, transpose_a=True) if needs[1] else None
    db = column_sums(dy) if needs[2] and has_bias else None
    return dx, dw, db


def matmul(a, b):
    """Products of the matrices in the last two axes; the axes before them broadcast. Transposed views are not copied."""
    shape = (*broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    (a, turn_a), (b, turn_b) = (_stack_of_matrices(x, shape[:-2]) for x in (a, b))
    return blas_cupy.matmul(a, b, transpose_a=turn_a, transpose_b=turn_b).reshape(shape)


def _stack_of_matrices(x, leading):
    """x as matrices (N, rows, columns) that lie in memory in order, and whether they are the transposed ones."""
    if x.shape[:-2] != leading:
        x = cp.broadcast_to(x, (*leading, *x.shape[-2:]))
    turned = not x.flags.c_contiguous and x.swapaxes(-1, -2).flags.c_contiguous
    x = in_order(x.swapaxes(-1, -2) if turned else x)
    return x.reshape(-1, *x.shape[-2:]) if leading else x, turned
