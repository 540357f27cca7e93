"""Compiles a `.cu` file of kernels/ with g++ and runs its kernels on the host (see cuda_on_host.h)."""
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nanoemo.kernels.cuda import declarations

HEADER = Path(__file__).with_name("cuda_on_host.h")
FLAGS = ("-std=c++17", "-O1", "-g1", "-fPIC", "-shared", "-Wno-unknown-pragmas", "-Werror=return-type")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


def compiler():
    """The path of g++; None where there is none, or not Linux to preload its sanitizers on."""
    return shutil.which("g++") if sys.platform.startswith("linux") else None


def sanitized():
    """Whether this process has loaded the address sanitizer, as it must have before a library that needs it."""
    return "libasan" in os.environ.get("LD_PRELOAD", "")


def environment():
    """Environment variables for a process in which the sanitized kernels run and device "cuda" is this host.

    The sanitizer must be loaded before all else, and the C++ library with it, or exceptions of other extensions end
    the process.
    """
    preload = [subprocess.run([compiler(), f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
               for name in ("libasan.so", "libstdc++.so.6")]
    return {**os.environ, "NANOEMO_CUDA_ON_HOST": "1", "LD_PRELOAD": " ".join(preload), "ASAN_OPTIONS": "detect_leaks=0"}


def _entry(kernel, parameters):
    """C++ that calls a kernel with arguments given as CUDA's cuLaunchKernel wants them: a pointer to each."""
    values = ", ".join(f"host::argument<{'const ' + kind if kind.endswith('*') else kind}>(arguments, {i})"
                       for i, (kind, _) in enumerate(parameters))
    values = values.replace("argument<const ", "argument<")
    return (f'extern "C" const char* host_{kernel}(dim3 grid, dim3 block, size_t shared, int turned, void** arguments) '
            f'{{ return host::run(grid, block, shared, turned, [=] {{ {kernel}({values}); }}); }}')


class _Dim3(ctypes.Structure):
    _fields_ = [(axis, ctypes.c_uint) for axis in "xyz"]


class HostModule:
    """What `cupy.RawModule` is for a card: source in, functions out."""

    def __init__(self, code):
        self.kernels = declarations(code)
        entries = "\n".join(_entry(kernel, parameters) for kernel, parameters in self.kernels.items())
        self.functions = ctypes.CDLL(str(build(f'#include "{HEADER}"\n{code}\n#line 1 "entries"\n{entries}\n')))

    def run(self, kernel, grid, block, shared, pointers, turned=False):
        """Run a grid. pointers: of the arguments. Raises RuntimeError for what would be undefined on a card."""
        function = self.functions[f"host_{kernel}"]
        function.restype = ctypes.c_char_p
        grid, block = (_Dim3(*(tuple(shape) + (1, 1))[:3]) for shape in (grid, block))
        table = (ctypes.c_void_p * len(pointers))(*pointers)
        problem = function(grid, block, ctypes.c_size_t(shared), int(turned), table)
        if problem:
            raise RuntimeError(f"{kernel}: {problem.decode()}")


def build(source, *options):
    """Path of the shared library that g++ makes of `source`, built once for each text and set of options."""
    flags = (*FLAGS, *(SANITIZERS if sanitized() else ()), *options)
    key = hashlib.sha256("\0".join((source, HEADER.read_text(), *flags)).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"nanoemo-cuda-on-host-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / f"{key}.so"
    if not library.exists():
        (folder / f"{key}.cpp").write_text(source)
        unfinished = folder / f"{key}.{os.getpid()}.so"
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        done = subprocess.run([compiler(), *flags, "-o", str(unfinished), str(folder / f"{key}.cpp")],
                              capture_output=True, text=True, env=environment)
        if done.returncode:
            raise RuntimeError(f"g++ does not compile it:\n{done.stderr}")
        os.replace(unfinished, library)
    return library
