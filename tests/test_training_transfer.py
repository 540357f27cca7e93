"""In which order batches are sent to the card, so that no copy meets a kernel or another copy in the same memory.

That such an order is missing shows on a card now and then, on the host never; so the order itself is looked at.
"""
import numpy as np
import pytest

from nanoemo import Tensor
from nanoemo.training.transfer import LAG, SLOTS, Results, on_device


@pytest.fixture
def log(card, monkeypatch):
    """What was asked of the card, in order."""
    if not hasattr(card, "_device"):
        pytest.skip("what is asked of the card can be watched on the stand-in only")
    order = []

    def noted(owner, name, text):
        original = getattr(owner, name)

        def call(self, *arguments):
            order.append(text(self, *arguments))
            return original(self, *arguments)
        monkeypatch.setattr(owner, name, call)

    noted(card.cuda.Event, "record", lambda event, stream=None: ("record on", "copying" if stream else "computing", event))
    noted(card.cuda.Event, "synchronize", lambda event: ("host waits", event))
    noted(card.cuda.Stream, "wait_event", lambda stream, event: ("stream waits", event))
    noted(card.ndarray, "set", lambda array, source, stream=None: ("copy", array.data.ptr))
    return order


def batches(sizes):
    return [(np.full((size, 2), size, np.float32),) for size in sizes]


def copies(log):
    """For each copy what came right before: (waits of the host, events recorded by who computes, event waited for)."""
    found, since = [], []
    for entry in log:
        if entry[0] == "copy":
            found.append(since)
            since = []
        else:
            since.append(entry)
    return found


def test_memory_is_not_written_before_its_last_user_is_done(log):
    list(on_device(batches([4] * 5), "cuda"))
    used = [entry[2] for entry in log if entry[:2] == ("record on", "computing")]
    for number, before in enumerate(copies(log)):
        waited = [entry[1] for entry in before if entry[0] == "stream waits"]
        assert waited, "the copy waits for nobody"
        if number >= SLOTS:             # the memory of three batches ago: until the step that used it is done
            assert waited[-1] in used and any(entry[0] == "host waits" for entry in before)


def test_new_memory_waits_for_what_is_queued(log):
    """The pool may give memory that an earlier kernel has not finished with."""
    list(on_device(batches([4, 4, 4, 4, 3]), "cuda"))
    new = [0, 1, 2, 4]                  # copies into memory that was just taken
    for number, before in enumerate(copies(log)):
        waited = [entry[1] for entry in before if entry[0] == "stream waits"][-1]
        fresh = [entry[2] for entry in before if entry[:2] == ("record on", "computing")]
        assert (waited in fresh) or number not in new


def test_page_locked_memory_is_not_given_away_while_it_is_copied_from(log):
    list(on_device(batches([4, 4, 4, 3]), "cuda"))
    arrived = [entry[2] for entry in log if entry[:2] == ("record on", "copying")]
    assert ("host waits", arrived[0]) in copies(log)[3]


def test_a_caller_that_breaks_off_leaves_no_copy_behind(log):
    sent = on_device(batches([4] * 5), "cuda")
    next(sent)
    arrived = {entry[2] for entry in log if entry[:2] == ("record on", "copying")}
    log.clear()
    sent.close()
    assert arrived <= {entry[1] for entry in log if entry[0] == "host waits"}


def test_results_that_are_not_there_yet_are_left_for_later(card, monkeypatch):
    if not hasattr(card, "_device"):
        pytest.skip("what a card has not done yet can be arranged on the stand-in only")
    late = True
    monkeypatch.setattr(card.cuda.Event, "done", property(lambda event: not late))
    results, waits = Results(), card._device.waits
    before = len(waits)
    for step in range(LAG):
        results.put(step, 8, Tensor([0.5, float(step)], device="cuda"))
        assert list(results.take()) == []
    assert len(waits) == before
    results.put(LAG, 8, Tensor([0.5, 0.0], device="cuda"))
    assert [result.step for result in results.take()] == [0] and len(waits) == before + 1      # more than LAG: it is waited for
    late = False
    assert [(result.step, result.correct) for result in results.take()] == [(1, 1), (2, 2), (3, 3), (LAG, 0)]
    late = True
    results.put(9, 8, Tensor([0.25, 7.0], device="cuda"))
    assert list(results.take(wait_for_all=True)) == [(9, 8, 0.25, 7)]
