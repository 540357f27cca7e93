"""Work that is done in pieces, some of which wait for others: a list of `Task`, and `run`, which has all threads do them.

`parallel` (kernels/threads.py) is for pieces of which none waits. Which thread does a task, and when, depends on who is free;
what it computes must not, so a task writes only what no other one writes or, unless it waits for the other, reads.
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
        self.waits_for, self.followers = len(needs), []
        for need in needs:
            need.followers.append(self)


def run(tasks):
    """Do all the tasks, on all threads, in an order in which none is begun before what it needs, which must be among them. An
    error ends it: no more tasks are begun, and it is raised here.

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
    """The tasks that can be begun, of long calls and of short ones; `left` are all that are not begun.

    The lock is entered, not the condition that stands on it, whose own lines of Python Ctrl-C could come between.
    """

    def __init__(self, tasks, helpers):
        self.tasks, self.left = tasks, len(tasks)
        self.long, self.short = deque(), deque()
        self.in_short_calls = 0             # threads that are at such a task
        self.helpers, self.futures = helpers, []
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)

    def begin(self):
        with self.lock:
            self._add(task for task in self.tasks if not task.waits_for)

    def _add(self, tasks):
        """Tasks that can be begun, and helpers for all but one of them, which the calling thread can do."""
        for task in tasks:
            (self.short if task.short_calls else self.long).append(task)
        for _ in range(min(len(self.long) + len(self.short) - 1, self.helpers - len(self.futures), self.left)):
            self.futures.append(threads.workers().submit(self.work_off))

    def work_off(self):
        try:
            with threads.as_worker():
                while task := self._next():
                    task.work()
                    self._is_done(task)
        except BaseException:
            self.give_up()
            raise

    def _next(self):
        """The task to do now, once there is one; None where all are begun."""
        with self.lock:
            while self.left:
                if self.long or self.short:
                    return self._take()
                self.changed.wait()
            return None

    def _take(self):
        """A walk through short calls if nobody is at one, as it is what others wait for: but first the long ones that have piled
        up, for which there would be too few threads at the end."""
        walk = self.short and not self.in_short_calls and len(self.long) <= threads.get_num_threads()
        task = self.short.popleft() if walk or not self.long else self.long.popleft()
        self.left -= 1
        self.in_short_calls += task.short_calls
        return task

    def _is_done(self, task):
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
