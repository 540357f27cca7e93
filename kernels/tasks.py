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
    """Do all the tasks, on all threads, in an order in which none is begun before what it needs. An error ends it: no more
    tasks are begun, and it is raised here.

    >>> done = []
    >>> flour, eggs = Task(lambda: done.append("flour")), Task(lambda: done.append("eggs"))
    >>> dough = Task(lambda: done.append("dough"), needs=[flour, eggs])
    >>> run([dough, flour, eggs])
    >>> sorted(done[:2]), done[2]
    (['eggs', 'flour'], 'dough')
    """
    agenda = _Agenda(tasks)
    helpers = 0 if threads.is_worker() else min(threads.get_num_threads(), len(tasks)) - 1
    with threads.one_blas_thread():
        futures = [threads.workers().submit(agenda.work_off) for _ in range(helpers)]
        try:
            agenda.work_off()
        finally:
            wait(futures)               # before BLAS gets its threads back
    for future in futures:
        future.result()


class _Agenda:
    """The tasks that nobody has begun: those that can be, of long calls and of short ones, and how many there are in all."""

    def __init__(self, tasks):
        self.long, self.short, self.left = deque(), deque(), len(tasks)
        self.in_short_calls = 0         # threads that are at such a task
        self.changed = threading.Condition()
        self._add(task for task in tasks if not task.waits_for)

    def _add(self, tasks):
        for task in tasks:
            (self.short if task.short_calls else self.long).append(task)

    def work_off(self):
        try:
            with threads.as_worker():
                while task := self._next():
                    task.work()
                    self._is_done(task)
        except BaseException:
            self._give_up()
            raise

    def _next(self):
        """The task to do now, once there is one; None where all are begun."""
        with self.changed:
            while self.left:
                if self.long or self.short:
                    return self._take()
                self.changed.wait()
            return None

    def _take(self):
        first_of_its_kind = self.short and not self.in_short_calls and len(self.long) <= threads.get_num_threads()
        task = self.short.popleft() if first_of_its_kind or not self.long else self.long.popleft()
        self.left -= 1
        self.in_short_calls += task.short_calls
        return task

    def _is_done(self, task):
        with self.changed:
            self.in_short_calls -= task.short_calls
            for follower in task.followers:
                follower.waits_for -= 1
            self._add(follower for follower in task.followers if not follower.waits_for)
            self.changed.notify_all()

    def _give_up(self):
        with self.changed:
            self.left = 0
            self.changed.notify_all()
