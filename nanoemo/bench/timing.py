"""The stop-watch: several steps in turn, medians, and how fast the machine multiplies at best."""
import time
from contextlib import contextmanager

import numpy as np

import nanoemo

__all__ = ["blas_can_be_held", "gemm_rate", "in_blocks", "in_turn", "on_threads"]

ROUNDS = 5


def blas_can_be_held():
    """Whether NumPy's BLAS library lets its threads be set; Apple's Accelerate, for one, does not."""
    from threadpoolctl import threadpool_info

    return any(library["user_api"] == "blas" for library in threadpool_info())


@contextmanager
def on_threads(count, torch=None):
    """Inside the `with` block our kernels, BLAS (see `blas_can_be_held`) and `torch` (if given) run on `count` threads each."""
    from threadpoolctl import threadpool_limits

    ours, theirs = nanoemo.get_num_threads(), torch and torch.get_num_threads()
    nanoemo.set_num_threads(count)
    if torch:
        torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        nanoemo.set_num_threads(ours)
        if torch:
            torch.set_num_threads(theirs)


def in_turn(steps, count, warm_up=2):
    """Time each of `steps` (functions without arguments, by name); returns {name: list of seconds}.

    count: how many times of each are kept, at least, spread over `ROUNDS` rounds

    The functions take turns, so that whatever else the machine does meets all alike. A turn is a block of
    calls and not one: a pool of OpenMP or BLAS threads that has just worked spins for some milliseconds,
    waiting for more work, and takes the cores from whoever comes next. The first call of each block pays for
    that, and for cold caches, and is not kept.

    >>> times = in_turn({"a": lambda: None, "b": lambda: None}, count=6)
    >>> [len(seconds) >= 6 for seconds in times.values()]
    [True, True]
    """
    times = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(warm_up):
            step()
    rounds = min(ROUNDS, count)
    for _ in range(rounds):
        for name, step in steps.items():
            block = [_seconds(step) for _ in range(1 + -(-count // rounds))]
            times[name] += block[1:]
    return times


def in_blocks(steps, count, synchronize, blocks=7, warm_up=3):
    """Time blocks of `count` calls of each of `steps` (by name); returns {name: list of seconds a call, one a block}.

    synchronize: a function that waits until all that was queued is done

    For the GPU, where a call only queues work: within a block nothing waits, so that launching one step and computing
    another overlap, as they do in training. The blocks take turns, so that the card's clock, which changes with its
    temperature, is the same for all.

    >>> in_blocks({"a": lambda: None}, count=2, synchronize=lambda: None, blocks=3)["a"][2] >= 0
    True
    """
    for step in steps.values():
        for _ in range(warm_up):
            step()
    times = {name: [] for name in steps}
    for _ in range(blocks):
        for name, step in steps.items():
            synchronize()
            start = time.perf_counter()
            for _ in range(count):
                step()
            synchronize()
            times[name].append((time.perf_counter() - start) / count)
    return times


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def gemm_rate(size=2048, repeats=5):
    """Flop a second of NumPy's product of two float32 matrices (size, size): the best of `repeats`.

    It is the machine's ceiling for this work, so the best is what counts, not the median.
    """
    a, b = np.random.default_rng(0).random((2, size, size), np.float32)
    product = np.empty_like(a)
    best = min(_seconds(lambda: np.matmul(a, b, out=product)) for _ in range(repeats + 1))
    return 2 * size**3 / best
