"""How fast the card multiplies and copies at best: what the figures of a step are held against."""
import time
from dataclasses import dataclass

import numpy as np

from nanoemo import backend

__all__ = ["Ceilings", "copy_rate", "gemm_rate", "measure_ceilings"]

SIZE = 8192                 # of the matrices: 768 MiB for three of them
COPIED = 1 << 30            # bytes: far more than any cache holds


@dataclass
class Ceilings:
    """gemm: flop a second of a float32 product; gemm_tf32: the same with TF32 allowed
    copy: bytes a second, read and written
    """
    gemm: float
    gemm_tf32: float
    copy: float

    def as_dict(self):
        """For JSON."""
        return {"gemm_gflops": self.gemm / 1e9, "gemm_tf32_gflops": self.gemm_tf32 / 1e9, "copy_gbs": self.copy / 1e9}

    def of_products(self, tf32):
        return self.gemm_tf32 if tf32 else self.gemm


def measure_ceilings():
    """The card's `Ceilings`, on arrays that take at most half of the memory that is free."""
    from nanoemo.kernels.blas_cupy import allow_tf32

    cupy = backend.card_module()
    cupy.get_default_memory_pool().free_all_blocks()
    free, _ = cupy.cuda.runtime.memGetInfo()
    size, copied = SIZE, COPIED
    while 3 * 4 * size**2 > free // 2:
        size //= 2
    while 2 * copied > free // 2:
        copied //= 2
    try:
        rates = []
        for tf32 in (False, True):
            allow_tf32(tf32)
            rates.append(gemm_rate(size))
    finally:
        allow_tf32(False)
    return Ceilings(*rates, copy_rate(copied))


def gemm_rate(size):
    """Flop a second of cuBLAS for a product of float32 matrices (size, size), TF32 as it is set."""
    from nanoemo.kernels.blas_cupy import matmul

    # Of random numbers: where all bits are alike, a card draws less current and runs at a higher clock.
    numbers = np.random.default_rng(0).random((2, size, size), np.float32)
    a, b = (backend.to_device(matrix, "cuda") for matrix in numbers)
    product = backend.card_module().empty_like(a)
    return 2 * size**3 / _best(lambda: matmul(a, b, out=product))


def copy_rate(size):
    """Bytes a second of a copy of `size` bytes from one place on the card to another: each is read and written."""
    cupy = backend.card_module()
    source = cupy.zeros(size, cupy.uint8)
    target = cupy.empty_like(source)

    def copy():
        target[...] = source

    return 2 * size / _best(copy)


def _best(work, rounds=5, repeats=4):
    """Seconds of one call: the best round, since a ceiling is what can be reached."""
    seconds = []
    for _ in range(rounds + 1):             # the first round warms up
        backend.synchronize("cuda")
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        backend.synchronize("cuda")
        seconds.append((time.perf_counter() - start) / repeats)
    return min(seconds[1:])
