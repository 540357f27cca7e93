"""Fixtures that every test shares.

With NANOEMO_CUDA_ON_HOST=1 the tests of device "cuda" run without a card: on a strict stand-in for CuPy, which runs the
CUDA kernels on the host (tests/cuda_on_host).
"""
import os
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:         # one of several processes, a core each; NumPy reads it when imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

if os.environ.get("NANOEMO_CUDA_ON_HOST") == "1":
    STAND_IN = str(Path(__file__).parent / "cuda_on_host")
    sys.path.insert(0, STAND_IN)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [STAND_IN, os.environ.get("PYTHONPATH")]))   # for processes


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs CuPy and a CUDA device")


def _need_card():
    from nanoemo import backend
    reason = backend.why_no_cuda()
    if reason:
        if os.environ.get("NANOEMO_REQUIRE_GPU") == "1":
            pytest.fail(f"NANOEMO_REQUIRE_GPU=1, but {reason}")
        pytest.skip(reason)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Each device in turn. Without a card "cuda" skips, or fails where NANOEMO_REQUIRE_GPU=1."""
    if request.param == "cuda":
        _need_card()
    return request.param


@pytest.fixture(params=[pytest.param("cuda", marks=pytest.mark.gpu)], ids=["cuda"])
def card(request):
    """For tests of the GPU alone: CuPy, or its stand-in."""
    _need_card()
    import cupy
    return cupy


@pytest.fixture
def trains_a_paper(device):
    """For tests with a paper's network at its size: the host is too slow at being a card."""
    if device == "cuda" and os.environ.get("NANOEMO_CUDA_ON_HOST") == "1":
        pytest.skip("a whole network would take the host too long, a CUDA thread after the other")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: parity is not checked")


@pytest.fixture
def data_dir():
    """Folder with the real data sets, as people download them."""
    folder = os.environ.get("NANOEMO_DATA")
    if not folder:
        pytest.skip("NANOEMO_DATA is unset: tests on real data are not run")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Folder of a run on drawn faces whose network, chater.dcnn, is as it was before training."""
    from nanoemo.training import Experiment, RunFolder, Settings, checkpoint

    folder = RunFolder.create(tmp_path_factory.mktemp("runs") / "tiny")
    experiment = Experiment(Settings.from_recipe("chater.dcnn", limit=14, batch_size=7))
    experiment.begin(folder)
    checkpoint.save(folder.best_path, *experiment.trainer.state())
    return folder.path
