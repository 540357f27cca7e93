"""Who holds the card's memory, and an error that says so when it is full.

CuPy takes memory from the card in blocks and keeps what is freed, in a pool, for the next step; captured steps have a
pool of their own. A pool that holds much is therefore not yet a model that needs much: what is *used* counts.
"""
import gc
from contextlib import contextmanager

from nanoemo import backend
from nanoemo.graph_memory import NO_MEMORY, graph_memory
from nanoemo.nn import Parameter
from nanoemo.optim import Optimizer

__all__ = ["CardMemoryError", "bytes_held", "out_of_memory_explained"]

# Errors that are no MemoryError, and the status that makes them one.
STATUS = {"CUDARuntimeError": NO_MEMORY, "CUDADriverError": NO_MEMORY, "CublasError": 3}


class CardMemoryError(MemoryError):
    """No memory is left on the card; the message says who holds it and what to try."""


@contextmanager
def out_of_memory_explained(batches=True):
    """Inside the `with` block, no memory left on the card is a CardMemoryError; batches: whether their size may be chosen.

    The memory of the host is not meant: NumPy's MemoryError passes unchanged, as do all other errors.

    >>> with out_of_memory_explained():
    ...     raise MemoryError("of the host")
    Traceback (most recent call last):
        ...
    MemoryError: of the host
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_of_the_card(error):
            raise
        raise CardMemoryError(_explanation(error, batches)) from error


def _is_of_the_card(error):
    """Whether an error says that the card's memory is full: told by its class's name, so that CuPy is not imported for it."""
    kind = type(error)
    if isinstance(error, MemoryError):
        return kind.__module__.startswith("cupy")
    return kind.__name__ in STATUS and error.status == STATUS[kind.__name__]


def _explanation(error, batches):
    """The message of a CardMemoryError: how much there is, who holds it, what to try."""
    xp = backend.card_module()
    free, on_card = xp.cuda.runtime.memGetInfo()
    pool, graphs = xp.get_default_memory_pool(), graph_memory()
    held, used = bytes_held(), pool.used_bytes() + graphs.pool.used_bytes()
    owners = _held_by_owner()
    rest = max(0, used - sum(owners.values()))
    listed = ", ".join(f"{name} {_size(size)}" for name, size in owners.items())
    return (f"the card is out of memory. {str(error).rstrip('.')}. "
            f"Of its {_size(on_card)}, {_size(free)} are free, nanoemo holds {_size(held)}, and other processes, CUDA "
            f"itself and other libraries {_size(on_card - free - held)}. "
            f"nanoemo uses {_size(used)}: {listed}, the rest (activations, batches) {_size(rest)}. "
            f"Of what it holds, {_size(graphs.pool.total_bytes())} are in the pool of {graphs.graphs} captured steps, and "
            f"{_size(pool.free_bytes())} are kept for reuse. "
            f"{'Try a smaller batch (--batch-size); see' if batches else 'See'} with nvidia-smi whether another process is on "
            f"the card; in Python, cupy.get_default_memory_pool().free_all_blocks() gives back what is kept")


def bytes_held():
    """Bytes of the card that CuPy's pools hold, those of captured steps included."""
    return backend.card_module().get_default_memory_pool().total_bytes() + graph_memory().pool.total_bytes()


def _held_by_owner():
    """{owner: bytes} on the card of all parameters, gradients and optimisers there are.

    Python's garbage collector knows them all, so no model has to be registered anywhere.
    """
    parameters = _alive(Parameter)
    return {"parameters": _bytes(parameter.array for parameter in parameters),
            "gradients": _bytes(parameter.grad.array for parameter in parameters if parameter.grad is not None),
            "optimisers": _bytes(slot for optimizer in _alive(Optimizer) for slots in optimizer.slots.values()
                                 for slot in slots if slot is not None)}


def _alive(kind):
    """All objects of a class; `isinstance` would ask proxies for what they stand for."""
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kind)]


def _bytes(arrays):
    """Bytes of those arrays that are on the card; memory that several share counts once."""
    return sum({array.data.ptr: array.nbytes for array in arrays if backend.device_of(array) == "cuda"}.values())


def _size(size):
    """A number of bytes, to be read; below 0, as differences may be, it is 0.

    >>> _size(3 << 29), _size(700_000), _size(-1)
    ('1.5 GiB', '0.7 MiB', '0.0 MiB')
    """
    size = max(size, 0)
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
