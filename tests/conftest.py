"""Fixtures that every test shares.

With NANOEMO_CUDA_ON_HOST=1 the tests of device "cuda" run without a card: on a strict stand-in for CuPy, which runs the
CUDA kernels on the host (tests/cuda_on_host).
"""
import io
import math
import os
import signal
import sys
import tempfile
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:         # one of several processes, a core each; NumPy reads it when imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Processes that compile librosa's functions at the same moment write into each other's cache, and what is then
    # read from it can crash (numba issue 10128).
    os.environ.setdefault("NUMBA_CACHE_DIR",
                          str(Path(__file__).parents[1] / ".pytest_cache" / "numba" / os.environ["PYTEST_XDIST_WORKER"]))

import numpy as np
import pytest

if os.environ.get("NANOEMO_CUDA_ON_HOST") == "1":
    STAND_IN = str(Path(__file__).parent / "cuda_on_host")
    sys.path.insert(0, STAND_IN)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [STAND_IN, os.environ.get("PYTHONPATH")]))   # for processes


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs CuPy and a CUDA device")
    if "NANOEMO_CACHE" not in os.environ:       # of the tests' own, for every process that they start, and gone at the end
        cache = tempfile.TemporaryDirectory(prefix="nanoemo-tests-", ignore_cleanup_errors=True)
        os.environ["NANOEMO_CACHE"] = cache.name
        config.add_cleanup(cache.cleanup)
    # A shell has what it starts in the background ignore Ctrl-C, and so would every process that tests start and stop.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
def whatever_it_saves(monkeypatch):
    """Minimal filtering is used wherever it can be, and frequencies, also where columns would be faster."""
    from nanoemo.kernels import fourier, winograd
    monkeypatch.setattr(fourier, "WORTH", 0)
    monkeypatch.setattr(winograd, "LEAST_SAVED", -math.inf)
    monkeypatch.setattr(winograd, "LEAST_SAVED_IN_A_LINE", -math.inf)


@pytest.fixture
def trains_a_paper(device):
    """For tests with a paper's network at its size: the host is too slow at being a card."""
    if device == "cuda" and os.environ.get("NANOEMO_CUDA_ON_HOST") == "1":
        pytest.skip("a whole network would take the host too long, a CUDA thread after the other")


@pytest.fixture(scope="module")
def blank_pictures():
    """Figures are made, but drawn blank: drawing takes most of the time of a training that only tests want.

    For modules about training; that pictures show what they should is for tests of commands and of figures to see. Gives
    `style._to_bytes` as it is, for a test that wants it back.
    """
    from PIL import Image

    from nanoemo.viz import style

    pixel = io.BytesIO()
    Image.new("L", (1, 1), 255).save(pixel, "png")

    def blank(figure, kind, dpi):
        assert kind == "png" and figure.axes
        return pixel.getvalue()

    with pytest.MonkeyPatch.context() as patch:
        drawn = style._to_bytes
        patch.setattr(style, "_to_bytes", blank)
        yield drawn


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
    from training_runs import begun

    path = tmp_path_factory.mktemp("runs") / "tiny"
    begun(path, "chater.dcnn", limit=14)
    return path


@pytest.fixture(scope="session")
def voices():
    """Seven made voices for each split."""
    from nanoemo import data

    return {split: data.drawn_voices(7, seed) for seed, split in enumerate(("train", "validation", "test"))}


@pytest.fixture(scope="session")
def voice_run(tmp_path_factory, voices):
    """Folder of a run on made voices whose network, series.cnn1, is as it was before training."""
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    from training_runs import begun

    from nanoemo import features

    path = tmp_path_factory.mktemp("runs") / "voice"
    begun(path, "series.cnn1", {split: features.extract(clips, "mfcc") for split, clips in voices.items()}, features="mfcc")
    return path


@pytest.fixture(scope="session")
def fused_runs(tmp_path_factory):
    """Folders of two runs of an epoch: on drawn faces, and on noise for four classes, two of them with a synonym for a name."""
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: clips cannot be read")
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    from training_runs import trained

    from nanoemo.training import Settings

    place = tmp_path_factory.mktemp("fusion")
    rng = np.random.default_rng(0)
    for name in ("anger", "happiness", "sad", "boredom"):
        (place / "clips" / name).mkdir(parents=True)
        for number in range(10):
            soundfile.write(place / "clips" / name / f"{number}.wav", rng.normal(0, 0.1, 4000), 8000)
    voices = Settings.from_recipe("series.cnn1", data=place / "clips", features="mfcc", augment="", batch_size=7)
    return {"FACE": trained(place / "face", Settings.from_recipe("chater.dcnn", limit=14, batch_size=7)),
            "VOICE": trained(place / "voice", voices)}


@pytest.fixture(scope="session")
def portrait_jpeg():
    from local_page import portrait

    return portrait(512)


@pytest.fixture
def open_page(tmp_path):
    """Opens a local page in headless Chromium, with more options; gives the selenium driver."""
    from local_page import chromium

    drivers = []

    def start(url, *arguments):
        drivers.append(chromium(tmp_path / "profile", *arguments))
        drivers[-1].get(url)
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.quit()
