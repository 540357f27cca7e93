"""Sounds, and files of them, for tests of recordings."""
import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: clips cannot be read")
pytest.importorskip("soxr", reason="soxr is not installed: clips cannot be brought to one rate")


def tone(seconds=0.3, rate=16000, pitch=220.0, loudness=0.3):
    return (loudness * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write(path, wave=None, rate=16000, **form):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(rate=rate) if wave is None else wave, rate, **form)
    return path
