"""Streams, graphs, memory pools and errors of the stand-in."""
import itertools
import types
import weakref

from . import _device

_BYTES_OF_CARD = 16 << 30


class _CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        super().__init__(f"CUDA error {status}")
        self.status = status


class _OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
                         + (f", limit set to: {limit:,} bytes)." if limit else ")."))


class _CompileException(Exception):
    pass


runtime = types.SimpleNamespace(
    CUDARuntimeError=_CUDARuntimeError, getDeviceCount=lambda: 1,
    memGetInfo=lambda: (_BYTES_OF_CARD - sum(pool.total for pool in _pools), _BYTES_OF_CARD),
    getDeviceProperties=lambda device: {"name": b"a card that is not there", "multiProcessorCount": 2,
                                         "totalGlobalMem": _BYTES_OF_CARD},
    deviceSynchronize=lambda: _device.wait_for_card("deviceSynchronize"),
    runtimeGetVersion=lambda: 0, driverGetVersion=lambda: 0)
compiler = types.SimpleNamespace(CompileException=_CompileException)
memory = types.SimpleNamespace(OutOfMemoryError=_OutOfMemoryError)
device = types.SimpleNamespace(get_cublas_handle=lambda: 1)


class Graph:
    def __init__(self, work):
        self.work = work

    def launch(self, stream=None):
        for step in self.work:
            step()

    def upload(self, stream=None):
        pass


class Stream:
    def __init__(self, null=False, non_blocking=False, ptds=False):
        self.ptr = 0 if null else next(_numbers)
        self.non_blocking = non_blocking

    def __enter__(self):
        _entered.append(self)
        return self

    def __exit__(self, *error):
        _entered.pop()

    def begin_capture(self, mode=None):
        assert self.non_blocking, "the default stream cannot be captured"
        _device.begin_capture()

    def end_capture(self):
        return Graph(_device.end_capture())

    def is_capturing(self):
        return _device.capturing()

    def synchronize(self):
        _device.wait_for_card("stream.synchronize")

    def wait_event(self, event):
        pass

    def record(self, event=None):
        return event if event is not None else Event()

    def use(self):
        _entered[-1] = self
        return self


_numbers = itertools.count(1)
Stream.null = Stream(null=True)
_entered = [Stream.null]


def get_current_stream():
    return _entered[-1]


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        pass

    def record(self, stream=None):
        pass

    def synchronize(self):
        _device.wait_for_card("event.synchronize")

    @property
    def done(self):
        return True


def get_elapsed_time(start_event, end_event):
    return 1.0


class Device:
    id = 0

    def __init__(self, device=None):
        pass

    def synchronize(self):
        _device.wait_for_card("device.synchronize")

    compute_capability = "90"


_pools = weakref.WeakSet()


class MemoryPool:
    """Keeps books as CuPy's does: what is freed stays in the pool, and counts as total, until free_all_blocks."""

    def __init__(self, allocator=None):
        self.used = self.total = self.limit = 0
        _pools.add(self)

    def _take(self, size):
        assert not (self is _default_pool and _device.capturing()), \
            "memory of a captured step is freed for others to use: let it come from a pool of its own"
        if self.limit and self.used + size > self.limit:
            raise _OutOfMemoryError(size, self.used, self.limit)
        self.used += size
        self.total = max(self.total, self.used)

    def _give_back(self, size):
        self.used -= size

    def malloc(self, size):
        raise AssertionError("the stand-in allocates for itself")

    def used_bytes(self):
        return self.used

    def free_bytes(self):
        return self.total - self.used

    def total_bytes(self):
        return self.total

    def free_all_blocks(self, stream=None):
        self.total = self.used

    def set_limit(self, size=None, fraction=None):
        assert fraction is None, "the stand-in knows limits in bytes only"
        self.limit = size or 0

    def get_limit(self):
        return self.limit


_default_pool = _device.pool = MemoryPool()


class using_allocator:
    def __init__(self, allocator=None):
        self.pool = allocator.__self__

    def __enter__(self):
        self.before, _device.pool = _device.pool, self.pool

    def __exit__(self, *error):
        _device.pool = self.before


def alloc_pinned_memory(size):
    return memoryview(bytearray(size))


def get_allocator():
    return _device.pool.malloc
