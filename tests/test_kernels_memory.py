"""The arrays that kernels compute in: where they begin, and how long they are kept."""
import threading

import numpy as np
import pytest

from nanoemo.kernels import memory
from nanoemo.kernels.memory import aligned, workspace


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (3, 5), (7, 1, 1000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_an_aligned_array_is_like_any_other_but_begins_at_a_line(shape, dtype):
    for _ in range(5):
        array = aligned(shape, dtype)
        assert array.ctypes.data % 64 == 0 or array.size == 0
        assert (array.shape, array.dtype) == (shape, dtype)
        assert array.flags.c_contiguous and array.flags.writeable
        array[...] = 1


def test_a_workspace_is_one_buffer_a_name_and_thread():
    first = workspace("one", (4, 8), np.float32)
    assert first.ctypes.data % 64 == 0
    assert np.shares_memory(first, workspace("one", (3, 5), np.float32))
    assert not np.shares_memory(first, workspace("another", (4, 8), np.float32))
    assert not np.shares_memory(first, workspace("one", (4, 8), np.float64))
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(workspace("one", (4, 8), np.float32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(first, elsewhere[0])


def test_a_workspace_grows_and_is_not_kept_where_no_cache_holds_it(monkeypatch):
    monkeypatch.setattr(memory, "KEPT_BYTES", 4096)
    small = workspace("grows", (16,), np.float32)
    large = workspace("grows", (1024,), np.float32)
    assert not np.shares_memory(small, large)
    assert np.shares_memory(large, workspace("grows", (16,), np.float32))
    assert not np.shares_memory(large, workspace("grows", (1025,), np.float32))
