"""Tasks that wait for each other: in what order, on which threads, and what an error leaves behind."""
import gc
import threading
import weakref

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from nanoemo.kernels import threads
from nanoemo.kernels.tasks import Task, _Agenda, run
from nanoemo.kernels.threads import get_num_threads, parallel, set_num_threads


@pytest.fixture(params=[1, 2, 3])
def some_threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield request.param
    set_num_threads(before)


@pytest.fixture
def two_threads():
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


def test_each_is_done_once_and_after_what_it_needs(some_threads, rng):
    done, tasks = [], []
    for k in range(200):
        needs = [tasks[i] for i in rng.choice(k, min(k, 3), replace=False)] if k else []

        def work(k=k, before=tuple(int(tasks.index(need)) for need in needs)):
            assert set(before) <= set(done)
            done.append(k)

        tasks.append(Task(work, needs, short_calls=bool(k % 3)))
    run([tasks[i] for i in rng.permutation(200)])
    assert sorted(done) == list(range(200))


def test_nothing_to_do():
    run([])


def test_two_threads_do_what_can_be_done_at_once(two_threads):
    meeting = threading.Barrier(2, timeout=10)
    run([Task(meeting.wait), Task(meeting.wait)])               # each waits for the other
    run([Task(meeting.wait, short_calls=True), Task(meeting.wait)])
    run([Task(meeting.wait, short_calls=True), Task(meeting.wait, short_calls=True)])       # nothing else to be done


def test_loops_of_short_calls_are_not_begun_beside_each_other_while_there_is_other_work(two_threads):
    tasks = [Task(None, short_calls=kind == "short") for kind in ("short", "short", "long", "long", "long", "long")]
    agenda = _Agenda(tasks, helpers=0)
    agenda.begin()
    begun = [agenda._next() for _ in tasks]
    assert ["short" if task.short_calls else "long" for task in begun] == ["long", "long", "short", "long", "long", "short"]
    assert agenda._next() is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_reaches_the_caller_and_no_more_is_begun(some_threads, error):
    done = []

    def fail():
        raise error("in the second task")

    first = Task(lambda: done.append("first"))
    second = Task(fail, [first])
    third = Task(lambda: done.append("third"), [second])
    with pytest.raises(error, match="in the second task"):
        run([third, second, first])
    assert done == ["first"]
    blas = {library.get_num_threads() for library in threads._blas}
    assert blas <= {2}, "BLAS has its threads back"


def test_inside_a_worker_it_is_a_plain_loop(two_threads, monkeypatch):
    def inside(_):
        here, by = threading.current_thread(), set()
        run([Task(lambda: by.add(threading.current_thread())) for _ in range(20)])
        return by == {here}

    assert parallel(inside, range(4)) == 4 * [True]


def test_a_task_is_done_as_a_worker_so_that_nothing_in_it_is_shared_out_once_more(two_threads):
    inside = []
    run([Task(lambda: inside.append(threads.is_worker())) for _ in range(20)])
    assert inside == 20 * [True] and not threads.is_worker()


def test_nobody_is_called_for_help_where_each_waits_for_the_one_before(two_threads, monkeypatch):
    called, tasks, workers = [], [], threads.workers
    monkeypatch.setattr(threads, "workers", lambda: called.append(True) or workers())
    for _ in range(10):
        tasks.append(Task(lambda: None, tasks[-1:]))
    run(tasks)
    assert not called
    run([Task(lambda: None), Task(lambda: None)])
    assert called


def test_an_error_while_another_thread_waits_wakes_it(two_threads):
    """The helper has nothing to do until the caller's task is done, which never is."""
    waiting = threading.Event()

    def fail():
        assert waiting.wait(10)
        threading.Event().wait(0.2)         # by now it has come back and waits
        raise ValueError("in the caller's task")

    first = Task(fail)
    with pytest.raises(ValueError, match="in the caller's task"):
        run([first, Task(waiting.set), Task(lambda: None, [first])])


def test_blas_has_its_threads_back_only_after_the_last_task(two_threads):
    begun, blas = threading.Event(), []

    def long():
        begun.set()
        threading.Event().wait(0.2)
        blas.append({library.get_num_threads() for library in threads._blas})

    def fail():
        assert begun.wait(10)
        raise ValueError

    with ThreadpoolController().limit(limits=2, user_api="blas"):
        for tasks in ([Task(long), Task(fail)], [Task(fail), Task(long)]):
            begun.clear()
            with pytest.raises(ValueError):
                run(tasks)
    assert len(blas) == 2 and all(each <= {1} for each in blas)


def test_after_an_error_of_a_helper_nothing_is_kept(two_threads):
    class Large:
        pass

    kept, meeting = [], threading.Barrier(2, timeout=10)

    def attempt():
        large, caller = Large(), threading.current_thread()
        kept.append(weakref.ref(large))

        def work():
            meeting.wait()
            if threading.current_thread() is not caller and large:
                raise ValueError

        run([Task(work), Task(work)])

    gc.disable()
    try:
        for _ in range(5):
            try:
                attempt()
            except ValueError:
                continue
            raise AssertionError("the helper's error is lost")
        assert not any(one() for one in kept)
    finally:
        gc.enable()


def test_the_numbers_do_not_depend_on_the_threads(rng):
    x, results, before = rng.standard_normal((8, 30, 30)), [], get_num_threads()
    try:
        for count in (1, 2, 3):
            set_num_threads(count)
            products, total = [None] * 8, np.zeros((30, 30))

            def multiply(k, products=products):
                products[k] = x[k] @ x[k]

            parts = [Task(lambda k=k: multiply(k)) for k in range(8)]
            run([*parts, Task(lambda products=products, total=total: [np.add(total, p, out=total) for p in products], parts)])
            results.append(total)
    finally:
        set_num_threads(before)
    assert all(np.array_equal(results[0], other) for other in results)
