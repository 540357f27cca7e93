"""Loads the CUDA files of this folder, and launches the kernels in them.

A file `<family>.cu` is written once, for numbers of a type called `real`. It is compiled on its first launch (by NVRTC,
through CuPy), once with real = float and once with real = double as they are needed. What is compiled is its text with
every `#include "…"` replaced by the text of that file: CuPy's cache on disk goes by the text, and so notices a change in
an included file as well. `#line` directives keep the compiler's messages on the files and lines that people read.

A launch is checked against the kernel's declaration: the number of arguments, the dtype of every array, that it is
contiguous, that whole numbers fit an `int`. On a card a wrong argument would be a wrong result, or none.

    launch = CudaFile("activation.cu").launch
    launch("relu_forward", each(x.size), x, y, x.size)
"""
import re
from pathlib import Path

import numpy as np

__all__ = ["BLOCK", "CudaFile", "blocks_of", "each", "in_order"]

FOLDER = Path(__file__).resolve().parent
LARGEST_INT = 2**31 - 1
BLOCK = 256         # threads per block, if there is no reason for another number: eight warps, enough to hide each other's waits
# By dtype, not by its name, which takes NumPy 3 µs to put together, each time.
C_NAMES = {np.dtype("float32"): "float", np.dtype("float64"): "double"}
FLOAT32 = np.dtype("float32")
NUMBERS = {"int": np.int32, "double": np.float64, "uint64": np.uint64}
ARRAYS = {kind: np.dtype(name) for kind, name in {"int": "int32", "int64": "int64", "double": "float64", "uint8": "uint8",
                                                  "uint16": "uint16", "uint64": "uint64"}.items()}
# Numbers that may change from one replay of a captured step to the next (common.cuh: Live, LiveSeed).
LIVE = {"Live": np.dtype([("at", np.uint64), ("value", np.float64)]),
        "LiveSeed": np.dtype([("at", np.uint64), ("value", np.uint64)])}

_INCLUDE = re.compile(r'^[ \t]*#include[ \t]+"([^"]+)".*$', re.MULTILINE)
_KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)')


