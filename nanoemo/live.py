"""Numbers that the host works out anew for every step: a learning rate, a seed, the number of the step.

A step that was captured in a CUDA graph runs no Python when it is launched again, and would use the numbers of the
first time for ever. So while a step is being captured, each such number gets a place in the card's memory, and before
every launch the places are filled with what `produce` gives then. Where nothing is captured, the number is just produced.
"""
from collections import deque

import numpy as np

from nanoemo.page_locked import page_locked

__all__ = ["LiveNumbers", "capturing", "number"]

PLACES = 4096           # of eight bytes; a step needs one for each dropout layer and three for an optimiser
AHEAD = 4               # launches whose numbers may be on their way

_current = None


def capturing():
    """The `LiveNumbers` of the capture that is under way, or None."""
    return _current


def number(produce, dtype=np.float64):
    """produce(), now and, in a captured step, before every launch.

    dtype: np.float64, or np.uint64 for seeds. Returns a Python number, or during a capture an array () on the card.

    >>> number(lambda: 0.5)
    0.5
    """
    return produce() if _current is None else _current.place(produce, dtype)


class LiveNumbers:
    """The places of one captured step. A context: inside, `number` gives places."""

    def __init__(self, array_module):
        self.on_card = array_module.zeros(PLACES, np.uint64)
        self.on_host = deque(_Sender(array_module) for _ in range(AHEAD))
        self.producers = []

    def __enter__(self):
        global _current
        if _current is not None:
            raise RuntimeError("capture: a step is being captured already")
        _current = self
        return self

    def __exit__(self, *error):
        global _current
        _current = None

    def place(self, produce, dtype):
        index = len(self.producers)
        if index == PLACES:
            raise RuntimeError(f"capture: the step needs more than {PLACES} numbers from the host")
        self.producers.append((produce, dtype))
        return self.on_card[index:index + 1].view(dtype).reshape(())

    def refresh(self, stream):
        """Work all numbers out again, in the order in which they were asked for, and send them to the card."""
        if not self.producers:
            return
        sender = self.on_host[0]
        self.on_host.rotate(-1)
        numbers = sender.free()[:len(self.producers)]
        for index, (produce, dtype) in enumerate(self.producers):
            numbers[index:index + 1].view(dtype)[0] = produce()
        self.on_card[:len(numbers)].set(numbers, stream)
        sender.sent.record(stream)


class _Sender:
    """The numbers of one launch on the host, in memory that must stay as it is until the card has read it."""

    def __init__(self, array_module):
        self.numbers = page_locked(array_module, PLACES, np.uint64)
        self.sent = array_module.cuda.Event(disable_timing=True)

    def free(self):
        """`numbers`, once they may be written over."""
        if not self.sent.done:
            self.sent.synchronize()
        return self.numbers
