"""What is said where device "cuda" cannot be used."""
import re
import sys
from unittest import mock

import pytest

import nanoemo
from nanoemo import Tensor

CARD = """
from types import SimpleNamespace
__version__ = "14.0.0"
class CUDARuntimeError(Exception): pass
def getDeviceCount(): {}
def runtimeGetVersion(): return 13000
cuda = SimpleNamespace(Device=lambda: SimpleNamespace(compute_capability="{}"), runtime=SimpleNamespace(
    getDeviceCount=getDeviceCount, runtimeGetVersion=runtimeGetVersion, CUDARuntimeError=CUDARuntimeError))
"""
WITHOUT_CARD, WITH_CARD = CARD.format("raise CUDARuntimeError('no driver')", ""), CARD.format("return 1", "75")
WITH_V100 = CARD.format("return 1", "70")
OLD_CUPY = WITH_CARD.replace("14.0.0", "13.6.0")


def test_a_device_that_is_missing_says_what_to_install():
    if not nanoemo.backend.why_no_cuda():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RuntimeError, match="cuda|CUDA"):
        Tensor([1.0]).cuda()


@pytest.mark.parametrize("modules, message", [
    ({"cupy": None}, "needs CuPy, which is not installed: pip install 'nanoemo.cuda12.'"),
    ({"cupy": "raise ImportError('libcudart is\\nmissing')"}, r"cannot be loaded \(libcudart is missing\): pip install"),
    ({"cupy": OLD_CUPY}, r"^CuPy 13.6.0 is installed, which is too old: pip install 'nanoemo.cuda12.'"),
    ({"cupy": WITHOUT_CARD}, r"no usable CUDA device \(no driver\)"),
    ({"cupy": WITH_V100}, "for CUDA 13, which does not know this card, of compute capability 7.0: pip uninstall .*cuda12"),
    ({"cupy": WITH_CARD, "cupy_backends": "raise ImportError('no libcublas')"},
     r"not the CUDA libraries .*\(no libcublas\): pip"),
], ids=["no CuPy", "broken CuPy", "old CuPy", "no card", "old card", "no libraries"])
def test_what_is_missing_for_the_gpu(modules, message, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(nanoemo.backend, "_cupy", None)
    with mock.patch.dict(sys.modules):
        for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] in ("cupy", "cupy_backends")]:
            del sys.modules[loaded]
        for name, source in modules.items():
            if source is None:
                sys.modules[name] = None
            else:
                (tmp_path / f"{name}.py").write_text(source)
        assert re.search(message, nanoemo.backend.why_no_cuda())
