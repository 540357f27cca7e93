"""NVIDIA's run-time compiler, which needs no card: from PyPI's nvidia-cuda-nvrtc-cu12, or from an installed CUDA."""
import ctypes
import glob
import os
import sysconfig


def compiler():
    """The compiler, or None where there is none. Version 13 knows no sm_70, so 12 is looked for first."""
    site = sysconfig.get_path("purelib")
    for pattern in (f"{site}/nvidia/cuda_nvrtc/lib/libnvrtc.so.12", "/usr/local/cuda*/lib64/libnvrtc.so.12"):
        for path in glob.glob(pattern):
            return ctypes.CDLL(path, mode=os.RTLD_NOW)
    return None


OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")      # the last two are added by CuPy


def compile_source(nvrtc, text, architecture, options=OPTIONS):
    """The compiler's log, but for its warning that sm_70 is old. Raises RuntimeError, with the log, where it refuses."""
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"nanoemo.cu", 0, None, None)
    flags = [option.encode() for option in (*options, f"--gpu-architecture=sm_{architecture}")]
    status = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    text = log.value.decode().strip()
    if status:
        raise RuntimeError(text or f"nvrtc: status {status}")
    return "\n".join(line for line in text.splitlines() if "are deprecated and may be removed" not in line)
