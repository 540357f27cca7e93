"""The card that is not there: what was launched, what waited, which stream is being captured, whose memory is used."""
import weakref

import numpy as np

launches = []           # (kernel or operation, grid, block) of everything that was launched, for tests to look at
waits = []              # what waited for the card
turned = False          # run the threads of every block in the opposite order
pool = None             # the memory pool that new arrays come from (see cuda.py)
_capture = None
_counted = {}           # id of a NumPy array that is the memory of arrays on the card -> what gives it back


def count_launch(what="operation", grid=None, block=None):
    launches.append((what, grid, block))


def capturing():
    return _capture is not None


def enqueue(work, what="operation", grid=None, block=None):
    """Do it now, or when the graph that is being captured is launched."""
    if _capture is None:
        count_launch(what, grid, block)
        work()
    else:
        _capture.append(work)


def keep_for_capture(array):
    """A graph's arrays live as long as it does: on a card in the pool that it was captured with."""
    if _capture is not None:
        _capture.append(array.view)         # a step that does nothing, and holds the array


def wait_for_card(what):
    if _capture is not None:
        raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} waits for the card during a capture")
    waits.append(what)


def begin_capture():
    global _capture
    _capture = []


def end_capture():
    global _capture
    work, _capture = _capture, None
    return work


def poison(array):
    """What nobody has written yet reads as NaN."""
    if array.dtype.kind == "f":
        array.fill(np.nan)


def allocate(array):
    """Count an array's memory, which is NumPy's, as taken from the pool, until it is freed. Views take none."""
    if array.base is not None or id(array) in _counted:
        return
    size, source, key = -(-array.nbytes // 512) * 512, pool, id(array)
    source._take(size)

    def freed(_):
        del _counted[key]
        source._give_back(size)

    _counted[key] = weakref.ref(array, freed)
