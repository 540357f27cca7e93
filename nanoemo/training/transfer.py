"""Batches on their way to the device, and results on their way back, while the device computes.

On the CPU neither is a journey. On a GPU a copy from ordinary memory makes the host wait for all that is queued before
it; so batches go through page-locked memory on a stream of their own, and results are looked at some steps later.
"""
from collections import deque
from typing import NamedTuple

from nanoemo import Tensor, backend
from nanoemo.page_locked import page_locked

__all__ = ["Results", "on_device"]

SLOTS = 3           # batches at a time: one that is computed with, one that has arrived, one on its way
LAG = 4             # steps after which a result is waited for; more would show the loss of longer ago


def on_device(batches, device):
    """Yield batches, (images, labels) or (input, ..., labels), as tensors on `device`, the next already on its way.

    A batch on the GPU may be written over once the next but one has been asked for.
    """
    if device == "cpu":
        for batch in batches:
            yield tuple(Tensor(array, device=device) for array in batch)
        return
    slots = deque(_Slot() for _ in range(SLOTS))
    under_way = deque()
    try:
        for batch in batches:
            slots[0].send(batch)
            under_way.append(slots[0])
            slots.rotate(-1)
            if len(under_way) == SLOTS - 1:
                yield from _hand_out(under_way.popleft())
        while under_way:
            yield from _hand_out(under_way.popleft())
    finally:
        for slot in slots:
            slot.arrived.synchronize()      # if the caller broke off: no memory is given away that a copy still uses


def _hand_out(slot):
    yield slot.receive()
    slot.used.record()          # on the stream that computes: reached when the step with this batch is done


class _Slot:
    """Memory for one batch on either side, and what says when it may be written to again."""

    def __init__(self):
        self.xp = backend.card_module()
        self.stream = self.xp.cuda.Stream(non_blocking=True)
        self.arrived, self.used = self.xp.cuda.Event(disable_timing=True), self.xp.cuda.Event(disable_timing=True)
        self.locked, self.on_card = [], []

    def send(self, batch):
        """Begin to copy the batch to the card, once the step that read the one before is done with it."""
        self.arrived.synchronize()              # of the copy before; long ago
        if [(a.shape, a.dtype) for a in batch] != [(a.shape, a.dtype) for a in self.locked]:
            self.locked = [page_locked(self.xp, array.shape, array.dtype) for array in batch]
            self.on_card = [self.xp.empty(array.shape, array.dtype) for array in batch]
            # The pool gives memory that a kernel already queued may still use: what it was freed by need not have run.
            self.used.record()
        self.stream.wait_event(self.used)
        for array, locked, target in zip(batch, self.locked, self.on_card):
            locked[...] = array
            target.set(locked, self.stream)
        self.arrived.record(self.stream)

    def receive(self):
        """The batch as tensors on the card; what is computed from now on waits for the copy."""
        self.xp.cuda.get_current_stream().wait_event(self.arrived)
        return tuple(Tensor(array) for array in self.on_card)


class Result(NamedTuple):
    """Of one step: where it was in the epoch, its images, their mean loss, how many were classified correctly."""
    step: int
    images: int
    loss: float
    correct: int


class Results:
    """Loss and correct answers of the steps, in order, each as soon as it is there without making the card wait."""

    def __init__(self):
        self.under_way = deque()

    def put(self, step, images, loss_and_correct):
        """Begin to fetch what a step gave, a tensor (2,), which the device may not have computed yet."""
        if loss_and_correct.device == "cpu":
            self.under_way.append((step, images, loss_and_correct.numpy(), None))
            return
        xp = backend.card_module()
        locked = page_locked(xp, 2, loss_and_correct.dtype)
        loss_and_correct.array.get(out=locked, blocking=False)
        arrived = xp.cuda.Event(disable_timing=True)
        arrived.record()
        self.under_way.append((step, images, locked, arrived))

    def take(self, wait_for_all=False):
        """Yield the `Result`s that are there, in order; those of more than LAG steps ago, or all, are waited for."""
        while self.under_way:
            step, images, loss_and_correct, arrived = self.under_way[0]
            if arrived is not None and not arrived.done:
                if not wait_for_all and len(self.under_way) <= LAG:
                    return
                arrived.synchronize()
            self.under_way.popleft()
            loss, correct = loss_and_correct
            yield Result(step, images, float(loss), int(correct))
