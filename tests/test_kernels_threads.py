"""Threads: BLAS gets its own back, whoever leaves last; an error in a block reaches the caller."""
import threading

import pytest
from threadpoolctl import ThreadpoolController

from nanoemo.kernels import threads
from nanoemo.kernels.threads import beside, get_num_threads, one_blas_thread, parallel, set_num_threads


@pytest.fixture
def two_threads():
    before = get_num_threads()
    set_num_threads(2)
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield
    set_num_threads(before)


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


def test_work_beside_is_done_by_others_while_the_caller_goes_on(two_threads):
    gate, done_by = threading.Event(), {}

    def work(item):
        assert gate.wait(10), "the caller never got on"
        done_by[item] = threading.current_thread()
        return -item

    with beside(work) as start:
        futures = [start(item) for item in range(5)]
        gate.set()                          # reached before anything is done
        futures[0].result()
    assert [future.result() for future in futures] == [0, -1, -2, -3, -4] and blas_threads() <= {2}
    assert threading.current_thread() is not done_by[0]


def test_more_work_beside_after_the_helpers_had_run_out_of_it(two_threads):
    with beside(lambda item: item + 1) as start:
        assert [start(item).result() for item in range(50)] == list(range(1, 51))


@pytest.mark.parametrize("where", ["inside a worker", "with one thread"])
def test_work_beside_is_done_at_once_where_nobody_else_is_there(two_threads, where):
    def one_after_the_other(_):
        done = []
        with beside(done.append) as start:
            for item in range(3):
                start(item)
                assert done[-1] == item
        return done

    if where == "with one thread":
        set_num_threads(1)
        assert one_after_the_other(None) == [0, 1, 2]
    else:
        assert parallel(one_after_the_other, range(4)) == 4 * [[0, 1, 2]]


def test_an_error_in_work_beside_is_raised_where_it_is_asked_for(two_threads):
    with beside(lambda item: 1 // item) as start:
        good, bad = start(1), start(0)
    assert good.result() == 1 and blas_threads() <= {2}
    with pytest.raises(ZeroDivisionError):
        bad.result()


def test_after_an_error_of_the_caller_no_more_work_beside_is_begun(two_threads):
    begun, go_on = [], threading.Event()

    def work(item):
        begun.append(item)
        go_on.wait(10)

    with pytest.raises(KeyboardInterrupt), beside(work) as start:
        for item in range(100):
            start(item)
        threading.Timer(0.1, go_on.set).start()
        raise KeyboardInterrupt
    assert len(begun) <= 1 and blas_threads() <= {2}
