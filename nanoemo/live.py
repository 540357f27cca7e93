"""Numbers that the host works out anew for every step: a learning rate, a seed, the number of the step.

A step that was captured in a CUDA graph runs no Python when it is launched again, and would use the numbers of the
first time for ever. So while a step is being captured, each such number gets a place in the card's memory, and before
every launch the places are filled with what `produce` gives then. Where nothing is captured, the number is just produced.
"""
import numpy as np

__all__ = ["LiveNumbers", "capturing", "number"]

PLACES = 4096           # of eight bytes; a step needs one for each dropout layer and three for an optimiser

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
        self.on_host = np.zeros(PLACES, np.uint64)
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
        for index, (produce, dtype) in enumerate(self.producers):
            self.on_host[index:index + 1].view(dtype)[0] = produce()
        used = len(self.producers)
        if used:
            # As little as that (up to 64 KiB) is taken from ordinary memory at once, and the host does not wait for the card
            # (CUDA's programming guide, on asynchronous execution). on_host may be written again right after.
            self.on_card[:used].set(self.on_host[:used], stream)
