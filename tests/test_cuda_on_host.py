"""Every test of device "cuda", without a card: on the stand-in for CuPy, the kernels compiled for the host by g++ with the
address and undefined-behaviour sanitizers (tests/cuda_on_host)."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def load_host():
    """tests/cuda_on_host/host.py, without making the stand-in for CuPy importable to the tests that follow."""
    spec = importlib.util.spec_from_file_location("cuda_host", FOLDER / "cuda_on_host" / "host.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


host = load_host()


@pytest.fixture(scope="module")
def needs_compiler():
    if os.environ.get("NANOEMO_CUDA_ON_HOST") == "1":
        pytest.skip("this is that run")
    if host.compiler() is None:
        pytest.skip("there is no g++ on Linux: CUDA kernels are not run on the host")


def test_gpu_tests_pass_on_the_host(needs_compiler):
    kernels = sorted(str(path) for path in FOLDER.glob("test_*cuda*.py"))
    rest = sorted(str(path) for path in FOLDER.glob("test_*.py") if str(path) not in kernels)
    processes = [subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *names],
                                  cwd=FOLDER.parent, env=host.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True)
                 for names in (kernels, rest)]
    outputs = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, outputs):
        assert process.returncode == 0, output[-6000:]
        assert " passed" in output
        print(output.strip().splitlines()[-1])


OUT_OF_BOUNDS = """
extern "C" __global__ void beyond(float* x, int n) { x[threadIdx.x] = 1; }
"""
MISSING_BARRIER = """
extern "C" __global__ void reversed(const float* x, float* y) {
    __shared__ float shared[64];
    shared[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = shared[63 - threadIdx.x];
}
"""
DIVERGENT_BARRIER = """
extern "C" __global__ void divergent(float* x) { if (threadIdx.x < 5) return; __syncthreads(); }
"""
LANES_GONE = """
extern "C" __global__ void gone(float* x) { if (threadIdx.x > 30) return; x[0] = __shfl_xor_sync(0xffffffffu, x[0], 1); }
"""


def run(source, name, *arrays, threads, turned=False, number=None):
    import numpy as np
    arguments = [np.array(array.ctypes.data, np.uintp) for array in arrays]
    if number is not None:
        arguments.append(np.array(number, np.int32))
    host.HostModule(source).run(name, (1,), (threads,), 0, [a.ctypes.data for a in arguments], turned)


def test_a_missing_barrier_shows_when_threads_are_turned_round(needs_compiler):
    import numpy as np
    x, y, z = np.arange(64, dtype=np.float32), np.zeros(64, np.float32), np.zeros(64, np.float32)
    run(MISSING_BARRIER, "reversed", x, y, threads=64)
    run(MISSING_BARRIER, "reversed", x, z, threads=64, turned=True)
    assert not np.array_equal(y, z, equal_nan=True)


@pytest.mark.parametrize("source, name, message", [
    (DIVERGENT_BARRIER, "divergent", "__syncthreads, line .: thread 0 has exited without it"),
    (LANES_GONE, "gone", "names lane 31, which has exited")])
def test_what_cuda_leaves_undefined_is_an_error(needs_compiler, source, name, message):
    import numpy as np
    with pytest.raises(RuntimeError, match=message):
        run(source, name, np.zeros(1, np.float32), threads=32)


def test_an_index_out_of_bounds_is_found(needs_compiler, tmp_path):
    (tmp_path / "beyond.py").write_text(
        f"import sys; sys.path[:0] = [{str(FOLDER)!r}, {str(FOLDER / 'cuda_on_host')!r}, {str(FOLDER.parent)!r}]\n"
        "import numpy as np\nfrom test_cuda_on_host import OUT_OF_BOUNDS, run\n"
        "run(OUT_OF_BOUNDS, 'beyond', np.zeros(32, np.float32), threads=64, number=32)\n")
    done = subprocess.run([sys.executable, tmp_path / "beyond.py"], env=host.environment(), capture_output=True, text=True)
    assert done.returncode != 0 and "heap-buffer-overflow" in done.stderr
