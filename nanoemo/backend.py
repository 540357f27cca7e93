"""Which array library, and which kernels, a tensor uses.

A device is a word, "cpu" or "cuda". Arrays on "cpu" are NumPy's, arrays on "cuda" are CuPy's; the rest of the
library asks here and never imports CuPy itself. Nothing moves between devices unless somebody asks for it.
"""
import ctypes
import sys

import numpy as np

from nanoemo import kernels, live
from nanoemo.kernels.threads import get_num_threads, set_num_threads

__all__ = ["NoCudaError", "add_at", "array_module", "card_module", "device_of", "is_array", "to_device", "kernel", "check_device",
           "why_no_cuda", "set_default_device", "default_device", "device_beside", "get_num_threads", "quiet", "set_num_threads",
           "synchronize"]

CUDA_13_BEGINS = 75     # compute capability 7.5: Turing, 2018
OLDEST_CUPY = 14        # until then its `sort` waited for the card, which a step that is being captured may not

_default_device = "cpu"
_cupy = None


class NoCudaError(RuntimeError):
    """Device "cuda" cannot be used here; the message says what is missing and what to install."""


def why_no_cuda():
    """What is missing for device "cuda" and what to install; an empty string where nothing is."""
    global _cupy
    if _cupy is not None:
        return ""
    remedy = "pip install 'nanoemo[cuda12]' (or [cuda13], to match your driver)"
    try:
        import cupy
    except ModuleNotFoundError:
        return f"device 'cuda' needs CuPy, which is not installed: {remedy}"
    except ImportError as error:
        return f"CuPy is installed, but cannot be loaded ({_in_one_line(error)}): {remedy}"
    if int(cupy.__version__.split(".")[0]) < OLDEST_CUPY:
        return f"CuPy {cupy.__version__} is installed, which is too old: {remedy}"
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy is installed, but there is no usable CUDA device ({error})"
    capability = cupy.cuda.Device().compute_capability
    if int(capability) < CUDA_13_BEGINS and cupy.cuda.runtime.runtimeGetVersion() >= 13000:
        return (f"CuPy is installed for CUDA 13, which does not know this card, of compute capability {capability[:-1]}."
                f"{capability[-1]}: pip uninstall cupy-cuda13x, then pip install 'nanoemo[cuda12]'")
    try:
        from cupy_backends.cuda.libs import cublas  # noqa: F401  As an attribute: CuPy then looks for the library wherever it is.
    except ImportError as error:
        return f"CuPy is installed, but not the CUDA libraries that it needs ({_in_one_line(error)}): {remedy}"
    _cupy = cupy
    return ""


def _in_one_line(error):
    return " ".join(str(error).split())


def check_device(device):
    """Raise ValueError for a word that is no device, NoCudaError for "cuda" where there is none."""
    if device not in ("cpu", "cuda"):
        remedy = f"; for another dtype write .to(dtype={device!r})" if str(device) in np.sctypeDict else ""
        raise ValueError(f"device: expected 'cpu' or 'cuda', got {device!r}" + remedy)
    if device == "cuda" and why_no_cuda():
        raise NoCudaError(why_no_cuda())
    return device


def set_default_device(device):
    """Device of tensors and modules made from now on out of numbers, lists and NumPy arrays: "cpu" or "cuda".

    What was put elsewhere, with `device=` or `.to(...)`, stays there.

    Raises ValueError for another word, NoCudaError where CuPy or a CUDA device is missing.

    >>> import nanoemo
    >>> nanoemo.set_default_device("cpu")
    """
    global _default_device
    _default_device = check_device(device)


def default_device():
    """The device that `set_default_device` chose; "cpu" at the start."""
    return _default_device


def device_of(array):
    """ "cpu" for NumPy's arrays, "cuda" for CuPy's."""
    return "cpu" if isinstance(array, (np.ndarray, np.generic)) else "cuda"


def device_beside(values, device):
    """Where `values`, an array, a list or a number, belong next to a tensor on `device`.

    There, unless they are on another device: CuPy's array stays on its own, NumPy's goes to the default device.
    """
    here = device_of(values) if is_array(values) else device
    return here if here in ("cuda", device) else default_device()


def is_array(value):
    """Whether `value` is an array of NumPy's or CuPy's; arrays of other libraries are data to make one from."""
    cupy = sys.modules.get("cupy")
    return isinstance(value, (np.ndarray, np.generic)) or cupy is not None and isinstance(value, cupy.ndarray)


def array_module(array):
    """NumPy or CuPy, whichever made `array`."""
    return np if device_of(array) == "cpu" else _cupy


def card_module():
    """CuPy; NoCudaError where it or a CUDA device is missing."""
    check_device("cuda")
    return _cupy


def synchronize(device):
    """Wait until all that was queued for `device` is done; on the CPU it always is."""
    if device == "cuda":
        card_module().cuda.Device().synchronize()


def to_device(array, device):
    """`array` on `device`; the same object where it is there already.

    Raises RuntimeError for a copy to the card while a step is being captured: each replay would read the memory where CuPy
    had put the numbers for the first.
    """
    here = device_of(array)
    if here == check_device(device):
        return array
    if device == "cpu":
        return _cupy.asnumpy(array)
    if live.capturing():
        raise RuntimeError(f"an array of shape {array.shape} on its way from the host to the card")
    return _cupy.asarray(array)


def add_at(x, key, values):
    """x[key] += values, once for each time that a place is named; the same bits every time. x is contiguous."""
    if device_of(x) == "cpu":
        np.add.at(x, key, values)
    else:
        from nanoemo.kernels.index_cupy import add_at as add_at_on_card
        add_at_on_card(x, key, values)


def kernel(name, device):
    """The kernel of that name for a device (see nanoemo.kernels)."""
    return kernels.find(name, device)


def quiet():
    """A `with` block without NumPy's warnings: NaN and infinity are results here, as in PyTorch and CuPy; `detect_anomaly`
    finds them."""
    return np.errstate(divide="ignore", invalid="ignore", over="ignore")


def keep_freed_memory():
    """Tell glibc's malloc to keep freed arrays for the next step instead of returning them to the system.

    Every training step allocates the same large arrays again. By default each comes as fresh pages from the
    system, and touching them for the first time costs about as much as the arithmetic done on them.
    Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4                     # from <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


keep_freed_memory()
