"""Ctrl-C that stops between two steps.

Python's own Ctrl-C breaks off wherever the program happens to be: in the middle of an update, half the
weights are then a step ahead of the others. Here the first Ctrl-C only asks; the training loop looks
between steps, finishes the one it is in, and its state can be saved. A second Ctrl-C stops at once: the
half-made step is lost, and what was last saved stays, because files are replaced whole
(`nanoemo.files`).
"""
import signal
import threading

__all__ = ["StopRequest", "catch_interrupt"]


class StopRequest:
    """A flag that the training loop looks at between steps; any code may set it."""

    def __init__(self):
        self.requested = False

    def __bool__(self):
        return self.requested


class catch_interrupt:
    """Context in which the first Ctrl-C (or SIGTERM) sets the flag it gives, and the second stops at once.

    >>> import os
    >>> with catch_interrupt() as stop:
    ...     os.kill(os.getpid(), signal.SIGINT)
    ...     bool(stop)
    True

    Outside the main thread, which receives no signals, the flag is simply never set.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self):
        self.stop = StopRequest()
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self.stop

    def _handle(self, number, frame):
        if self.stop.requested:
            raise KeyboardInterrupt
        self.stop.requested = True

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)