def each(count, block=BLOCK):
    """(grid, block) for a thread to each of `count` elements.

    >>> each(1000)
    ((4,), (256,))
    """
    return (-(-count // block),), (block,)


def blocks_of(count, block=BLOCK):
    """(grid, block) for a block of threads to each of `count` rows, channels or whatever a block sums up.

    >>> blocks_of(10)
    ((10,), (256,))
    """
    return (count,), (block,)


def in_order(array):
    """`array` if it is contiguous, its rows one after the other, as kernels expect it, else a copy that is; of the same shape.

    Not `cupy.ascontiguousarray` alone: of an array () it makes one of shape (1,).
    """
    import cupy

    return array if array.flags.c_contiguous else cupy.ascontiguousarray(array)


def source_text(path, included=()):
    """The text of a CUDA file, with the files that it includes written out in their place.

    Raises ValueError for a file that includes itself.
    """
    if path in included:
        raise ValueError(f"{path.name}: includes itself, by way of {', '.join(p.name for p in included)}")

    def written_out(match):
        line = text[:match.start()].count("\n") + 2         # of what follows the #include
        return f'{source_text(path.parent / match[1], (*included, path))}\n#line {line} "{path.name}"'

    text = path.read_text(encoding="utf-8")
    return f'#line 1 "{path.name}"\n' + _INCLUDE.sub(written_out, text)


def declarations(text):
    """{kernel: [(type, name) of each parameter]} of CUDA source. A pointer's type ends in *; const is left out.

    >>> declarations('extern "C" __global__ void f(const real* __restrict__ x, int n) {}')
    {'f': [('real*', 'x'), ('int', 'n')]}
    """
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    kernels = {}
    for kernel, parameters in _KERNEL.findall(text):
        words = [re.sub(r"\bconst\b|\b__restrict__\b", " ", parameter).split() for parameter in parameters.split(",")]
        kernels[kernel] = [("".join(word[:-1]) + "*" * word[-1].count("*"), word[-1].lstrip("*")) for word in words]
    return kernels


class CudaFile:
    """One `.cu` file: what it declares, and `launch`. Nothing is compiled before the first launch."""

    def __init__(self, name):
        self.name = name
        self.text = source_text(FOLDER / name)
        self.kernels = declarations(self.text)
        self._modules, self._ready = {}, {}

    def launch(self, kernel, shape, *arguments, real=None):
        """Queue a kernel on the current stream; it may still be running when this returns.

        kernel: its name in the file
        shape: (blocks of the grid, threads of a block), each a tuple of up to three; nothing happens where one is 0
        arguments: one for each parameter. Arrays on the card for pointers, or None for a null pointer; numbers; for a
            `Live` parameter a number, or an array () on the card that holds it; for another struct, a NumPy array of
            one structured value
        real: dtype that `real` stands for, where no argument is an array of it

        Raises TypeError for arguments that do not fit the declaration, RuntimeError where the file does not compile.
        """
        if kernel not in self.kernels:
            raise KeyError(f"{self.name}: there is no kernel {kernel!r}; there are {', '.join(self.kernels)}")
        parameters = self.kernels[kernel]
        if len(arguments) != len(parameters):
            raise TypeError(f"{self.name}: {kernel} takes {len(parameters)} arguments "
                            f"({', '.join(name for _, name in parameters)}), got {len(arguments)}")
        real = _dtype_of_real(parameters, arguments) if real is None else np.dtype(real)
        function, converters = self._prepare(kernel, real)
        values = tuple([convert(value) for convert, value in zip(converters, arguments)])
        grid, block = shape
        if grid[0] * block[0] > LARGEST_INT:        # element() in common.cuh is an int
            raise TypeError(f"{self.name}: {kernel}: {grid[0] * block[0]} threads are more than an int can number; use a "
                            f"smaller batch")
        if 0 not in grid:
            function(grid, block, values)

    def _prepare(self, kernel, real):
        """The compiled kernel and a function for each of its parameters that makes a value fit to be passed."""
        ready = self._ready.get((kernel, real))
        if ready is None:
            converters = [_converter(f"{self.name}: {kernel}: {name}", kind, real)
                          for kind, name in self.kernels[kernel]]
            ready = self._ready[kernel, real] = self._compiled(real).get_function(kernel), converters
        return ready

    def _compiled(self, real):
        if real not in self._modules:
            import cupy
            if real not in C_NAMES:
                raise TypeError(f"{self.name}: kernels compute in float32 or float64, not {real}")
            text = self.text.encode("ascii", "replace").decode()        # CuPy writes it to a file, in the locale's encoding
            module = cupy.RawModule(code=f"#define real {C_NAMES[real]}\n{text}", options=("-std=c++17",))
            try:
                module.compile()
            except cupy.cuda.compiler.CompileException as error:
                raise RuntimeError(f"{self.name} does not compile with real = {C_NAMES[real]}:\n{error}") from error
            self._modules[real] = module
        return self._modules[real]


def _dtype_of_real(parameters, arguments):
    for (kind, _), argument in zip(parameters, arguments):
        if kind == "real*" and argument is not None:
            return argument.dtype
    return FLOAT32


def _converter(where, kind, real):
    """A function that checks an argument for a parameter of type `kind`, and returns what CuPy is to be given."""
    if kind.endswith("*"):
        return _array_converter(where, real if kind == "real*" else ARRAYS[kind[:-1]])
    if kind in LIVE:
        return _live_converter(where, LIVE[kind])
    if kind == "real" or kind in NUMBERS:
        return _number_converter(where, real.type if kind == "real" else NUMBERS[kind])
    return _struct_converter(where, kind)


def _array_converter(where, dtype):
    null = np.uintp(0)

    def convert(array):
        if array is None:
            return null
        if isinstance(array, (np.ndarray, np.generic)) or not hasattr(array, "dtype"):
            raise TypeError(f"{where} must be an array on the card, got {type(array).__name__}")
        if array.dtype != dtype:
            raise TypeError(f"{where} must be {dtype}, got {array.dtype}")
        if not array.flags.c_contiguous:
            raise TypeError(f"{where}, of shape {array.shape}, is not contiguous; use ascontiguousarray")
        return array

    return convert


def _number_converter(where, number):
    def convert(value):
        if not isinstance(value, (int, float, np.generic)):
            raise TypeError(f"{where} must be a number, got {type(value).__name__}")
        try:
            return number(value)
        except OverflowError:
            raise TypeError(f"{where}: {value} is too large for {number.__name__}; use a smaller batch") from None

    return convert


def _live_converter(where, struct):
    number, held = struct["value"].type, struct["value"].name

    def convert(value):
        if isinstance(value, (int, float, np.generic)):
            return np.array([(0, number(value))], struct)
        if getattr(value, "dtype", None) != held or value.shape != ():
            raise TypeError(f"{where} must be a number, or an array () of {held} on the card")
        return np.array([(value.data.ptr, 0)], struct)

    return convert


def _struct_converter(where, kind):
    def convert(value):
        if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.names is None:
            raise TypeError(f"{where} must be a NumPy array of one structured value, laid out as {kind}")
        return value

    return convert
