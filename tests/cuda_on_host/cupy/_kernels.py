"""RawModule: the kernels of a `.cu` file, run on the host."""
import numpy as np
from host import HostModule

from . import _device


class RawModule:
    def __init__(self, *, code=None, path=None, options=(), backend="nvrtc", translate_cucomplex=False,
                 name_expressions=None, jitify=False):
        code.encode("ascii")            # CuPy writes it to a file, in whatever encoding the locale has
        self.code, self.options = code, options

    def compile(self, log_stream=None):
        from .cuda import compiler
        try:
            self.module = HostModule(self.code)
        except RuntimeError as error:
            raise compiler.CompileException(str(error)) from None

    def get_function(self, name):
        def launch(grid, block, arguments, *, shared_mem=0):
            from . import ndarray
            kept = []
            for argument in arguments:
                if isinstance(argument, ndarray):
                    kept.append(np.array(argument._array.ctypes.data, np.uintp))
                elif isinstance(argument, np.generic):
                    kept.append(np.array(argument))
                elif isinstance(argument, np.ndarray) and argument.size == 1:
                    kept.append(argument.copy())
                else:
                    raise TypeError(f"Unsupported type {type(argument)}")
            pointers = [value.ctypes.data for value in kept]

            def run(alive=(kept, arguments)):
                self.module.run(name, grid, block, shared_mem, pointers, _device.turned)

            _device.enqueue(run, name, grid, block)

        return launch
