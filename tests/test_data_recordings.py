"""Recordings: files of every form, rate and width; what cannot be used of them, and what is said of it."""
import io
import os
import sys

import numpy as np
import pytest

from nanoemo import data
from nanoemo.data import recordings
from sounds import soundfile, tone, write


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("rate, channels, form", [
    (2000, 1, {"subtype": "PCM_16"}), (8000, 1, {"subtype": "PCM_U8"}),
    (16000, 2, {"subtype": "PCM_16"}), (22050, 1, {"subtype": "PCM_16"}),
    (44100, 1, {"subtype": "PCM_24"}), (48000, 6, {"subtype": "FLOAT"}), (96000, 1, {"subtype": "DOUBLE"}),
    (22050, 1, {"subtype": "ULAW"})])
def test_any_rate_width_and_number_of_channels(rate, channels, form, tmp_path):
    wave = np.repeat(tone(1.0, rate)[:, None], channels, axis=1)
    write(tmp_path / "DC_a01.wav", wave, rate, **form)
    clips = data.read_clips(tmp_path)
    assert abs(clips.seconds[0] - 1) < 1e-3
    got, expected = clips.wave(0), tone(1.0, data.clipset.RATE)
    middle = slice(2000, 20000)                                   # resampling rings at the ends
    assert np.abs(got[middle] - expected[middle]).max() < (0.02 if form["subtype"] in ("PCM_U8", "ULAW") else 1e-3)
    assert (rate, channels) == (data.clipset.RATE, 1) or f"Recorded at {rate:,} Hz" in clips.note


def test_channels_are_averaged(tmp_path):
    write(tmp_path / "DC_a01.wav", np.stack([tone(), np.zeros_like(tone())], axis=1), data.clipset.RATE, subtype="FLOAT")
    assert data.read_clips(tmp_path).wave(0).max() == pytest.approx(0.15, abs=1e-3)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


UNUSABLE = {
    "empty": (lambda path: path.write_bytes(b""), r"empty \(0 bytes\)"),
    "silent": (lambda path: write(path, np.zeros(8000, np.float32)), "silent"),
    "8-bit silence": (lambda path: write(path, np.full(8000, 0.5, np.float32), subtype="PCM_U8"), "silent"),
    "channels that cancel": (lambda path: write(path, np.stack([tone(), -tone()], axis=1)), "silent once mixed, as its channels"),
    "one sample": (lambda path: write(path, np.ones(1, np.float32)), "shorter than 0.1 s"),
    "no sample": (lambda path: write(path, np.ones(0, np.float32)), "shorter than 0.1 s"),
    "1 Hz": (lambda path: write(path, tone(), 1), r"recorded at 1 Hz, which holds no voice \(expected 2,000 Hz or more\)"),
    "1,999 Hz": (lambda path: write(path, tone(rate=1999), 1999), "recorded at 1,999 Hz, which holds no voice"),
    "truncated": (lambda path: cut_in_half(write(path)), "cut short"),
    "header alone": (lambda path: path.write_bytes(write(path).read_bytes()[:30]), "cut short"),
    "no audio": (lambda path: path.write_bytes(b"<html>404</html>" * 99), "not readable as audio"),
    "LFS pointer": (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"), "Git LFS"),
    "NaN": (lambda path: write(path, np.full(8000, np.nan, np.float32), subtype="FLOAT"), "with samples that are no numbers"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_used_is_left_out_and_said(case, tmp_path):
    spoil, message = UNUSABLE[case]
    folder = tmp_path / "set"
    write(folder / "KL_h01.wav")
    spoil(folder / "KL_a01.wav")
    for _ in range(2):                                            # read, and from the cache: said each time
        with pytest.warns(UserWarning, match=rf"Left out 1 file: 1 {message}.*\(KL_a01.wav\)"):
            clips = data.read_clips(folder)
        assert clips.counts()["happy"] == len(clips) == 1
    (folder / "KL_h01.wav").unlink()
    with pytest.raises(data.DataError, match=f"no clip in it can be used. Left out 1 file: 1 {message}"):
        data.read_clips(folder)


FORMS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"),
         ".mp3": ("MP3", "MPEG_LAYER_III"), ".aif": ("AIFF", "PCM_16"), ".aiff": ("AIFF", "FLOAT"), ".au": ("AU", "PCM_16")}


@pytest.fixture(params=sorted(recordings.SUFFIXES))
def whole(request, tmp_path):
    """A recording of 3 s of noise in each format."""
    form, subtype = FORMS[request.param]
    try:
        return write(tmp_path / f"KL_a01{request.param}", np.random.default_rng(0).normal(0, 0.1, 144_000), 48_000,
                     format=form, subtype=subtype)
    except (ValueError, soundfile.SoundFileError):
        pytest.skip(f"this libsndfile writes no {request.param}")


def read(path):
    with open(path, "rb") as file, recordings.opened_sound(file) as sound:
        return recordings.read_recording(sound)


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1])
def test_what_is_cut_short_is_told_from_what_is_whole(whole, share):
    assert len(read(whole).samples) == 3 * data.clipset.RATE
    content = whole.read_bytes()
    whole.write_bytes(content[:int(share * len(content))])
    with pytest.raises(recordings.Unusable, match="cut short|or damaged" if whole.suffix == ".flac" else "cut short"):
        read(whole)


