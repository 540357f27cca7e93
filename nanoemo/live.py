"""What a captured step must not take as it was when it was captured.

A step that was captured in a CUDA graph runs no Python when it is launched again, and would use the numbers and the arrays
of the first time for ever. Three things are seen to here:

- numbers that the host works out anew for every step, a learning rate, a seed, the number of the step: while a step is being
  captured each gets a place in the card's memory (`number`), and before every launch the places are filled anew. Where
  nothing is captured, the number is just produced.
- arrays that take the place of others, as where a model goes to the CPU and comes back (`moved`): what was captured before
  knows the old ones' addresses, and is captured anew.
- gradients: every captured step writes them into arrays of its own, so each launch gives them to their tensors, and takes away
  those that the step forgets (`touches_gradient`).
"""
from collections import deque

import numpy as np

from nanoemo.page_locked import page_locked

__all__ = ["LiveNumbers", "capturing", "moved", "moves", "number", "touches_gradient"]

PLACES = 4096           # of eight bytes; a step needs one for each dropout layer and three for an optimiser
AHEAD = 4               # launches whose numbers may be on their way
ADDS_UP = "the step would add to gradients of an earlier one; let it begin with zero_grad()"

_current = None
_moves = 0


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


def moved():
    """Say that a tensor or an optimiser has another array, or other settings, than before. RuntimeError during a capture."""
    global _moves
    if _current is not None:
        raise RuntimeError("the step gives a tensor another array, as `p.data = …` does; write into the one it has, "
                           "`p.data[...] = …`")
    _moves += 1


def moves():
    """How often something has `moved`."""
    return _moves


def touches_gradient(leaf, forgets=False):
    """Say that `backward` adds to the gradient of `leaf`, or that it is forgotten. RuntimeError where a captured step would
    add to a gradient from before it."""
    if _current is not None and id(leaf) not in _current.leaves:
        if not forgets and leaf.grad is not None:
            raise RuntimeError(ADDS_UP)
        _current.leaves[id(leaf)] = leaf, forgets


class LiveNumbers:
    """The places of one captured step. A context: inside, `number` gives places.

    leaves: {id: (tensor, whether what it had was forgotten first)} of the tensors whose gradients changed inside
    """

    def __init__(self, array_module):
        self.on_card = array_module.zeros(PLACES, np.uint64)
        self.on_host = deque(_Sender(array_module) for _ in range(AHEAD))
        self.producers, self.leaves = [], {}

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


    def wait(self):
        """Until the card has read what was sent: then the memory on the host may be somebody else's."""
        for sender in self.on_host:
            sender.free()


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
