"""Every `.cu` file compiles for the cards of three generations, and the compiler's messages name the file and the line."""
import pytest

import nvrtc
from nanoemo.kernels import cuda

FILES = sorted(path.name for path in cuda.FOLDER.glob("*.cu"))


@pytest.fixture(scope="module")
def compiler():
    found = nvrtc.compiler()
    if found is None:
        pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc-cu12): CUDA files are not compiled for cards")
    return found


@pytest.mark.parametrize("architecture", [70, 80, 90])
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("name", FILES)
def test_compiles(compiler, name, real, architecture):
    text = f"#define real {real}\n{cuda.CudaFile(name).text}"
    assert not nvrtc.compile_source(compiler, text, architecture), "the compiler warns"


def test_errors_name_the_file_and_the_line(compiler, tmp_path):
    (tmp_path / "part.cuh").write_text("// one\n// two\n")
    (tmp_path / "broken.cu").write_text('#include "part.cuh"\n\n__global__ void f() { nothing; }\n')
    with pytest.raises(RuntimeError, match=r"broken\.cu\(3\)"):
        nvrtc.compile_source(compiler, cuda.source_text(tmp_path / "broken.cu"), 80)
    (tmp_path / "part.cuh").write_text("// one\nint g() { return nothing; }\n")
    with pytest.raises(RuntimeError, match=r"part\.cuh\(2\)"):
        nvrtc.compile_source(compiler, cuda.source_text(tmp_path / "broken.cu"), 80)
