"""The kernels' tests under NVIDIA's compute-sanitizer: no access out of bounds, no race in shared memory."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# Errors of CUDA's functions are CuPy's to look at: it asks for what may not be there, and libraries do so on purpose.
OPTIONS = {"memcheck": ["--report-api-errors", "no"], "racecheck": []}
SECONDS = 540
NOT_KERNELS = {"sanitizer", "on_host", "compile", "contract", "curves", "models", "cli", "devices", "stand_in"}
FILES = [path for path in sorted(FOLDER.glob("test_cuda_*.py")) if path.stem.removeprefix("test_cuda_") not in NOT_KERNELS]

# Without CuPy's pool, in which an access beyond an array lands in a neighbour instead of being noticed.
RUN = "import cupy, pytest, sys; cupy.cuda.set_allocator(None); sys.exit(pytest.main(sys.argv[1:]))"


def test_each_of_the_files_has_tests_of_the_card():
    assert FILES and all("(card" in path.read_text() for path in FILES), "without one pytest ends with an error"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_sanitizer_finds_nothing(card, tool, file):
    if hasattr(card, "_device"):
        pytest.skip("compute-sanitizer looks at a card; here the kernels run on the host, under g++'s sanitizers")
    if shutil.which("compute-sanitizer") is None:
        pytest.skip("compute-sanitizer is not installed (it comes with the CUDA toolkit)")
    done = subprocess.run(["compute-sanitizer", "--tool", tool, *OPTIONS[tool], "--error-exitcode", "9", sys.executable, "-c",
                           RUN, "-q", "-x", "-m", "gpu", "-p", "no:cacheprovider", str(file)], cwd=FOLDER.parent,
                          capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
