"""The memory that kernels compute in: begun at a cache line, and kept from call to call.

A processor with AVX-512 reads 64 bytes at once, a line of its cache. NumPy's arrays begin at multiples of 16 bytes, so most
of them lie across the lines and every read takes two. Where numbers come from memory, that hides in the waiting. Where they are
in the cache it does not: OpenBLAS reads the factors of small products where they lie, and such a product takes up to
1.8 times as long. So what kernels multiply again and again in small pieces lies `aligned`.
"""
import math
import threading

import numpy as np

__all__ = ["aligned", "workspace"]

LINE_BYTES = 64
KEPT_BYTES = 32 << 20         # of a workspace

_local = threading.local()


def aligned(shape, dtype):
    """An uninitialised array, a tuple as shape, that begins at a cache line.

    >>> aligned((3, 5), np.float32).ctypes.data % 64
    0
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % LINE_BYTES
    return memory[start:start + size].view(dtype).reshape(shape)


def workspace(name, shape, dtype):
    """An uninitialised array that this thread keeps from call to call, so that it stays in the cache; it begins at a line.

    Each name is one buffer a thread, grown where needed; what it holds is lost at the next call with that name. One that no
    cache holds is made anew each time instead: it would stay in memory as long as the thread lives.
    """
    size = math.prod(shape)
    if size * np.dtype(dtype).itemsize > KEPT_BYTES:
        return aligned(shape, dtype)
    buffers = _local.__dict__.setdefault("buffers", {})
    buffer = buffers.get((name, dtype))
    if buffer is None or buffer.size < size:
        buffer = buffers[name, dtype] = aligned((size,), dtype)
    return buffer[:size].reshape(shape)
