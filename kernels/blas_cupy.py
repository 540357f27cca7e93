"""Matrix products on the GPU, by cuBLAS.

CuPy's own `matmul` refuses to work while a stream is captured for a CUDA graph, and copies operands that are transposed.
So cuBLAS, which CuPy has loaded, is called here directly, with its sgemm and dgemm; cuBLAS is told to do the transposing.

cuBLAS takes matrices column by column (Fortran's order), ours lie row by row. Read column by column, a row-major matrix
is its own transpose, and (a b)ᵀ = bᵀ aᵀ: so b goes first, a second, and what comes out is a b, row by row.
"""
import ctypes
import os

import cupy as cp
import numpy as np

from nanoemo.kernels.cuda import LARGEST_INT

__all__ = ["CublasError", "allow_tf32", "matmul"]

WORKSPACE_BYTES = 32 << 20      # what NVIDIA advises for Hopper; older cards are content with 4 MiB
_DEFAULT_MATH, _TF32_MATH = 0, 3                            # cublasMath_t
_GEMM = {np.dtype("float32"): ("cublasSgemm_v2", "cublasSgemmStridedBatched", ctypes.c_float),
         np.dtype("float64"): ("cublasDgemm_v2", "cublasDgemmStridedBatched", ctypes.c_double)}
_STATUS = {1: "not initialised", 3: "allocation failed: the card is out of memory", 7: "invalid value",
           8: "the card is too old", 13: "execution failed", 14: "internal error", 15: "not supported"}

_cublas = None


class CublasError(RuntimeError):
    """A call of cuBLAS failed; `status` is its cublasStatus_t."""

    def __init__(self, function, status):
        super().__init__(f"{function}: {_STATUS.get(status, 'failed')} (cuBLAS status {status})")
        self.status = status


class _Cublas:
    """The library, a handle of our own (its settings are ours alone), and memory for it to work in."""

    def __init__(self):
        self.functions = _loaded_library()
        self.handle = ctypes.c_void_p()
        self.stream = None
        self.check("cublasCreate_v2", self.functions.cublasCreate_v2(ctypes.byref(self.handle)))
        self.workspace = cp.empty(WORKSPACE_BYTES, cp.uint8)
        self.follow(cp.cuda.get_current_stream().ptr)

    def follow(self, stream):
        """Queue what comes on this stream. cuBLAS then forgets its workspace; without one it would allocate."""
        self.stream = stream
        self.check("cublasSetStream_v2", self.functions.cublasSetStream_v2(self.handle, ctypes.c_void_p(stream)))
        self.check("cublasSetWorkspace_v2", self.functions.cublasSetWorkspace_v2(
            self.handle, ctypes.c_void_p(self.workspace.data.ptr), ctypes.c_size_t(WORKSPACE_BYTES)))

    def check(self, function, status):
        if status:
            raise CublasError(function, status)


def _loaded_library():
    from cupy_backends.cuda.libs import cublas  # noqa: F401  Importing it loads libcublas from wherever CuPy finds it.
    # The version that CuPy was built for comes first: PyTorch may have loaded another one.
    for version in dict.fromkeys((cp.cuda.runtime.runtimeGetVersion() // 1000, 13, 12, 11)):
        try:
            return ctypes.CDLL(f"libcublas.so.{version}", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            continue
    raise RuntimeError("CuPy has loaded no libcublas.so of CUDA 11, 12 or 13; install nanoemo[cuda12] or nanoemo[cuda13]")


def _ready():
    global _cublas
    if _cublas is None:
        _cublas = _Cublas()
    stream = cp.cuda.get_current_stream().ptr
    if stream != _cublas.stream:
        _cublas.follow(stream)
    return _cublas


def allow_tf32(allowed):
    """Whether products of float32 may round their inputs to TF32's 10 bits: several times as fast, off at the start.

    A step that was captured before keeps what it was recorded with.
    """
    cublas = _ready()
    mode = _TF32_MATH if allowed else _DEFAULT_MATH
    cublas.check("cublasSetMathMode", cublas.functions.cublasSetMathMode(cublas.handle, mode))


def matmul(a, b, out=None, transpose_a=False, transpose_b=False, add=False):
    """a b, of two matrices or of two equally long stacks of them (first axis of three); with `add`, out += a b.

    a: (n, k), or (k, n) with transpose_a; b: (k, m), or (m, k) with transpose_b; out: (n, m), a new array unless given.
    All are contiguous and have one dtype, float32 or float64. Raises ValueError where they do not.
    """
    n, k = a.shape[-2:][::-1] if transpose_a else a.shape[-2:]
    inner, m = b.shape[-2:][::-1] if transpose_b else b.shape[-2:]
    shape = (*a.shape[:-2], n, m)
    if out is None:
        out = cp.empty(shape, a.dtype)
    _check(a, b, out, k == inner and a.shape[:-2] == b.shape[:-2] and out.shape == shape)
    if 0 in shape:
        return out
    if k == 0:
        if not add:
            out.fill(0)
        return out
    single, batched, number = _GEMM[a.dtype]
    cublas = _ready()
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    one, beta = number(1), number(1 if add else 0)
    ways = integer(transpose_b), integer(transpose_a), integer(m), integer(n), integer(k), ctypes.byref(one)
    first, second, result = ((pointer(x.data.ptr), integer(x.shape[-1])) for x in (b, a, out))
    if a.ndim == 2:
        function, count = single, ()
    else:
        function, count = batched, (integer(a.shape[0]),)
        first, second, result = ((*p, ctypes.c_longlong(x.shape[1] * x.shape[2]))
                                 for p, x in ((first, b), (second, a), (result, out)))
    status = getattr(cublas.functions, function)(cublas.handle, *ways, *first, *second, ctypes.byref(beta), *result, *count)
    cublas.check(function, status)
    return out


def _check(a, b, out, shapes_fit):
    if not shapes_fit or a.ndim not in (2, 3):
        raise ValueError(f"matmul: shapes {a.shape}, {b.shape} and {out.shape} (out) do not fit")
    if max(a.shape + b.shape) > LARGEST_INT:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} have an axis too long for cuBLAS; use a smaller batch")
    for name, array in (("a", a), ("b", b), ("out", out)):
        if array.dtype != a.dtype or array.dtype not in _GEMM:
            raise ValueError(f"matmul: {name} is {array.dtype}; all three must be float32, or all float64")
        if not array.flags.c_contiguous:
            raise ValueError(f"matmul: {name}, of shape {array.shape}, is not contiguous")
