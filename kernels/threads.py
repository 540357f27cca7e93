"""Running NumPy kernels on every core.

NumPy releases the interpreter lock inside copies, ufuncs and matrix products, so plain Python threads
do run side by side there. A kernel cuts its work into blocks of whole images (or rows) that fit the
level-2 cache, and `parallel` hands the blocks to the threads. While they run, the BLAS library is held to
one thread: two Python threads with one BLAS thread each share the machine better than one with two, because
everything between the matrix products (gathering columns, adding the bias) runs in parallel as well.

Two things that measurement taught. Taking the interpreter lock again after each call costs some 20 µs where another
thread holds it, so calls should be long: blocks of a megabyte rather than of the first-level cache. And `np.matmul`
keeps the lock while its result has fewer than 500 numbers, however long the sum is; `np.dot` never does.

How the work is cut never depends on the number of threads, so the result is the same bits on any machine
with the same BLAS.
"""
import numbers
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

__all__ = ["as_worker", "even_slices", "get_num_threads", "groups", "image_blocks", "is_worker", "once_per_thread",
           "one_blas_thread", "parallel", "row_blocks", "set_num_threads", "sum_of", "workers"]

BLOCK_BYTES = 256 * 1024

_lock = threading.Lock()
_pool = None
_blas = None
_local = threading.local()
_num_threads = None


def available_cores():
    """Cores this process may use (a container or `taskset` may allow fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads():
    """Threads that kernels run on: `set_num_threads`, else OMP_NUM_THREADS, else the cores there are."""
    global _num_threads
    if _num_threads is None:
        wanted = os.environ.get("OMP_NUM_THREADS", "")
        _num_threads = int(wanted) if wanted.isdigit() and int(wanted) > 0 else available_cores()
    return _num_threads


def set_num_threads(n):
    """Use `n` threads from now on. Raises ValueError where `n` is not a positive integer."""
    global _num_threads, _pool
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1:
        raise ValueError(f"set_num_threads: expected a positive integer, got {n!r}")
    with _lock:
        _num_threads = int(n)
        pool, _pool = _pool, None
    if pool is not None:
        pool.shutdown(wait=True)            # outside the lock, which its threads may need to come to an end


def workers():
    """The pool of threads that kernels run on beside the calling one."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(get_num_threads(), thread_name_prefix="nanoemo")
        return _pool


def _forget_pool_after_fork():
    """A forked child inherits the pool object but none of its threads, and is inside no parallel section of theirs."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()
    one_blas_thread.inside = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool_after_fork)


class one_blas_thread:
    """Context in which each BLAS call uses one thread; the setting found is put back at the end.

    A BLAS thread that has had work spins for some milliseconds, waiting for more, and takes the core from ours. So
    small products between parallel sections run in this context too. The setting belongs to the whole process: where
    several threads are in this context, the first to enter saves it and the last to leave puts it back.
    """
    inside, before = 0, ()

    def __enter__(self):
        global _blas
        with _lock:
            if _blas is None:
                from threadpoolctl import ThreadpoolController
                _blas = ThreadpoolController().select(user_api="blas").lib_controllers
            if not one_blas_thread.inside:
                one_blas_thread.before = [library.get_num_threads() for library in _blas]
                for library in _blas:
                    library.set_num_threads(1)
            one_blas_thread.inside += 1

    def __exit__(self, *error):
        with _lock:
            one_blas_thread.inside -= 1
            if not one_blas_thread.inside:
                for library, threads in zip(_blas, self.before):
                    library.set_num_threads(threads)


def row_blocks(rows, bytes_per_row, block_bytes=BLOCK_BYTES):
    """Cut `rows` rows into slices of about `block_bytes` each, at least one row a slice.

    >>> row_blocks(5, 100_000)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, block_bytes // max(1, bytes_per_row))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def image_blocks(images, height, rows):
    """Cut a batch into (images, rows) slices of about `rows` rows: part of one image, or several whole images.

    Blocks are even; where they are of whole images, also an even number of them, so that two threads end together.

    >>> image_blocks(2, 46, 23)[:2]
    [(slice(0, 1, None), slice(0, 23, None)), (slice(0, 1, None), slice(23, 46, None))]
    >>> image_blocks(32, 8, 80)
    [(slice(0, 8, None), slice(0, 8, None)), (slice(8, 16, None), slice(0, 8, None)), \
(slice(16, 24, None), slice(0, 8, None)), (slice(24, 32, None), slice(0, 8, None))]
    """
    if rows < height:
        return [(slice(n, n + 1), part) for n in range(images) for part in even_slices(height, max(1, rows))]
    return [(part, slice(0, height)) for part in even_slices(images, rows // height, pairs=True)]


def even_slices(total, size, pairs=False):
    """Cut `total` into as few slices of `size` at most as there can be, one at least, all of about one length; of `pairs` an
    even number.

    >>> even_slices(10, 4)
    [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """
    count = max(1, -(-total // size))
    if pairs and 1 < count < total:
        count += count % 2
    bounds = [total * i // count for i in range(count + 1)]
    return [slice(start, stop) for start, stop in zip(bounds, bounds[1:])]


def groups(blocks, count):
    """Blocks in at most `count` consecutive groups, each summed up by one thread.

    >>> groups([1, 2, 3, 4, 5], 2)
    [[1, 2, 3], [4, 5]]
    """
    size = -(-len(blocks) // count)
    return [blocks[start:start + size] for start in range(0, len(blocks), size)]


def sum_of(parts):
    """Arrays added up in order, into the first of them."""
    total = parts[0]
    for part in parts[1:]:
        np.add(total, part, out=total)
    return total


def once_per_thread(make):
    """`make`, called once for each thread and arguments; later calls give the same result back.

    For what a kernel sets up before its blocks (buffers and views of them): a line of Python costs as much as a
    thousand additions, and only one thread at a time can run it.
    """
    kept = threading.local()

    def get(*key):
        if key not in kept.__dict__.setdefault("results", {}):
            kept.results[key] = make(*key)
        return kept.results[key]

    return get


def is_worker():
    """Whether this thread is at a piece of work that was shared out, inside of which nothing is shared out again."""
    return getattr(_local, "inside", False)


@contextmanager
def as_worker():
    """Context in which this thread is a worker."""
    before, _local.inside = is_worker(), True
    try:
        yield
    finally:
        _local.inside = before


def parallel(work, items):
    """Call `work(item)` for every item, on all threads; return the results in order.

    Called from inside a worker, or with one item, or with one thread, it is a plain loop. An exception in
    any call is raised here.
    """
    threads = get_num_threads()
    if is_worker():
        return [work(item) for item in items]
    if threads == 1 or len(items) <= 1:
        with one_blas_thread():
            return [work(item) for item in items]
    results = [None] * len(items)
    counter = iter(range(len(items)))        # next() on it is atomic, so idle threads take the next block

    def take_blocks():
        try:
            with as_worker():
                for index in counter:
                    results[index] = work(items[index])
        except BaseException:
            for _ in counter:               # nothing is left for the other threads to take
                pass
            raise

    with one_blas_thread():
        futures = [workers().submit(take_blocks) for _ in range(min(threads, len(items)) - 1)]
        try:
            take_blocks()                    # the calling thread works too
        finally:
            for future in futures:
                future.exception()           # wait for all before BLAS gets its threads back
        for future in futures:
            future.result()
    return results
