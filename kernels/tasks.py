"""Work in pieces, some of which wait for others: a list of `Task`, and `run`, which has all threads do them.

`parallel` (kernels/threads.py) is for pieces of which none waits. Which thread does a task, and when, depends on who is free.
What the task computes must not; so no two tasks write the same memory, and none reads what another writes unless one of the two
waits for the other.
"""
import threading
from collections import deque
from concurrent.futures import wait

from nanoemo.kernels import threads

__all__ = ["Task", "run"]


class Task:
    """`work()`, once all of `needs`, tasks as well, are done. Each task is run once.

    short_calls: whether it is a loop of short calls. Two threads in such loops wait for each other at the interpreter's lock,
        at each call, so one is taken up beside another only where a thread would be idle otherwise.
    """

    def __init__(self, work, needs=(), short_calls=False):
        self.work, self.short_calls = work, short_calls
        self.waits_for, self.followers = len(needs), []         # how many are not done yet; who waits for this one
        for need in needs:
            need.followers.append(self)


def run(tasks):
    """Do all the tasks on all threads, each after those that it needs, which must be among them.

    An error in one of them is raised here, and no more tasks are begun.

    >>> done = []
    >>> flour, eggs = Task(lambda: done.append("flour")), Task(lambda: done.append("eggs"))
    >>> dough = Task(lambda: done.append("dough"), needs=[flour, eggs])
    >>> run([dough, flour, eggs])
    >>> sorted(done[:2]), done[2]
    (['eggs', 'flour'], 'dough')
    """
    agenda = _Agenda(tasks, helpers=0 if threads.is_worker() else threads.get_num_threads() - 1)
    with threads.one_blas_thread():
        try:
            agenda.begin()
            agenda.work_off()
        finally:
            agenda.give_up()                # nothing, where all are done
            wait(agenda.futures)            # before BLAS gets its threads back
    futures, agenda.futures = agenda.futures, []
    try:
        for future in futures:
            future.result()
    finally:
        futures = future = None             # an error holds the frames it came through: it would hold itself


class _Agenda:
    """The tasks that are ready, those of long calls and those of short ones; `left` counts all that are not begun.

    Methods enter the lock and not the condition made of it: `with condition` runs lines of Python of its own, between which
    Ctrl-C could come and leave the lock held.
    """

    def __init__(self, tasks, helpers):
        self.tasks, self.left = tasks, len(tasks)
        self.long, self.short = deque(), deque()
        self.in_short_calls = 0             # threads that are at such a task
        self.helpers, self.futures = helpers, []
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)

    def begin(self):
        """The tasks that need no other are ready."""
        with self.lock:
            self._add(task for task in self.tasks if not task.waits_for)

    def _add(self, tasks):
        """These tasks are ready. Call helpers for all that are ready but one, which the calling thread can do."""
        for task in tasks:
            (self.short if task.short_calls else self.long).append(task)
        for _ in range(min(len(self.long) + len(self.short) - 1, self.helpers - len(self.futures), self.left)):
            self.futures.append(threads.workers().submit(self.work_off))

    def work_off(self):
        """What each thread does: one task after the other, until all are begun."""
        try:
            with threads.as_worker():
                while task := self._next():
                    task.work()
                    self._is_done(task)
        except BaseException:
            self.give_up()
            raise

    def _next(self):
        """The task to do now, waited for if none is ready; None where all are begun."""
        with self.lock:
            while self.left:
                if self.long or self.short:
                    return self._take()
                self.changed.wait()
            return None

    def _take(self):
        """The one of the ready tasks to begin with.

        A loop of short calls, as others wait for it, unless another thread is in one. But long tasks come first where more of
        them are ready than there are threads: left for the end, they would have to be done one after the other.
        """
        prefer_short = self.short and not self.in_short_calls and len(self.long) <= threads.get_num_threads()
        task = self.short.popleft() if prefer_short or not self.long else self.long.popleft()
        self.left -= 1
        self.in_short_calls += task.short_calls
        return task

    def _is_done(self, task):
        """Those that waited for this task alone are ready now."""
        with self.lock:
            self.in_short_calls -= task.short_calls
            for follower in task.followers:
                follower.waits_for -= 1
            self._add(follower for follower in task.followers if not follower.waits_for)
            self.changed.notify_all()

    def give_up(self):
        """What is not begun will not be."""
        with self.lock:
            self.left = 0
            self.changed.notify_all()
