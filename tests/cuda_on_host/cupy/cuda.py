"""Streams, graphs, memory pools and errors of the stand-in."""
import types

import numpy as np

from . import _device


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):
    pass


runtime = types.SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError, getDeviceCount=lambda: 1, memGetInfo=lambda: (8 << 30, 16 << 30),
    getDeviceProperties=lambda device: {"name": b"a card that is not there", "multiProcessorCount": 2},
    deviceSynchronize=lambda: _device.wait_for_card("deviceSynchronize"),
    runtimeGetVersion=lambda: 0, driverGetVersion=lambda: 0)
compiler = types.SimpleNamespace(CompileException=CompileException)
memory = types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
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
    ptr = 0

    def __init__(self, null=False, non_blocking=False, ptds=False):
        self.non_blocking = non_blocking

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

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
        return self


Stream.null = Stream(null=True)


def get_current_stream():
    return Stream.null


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


def get_elapsed_time(start, end):
    return 1.0


class Device:
    id = 0

    def __init__(self, device=None):
        pass

    def synchronize(self):
        _device.wait_for_card("device.synchronize")

    compute_capability = "90"


class MemoryPool:
    def __init__(self, allocator=None):
        pass

    def malloc(self, size):
        raise AssertionError("the stand-in allocates for itself")

    def used_bytes(self):
        return 0

    def total_bytes(self):
        return 0

    def free_all_blocks(self, stream=None):
        pass


default_pool = MemoryPool()


class using_allocator:
    def __init__(self, allocator=None):
        pass

    def __enter__(self):
        pass

    def __exit__(self, *error):
        pass


def alloc_pinned_memory(size):
    return memoryview(bytearray(size))


def get_allocator():
    return default_pool.malloc


_ = np
