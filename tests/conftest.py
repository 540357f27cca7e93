"""Fixtures that every test shares."""
import os
from pathlib import Path

import numpy as np
import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs CuPy and a CUDA device")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Each device in turn. Without a card "cuda" skips, or fails where NANOEMO_REQUIRE_GPU=1."""
    if request.param == "cuda":
        from nanoemo import backend
        reason = backend.why_no_cuda()
        if reason:
            if os.environ.get("NANOEMO_REQUIRE_GPU") == "1":
                pytest.fail(f"NANOEMO_REQUIRE_GPU=1, but {reason}")
            pytest.skip(reason)
    return request.param


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