@pytest.mark.parametrize("suffix, size", [(".wav", slice(4, 8)), (".aiff", slice(4, 8)), (".au", slice(8, 12))])
def test_who_wrote_it_did_not_know_how_long_it_would_be(suffix, size, tmp_path):
    path = write(tmp_path / f"a{suffix}")
    content = bytearray(path.read_bytes())
    content[size] = b"\xff" * 4
    path.write_bytes(content)
    assert len(read(path).samples) > 0.25 * data.clipset.RATE


def test_a_wave_written_to_a_pipe_by_sox(tmp_path):
    path = write(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    for place, length in ((4, 0x7FFFF024), (content.index(b"data") + 4, 0x7FFFF000)):
        content[place:place + 4] = length.to_bytes(4, "little")
    whole = read(path).samples
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path).samples, whole)


@pytest.mark.parametrize("opened", [lambda path: open(path, "rb"), lambda path: io.BytesIO(path.read_bytes())])
def test_a_damaged_header_prints_no_traceback(opened, tmp_path, monkeypatch):
    """libsndfile looks for what it says before the beginning of the file."""
    path = write(tmp_path / "a.aiff")
    path.write_bytes(path.read_bytes().replace(b"SSND", b"SSN\xcb"))
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    with opened(path) as file, pytest.raises(recordings.Unusable, match="not readable as audio"):
        with recordings.opened_sound(file):
            pass
    assert not printed


def test_clipped_and_very_long_recordings_are_used_and_said(tmp_path):
    write(tmp_path / "KL_a01.wav", np.clip(tone(loudness=3.0), -1, 1))
    path = tmp_path / "KL_h01.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_U8") as file:          # two hours
        for _ in range(120):
            file.write(tone(60, 8000))
    clips = data.read_clips(tmp_path)
    assert clips.seconds.max() == pytest.approx(60)
    assert "1 longer than 60 s: of those the first 60 s are used." in clips.note and "1 clipped" in clips.note


@pytest.mark.parametrize("rate", [8000, 96000])
def test_how_short_is_too_short_does_not_depend_on_the_rate(rate, tmp_path):
    read(write(tmp_path / "a.wav", tone(0.15, rate), rate))
    with pytest.raises(recordings.Unusable, match="shorter than 0.1 s"):
        read(write(tmp_path / "b.wav", tone(0.05, rate), rate))


def test_what_is_louder_than_full_scale_stays_there():
    assert recordings.as_samples(np.float32([1, 1.2, -1, -1.2])).tolist() == [32767, 32767, -32768, -32768]


def test_one_side_of_a_wave_may_be_clipped(tmp_path):
    assert read(write(tmp_path / "a.wav", np.clip(tone(loudness=3), -1, 0.5))).clipped
    assert not read(write(tmp_path / "a.wav", tone())).clipped


def test_channels_that_are_nearly_silent_are_silent(tmp_path):
    wave = tone(loudness=5e-4)
    with pytest.raises(recordings.Silent):
        read(write(tmp_path / "a.wav", np.stack([wave, -wave], axis=1), subtype="FLOAT"))


def test_a_wave_of_a_big_endian_machine(tmp_path):
    assert len(read(write(tmp_path / "a.wav", tone(0.25), endian="BIG")).samples) > 0.24 * data.clipset.RATE


def test_every_form_is_known_by_its_suffix():
    assert recordings.SUFFIXES == set(FORMS) and recordings.is_recording("A.OPUS")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    write(tmp_path / "KL_a01.wav").chmod(0)
    with pytest.raises(data.DataError, match="KL_a01.wav: cannot be read"):
        data.read_clips(tmp_path)
