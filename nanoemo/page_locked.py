"""Memory of the host from which a card reads, and into which it writes, while both go on with their work."""
import numpy as np

__all__ = ["page_locked"]


def page_locked(array_module, shape, dtype):
    """A NumPy array in page-locked memory, not yet written.

    The system may move ordinary memory to disk. So a copy from it is not the card's alone: the driver takes part, and it may
    let the host wait for all that was queued before.
    """
    dtype, size = np.dtype(dtype), int(np.prod(shape))
    memory = array_module.cuda.alloc_pinned_memory(max(size * dtype.itemsize, 1))
    return np.frombuffer(memory, dtype, size).reshape(shape)
