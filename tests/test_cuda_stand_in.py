"""The stand-in for CuPy, on which the tests of device "cuda" run without a card, has nothing that CuPy has not; and what
nanoemo says where CuPy is installed and no card is there. Both need CuPy alone: NANOEMO_CUPY is the folder it was put in,
by pip install --no-deps --target FOLDER cupy-cuda12x cuda-pathfinder.
"""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parent / "cuda_on_host" / "compare_with_cupy.py"


@pytest.fixture
def with_cupy():
    """Environment variables for a process that finds CuPy, and not the stand-in."""
    if not os.environ.get("NANOEMO_CUPY"):
        pytest.skip("NANOEMO_CUPY is unset: the folder of an installed CuPy")
    paths = [os.environ["NANOEMO_CUPY"], str(Path(__file__).parents[1])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(environment, *command):
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=120)


def test_the_stand_in_has_nothing_that_cupy_has_not(with_cupy):
    done = run(with_cupy, str(SCRIPT))
    assert done.returncode == 0, done.stderr
    first, *differences = done.stdout.split("\n")
    assert first.startswith("CuPy ") and "stand-in" not in first
    assert differences == ["", ""], "\n".join(differences)


def test_cupy_without_a_card_says_so(with_cupy):
    if not run(with_cupy, "-c", "import cupy; cupy.cuda.runtime.getDeviceCount()").returncode:
        pytest.skip("there is a card")
    done = run(with_cupy, "-m", "nanoemo", "train", "chater.dcnn", "--device", "cuda")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "CuPy is installed, but there is no usable CUDA device (cudaError" in done.stderr


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("compare_with_cupy", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("doc, parameters", [
    ("ndarray.get(self, Py_ssize_t n, axis=None, *, out: str = None) -> int\n\nMore.", ["self", "n", "axis", "out"]),
    ("add(x1, x2, /, out=None, \\*, casting='same_kind')", ["x1", "x2", "out", "casting"]),
    ("Adds two arrays.", None),
    (None, None),
])
def test_parameters_of_compiled_functions_are_read_from_their_documentation(script, doc, parameters):
    assert script.documented_parameters(SimpleNamespace(__doc__=doc)) == parameters


@pytest.mark.parametrize("ours, message", [
    (lambda a, axis=None: 0, ""),
    (lambda a, *, copy: 0, ""),
    (lambda a: 0, ""),
    (lambda x: 0, "takes (x), CuPy's (a, axis, copy)"),
    (lambda axis, a: 0, "takes (axis, a), CuPy's (a, axis, copy)"),
    (lambda a, *, like: 0, "takes like, CuPy's does not"),
])
def test_what_is_not_cupys_is_told(script, ours, message):
    assert script.misfit(ours, lambda a, axis=None, copy=True: 0) == message
