"""Loads a libcublas.so.12 that multiplies matrices on the host; see cublas_on_host.cpp."""
import ctypes
from pathlib import Path

from cupy import _device
from host import build

from . import loaded

# `import cupy_backends.cuda.libs.cublas`: the module is linked to the library by its name alone.
if "cublas" not in loaded:
    raise ImportError("libcublas.so.12: cannot open shared object file: No such file or directory")

_library = ctypes.CDLL(str(build((Path(__file__).parents[3] / "cublas_on_host.cpp").read_text(),
                                 "-O2", "-Wl,-soname,libcublas.so.12")))
_RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@_RUN
def _enqueue(product):
    """Called by the library for each product: compute it now, or when the captured graph is launched."""
    _device.enqueue(lambda: _library.run_product(ctypes.c_void_p(product)), "gemm")


_library.set_queue(_enqueue)
