"""Threads: BLAS gets its own back, whoever leaves last; an error in a block reaches the caller."""
import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from nanoemo.kernels import threads
from nanoemo.kernels.threads import get_num_threads, one_blas_thread, parallel, set_num_threads


@pytest.fixture
def two_threads():
    before = get_num_threads()
    set_num_threads(2)
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield
    set_num_threads(before)


def test_threads_are_a_whole_number(two_threads):
    set_num_threads(np.int64(1))
    assert get_num_threads() == 1
    for n in (True, 0, 1.0, "2", None):
        with pytest.raises(ValueError, match=f"set_num_threads: expected a positive integer, got {n!r}"):
            set_num_threads(n)
    assert get_num_threads() == 1


def blas_threads():
    """Of the libraries that kernels use; another one (SciPy's) may have been loaded since they were first looked up.

    There is none on a Mac where NumPy uses Apple's Accelerate, hence the comparisons below by `<=`.
    """
    return {library.get_num_threads() for library in threads._blas}


def test_blas_has_its_threads_back_where_two_sections_overlap(two_threads):
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    other = threading.Thread(target=second.__enter__)
    other.start()
    other.join()
    first.__exit__()
    assert blas_threads() <= {1}
    second.__exit__()
    assert blas_threads() <= {2}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_a_block_reaches_the_caller_and_leaves_nothing_set(two_threads, error):
    def work(item):
        if item == 5:
            raise error("in block 5")
        return item

    with pytest.raises(error, match="in block 5"):
        parallel(work, range(8))
    assert blas_threads() <= {2}
    assert parallel(lambda item: item, range(8)) == list(range(8))


def test_after_an_error_no_more_blocks_are_begun(two_threads):
    begun = []

    def work(item):
        begun.append(item)
        raise ValueError("in the first block")

    with pytest.raises(ValueError, match="in the first block"):
        parallel(work, range(1000))
    assert len(begun) <= 2
