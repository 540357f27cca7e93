"""A run's network on recordings: prepared as in validation, cut into windows; and `nanoemo predict` with every kind of file."""
import json
import re
import subprocess
import tracemalloc

import numpy as np
import pytest
from training_runs import begun

from nanoemo import Tensor, features, no_grad, ops, viz
from nanoemo.cli import main
from nanoemo.data import windows as windowing
from nanoemo.data.clipset import RATE
from nanoemo.data.recordings import Silent, Unusable
from nanoemo.recognition import Listener, Recognizer

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: clips cannot be read")
pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def talk(seconds, rate=RATE):
    """Noise that grows louder: no two windows of it are alike."""
    wave = np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)) * np.linspace(0.1, 1, round(seconds * rate))
    return wave.astype(np.float32)


# ---- the listener


@pytest.mark.parametrize("model, kind", [("chater.conv1d", "vector162"), ("series.cnn1", "mfcc"), ("series.cnn1", "log_mel")])
def test_prepares_clips_as_the_runs_validation_did(model, kind, device, trains_a_paper, voices, tmp_path):
    splits = {split: features.extract(clips, kind) for split, clips in voices.items()}
    experiment = begun(tmp_path / "run", model, splits, features=kind)
    inputs, _ = next(iter(experiment.loader("validation")))
    experiment.model.eval()
    with no_grad():
        expected = ops.softmax(experiment.model(Tensor(inputs))).numpy()
    clips = voices["validation"]
    few = range(len(clips) if device == "cpu" else 2)
    for index in few:
        start, stop = clips.spans[index]
        soundfile.write(tmp_path / f"{index}.wav", clips.samples[start:stop], RATE)
    listener = Listener(tmp_path / "run", device)
    found = np.concatenate([listener(tmp_path / f"{index}.wav").rows for index in few])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[:len(few)], rtol=0, atol=1e-6 if device == "cpu" else 1e-4)


def test_one_answer_for_a_short_recording_many_for_a_long_one(voice_run, tmp_path):
    listener = Listener(voice_run)
    assert listener.drawn and listener.title == "series.cnn1, trained on made voices"
    soundfile.write(tmp_path / "short.wav", talk(10), RATE)
    soundfile.write(tmp_path / "long.wav", talk(12.5), RATE)
    short, long = listener(tmp_path / "short.wav"), listener(str(tmp_path / "long.wav"))
    assert short.spans.tolist() == [[0, 10]] and short.seconds == 10
    assert long.spans.tolist() == [[start, start + 3] for start in [*range(10), 9.5]] and long.seconds == 12.5
    assert list(long.probabilities) == NAMES and long.label == max(NAMES, key=long.probabilities.get)
    np.testing.assert_allclose(list(long.probabilities.values()), long.rows.mean(axis=0), rtol=1e-5)
    alone = listener.probabilities([np.rint(talk(12.5)[4 * RATE:7 * RATE] * 32768).astype(np.float32) / 32768])
    np.testing.assert_allclose(long.rows[4], alone[0], atol=1e-3)           # PCM rounds once, as_samples once


def test_silence_in_a_long_recording_is_no_emotion(voice_run, tmp_path):
    wave = talk(14)
    wave[5 * RATE:10 * RATE] = 0
    soundfile.write(tmp_path / "pause.wav", wave, RATE)
    heard = Listener(voice_run)(tmp_path / "pause.wav")
    silent = np.isnan(heard.rows).all(axis=1)
    assert heard.spans[silent].tolist() == [[5, 8], [6, 9], [7, 10]] and not np.isnan(heard.rows[~silent]).any()
    assert sum(heard.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert heard.as_json()["windows"][5] == {"start": 5.0, "end": 8.0, "silent": True}


def write_too_loud(folder, rate=RATE, channels=1):
    """long.wav, too loud in the first four of its twelve seconds in one channel, and short.wav, the first of them."""
    loud = np.repeat(talk(12, rate)[:, None], channels, axis=1)
    loud[:4 * rate, 0] *= 100
    soundfile.write(folder / "long.wav", np.clip(loud, -1, 1), rate)
    soundfile.write(folder / "short.wav", np.clip(loud[:rate], -1, 1), rate)


@pytest.mark.parametrize("rate", [RATE, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_windows_that_are_too_loud(tmp_path, rate, channels):
    """Also in one channel alone, or where resampling makes round what was cut off."""
    write_too_loud(tmp_path, rate, channels)
    assert [piece.clipped for piece in pieces_of(tmp_path / "long.wav")] == [True] * 4 + [False] * 6
    assert [piece.clipped for piece in pieces_of(tmp_path / "short.wav")] == [True]


def test_what_was_recorded_too_loud_is_judged_and_called_clipped(voice_run, tmp_path, capsys):
    write_too_loud(tmp_path)
    assert main(["predict", str(voice_run), str(tmp_path / "long.wav"), str(tmp_path / "short.wav"), "--out",
                 str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "long.wav: 12.0 s, 10 windows, 4 of them clipped: on average" in said and "short.wav: 1.0 s, clipped: " in said
    listener = Listener(voice_run)
    assert listener(tmp_path / "short.wav").as_json()["clipped"] == 1
    assert listener(tmp_path / "long.wav").clipped.tolist() == [True] * 4 + [False] * 6


def test_behind_silence_each_window_has_its_own_answer(voice_run, tmp_path):
    wave = talk(14)
    wave[5 * RATE:10 * RATE] = 0
    soundfile.write(tmp_path / "pause.wav", wave, RATE)
    listener = Listener(voice_run)
    rows = listener(tmp_path / "pause.wav").rows
    for piece, row in zip(pieces_of(tmp_path / "pause.wav"), rows):
        if piece.wave.any():
            np.testing.assert_allclose(row, listener.probabilities([piece.wave])[0], atol=1e-6)


def test_what_counts_as_silence_is_up_to_the_caller(voice_run, tmp_path):
    soundfile.write(tmp_path / "hum.wav", 0.01 * np.sin(np.arange(2 * RATE) / 10), RATE)
    listener = Listener(voice_run)
    assert listener(tmp_path / "hum.wav").label
    with pytest.raises(Silent):
        listener(tmp_path / "hum.wav", quiet=0.02)


def test_runs_that_see_and_runs_that_listen_are_told_apart(voice_run, tiny_run):
    with pytest.raises(ValueError, match="was trained on pictures and hears nothing"):
        Listener(tiny_run)
    with pytest.raises(ValueError, match="was trained on voices and sees no faces"):
        Recognizer(voice_run)


# ---- windows


def pieces_of(path):
    with open(path, "rb") as file:
        return list(windowing.windows(file))


@pytest.mark.parametrize("form", [dict(rate=8000, channels=1), dict(rate=96000, channels=6), dict(rate=44100, channels=2)])
def test_windows_of_a_recording_of_any_form(form, tmp_path):
    rate, channels = form["rate"], form["channels"]
    seconds = np.arange(11 * rate) / rate
    wave = 0.3 * np.sin(2 * np.pi * 220 * seconds)
    soundfile.write(tmp_path / "a.wav", np.stack([wave] * channels, axis=1), rate)
    pieces = pieces_of(tmp_path / "a.wav")
    assert [round(piece.start, 3) for piece in pieces] == list(range(9)) and pieces[-1].end == pytest.approx(11, abs=1e-3)
    for piece in pieces[1:-1]:              # the tone goes on where the last window left it: nothing is lost between blocks
        moment = piece.start + np.arange(3 * RATE) / RATE
        np.testing.assert_allclose(piece.wave, 0.3 * np.sin(2 * np.pi * 220 * moment), atol=2e-3)


@pytest.mark.parametrize("length, count", [(2, 1), (12, 10)])
def test_a_recording_is_opened_once(length, count, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", talk(length), RATE)
    opened, sound_file = [], soundfile.SoundFile
    monkeypatch.setattr(soundfile, "SoundFile", lambda file: opened.append(file) or sound_file(file))
    assert len(pieces_of(tmp_path / "a.wav")) == count and len(opened) == 1


@pytest.mark.parametrize("length", [1, 3, 3.2, 4, 4.7, 9])
def test_every_second_is_in_a_window(length):
    wave = talk(length)
    loud = np.zeros(len(wave), bool)
    pieces = list(windowing.sliding(zip(np.array_split(wave, 7), np.array_split(loud, 7))))
    assert pieces[0].start == 0 and pieces[-1].end == pytest.approx(length)
    for piece in pieces:
        np.testing.assert_array_equal(piece.wave, wave[round(piece.start * RATE):round(piece.end * RATE)])
        assert len(piece.wave) == min(3 * RATE, len(wave))
    assert max(np.diff([piece.start for piece in pieces]), default=0) <= 1


def test_a_long_recording_is_not_held_in_memory(tmp_path):
    soundfile.write(tmp_path / "hour.wav", np.tile(talk(60, 8000), 20), 8000, subtype="PCM_U8")        # 100 MB as floats
    soundfile.write(tmp_path / "short.wav", talk(4, 8000), 8000)
    with open(tmp_path / "short.wav", "rb") as file:
        list(windowing.windows(file))                               # so that what is imported on the way is not counted
    tracemalloc.start()
    try:
        with open(tmp_path / "hour.wav", "rb") as file:
            count = sum(1 for _ in windowing.windows(file))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 1198 and most < 8e6


@pytest.mark.parametrize("rate", [1, 100])
def test_a_rate_that_holds_no_voice_is_refused_unread(rate, tmp_path):
    """At 1 Hz a block of 65,536 samples would be resampled to 1.4 thousand million."""
    soundfile.write(tmp_path / "r.wav", talk(3), rate)
    with pytest.raises(Unusable, match=f"recorded at {rate} Hz, which holds no voice"):
        pieces_of(tmp_path / "r.wav")
    with open(tmp_path / "r.wav", "rb") as file, pytest.raises(Unusable, match="holds no voice"):
        windowing.seconds(file)


def test_what_is_wrong_at_the_end_of_a_long_recording_is_found(tmp_path):
    wave = talk(12)
    wave[-1] = np.nan
    soundfile.write(tmp_path / "nan.wav", wave, RATE, subtype="FLOAT")
    with pytest.raises(Unusable, match="with samples that are no numbers"):
        pieces_of(tmp_path / "nan.wav")
    soundfile.write(tmp_path / "cut.flac", talk(30), RATE)
    content = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[:len(content) // 2])
    with pytest.raises(Unusable, match="cut short|not readable"):
        pieces_of(tmp_path / "cut.flac")


def test_channels_that_cancel_out_for_a_while_are_silence_for_a_while(tmp_path):
    wave = talk(20)
    other = np.where(np.arange(len(wave)) < 9 * RATE, -wave, wave)
    soundfile.write(tmp_path / "a.wav", np.stack([wave, other], axis=1), RATE)
    silent = [not piece.wave.any() for piece in pieces_of(tmp_path / "a.wav")]
    assert silent == [True] * 7 + [False] * 11
    soundfile.write(tmp_path / "a.wav", np.stack([wave, -wave], axis=1), RATE)
    with pytest.raises(Unusable, match="its channels cancel out"):
        pieces_of(tmp_path / "a.wav")


# ---- the figure


def test_timeline_draws_each_window_around_its_middle():
    figure = viz.timeline([(0, 3), (1, 4), (1.5, 4.5)], [[0.2, 0.8], [np.nan] * 2, [0.6, 0.4]], ["sad", "happy"], "talk")
    axes = figure.axes[0]
    mesh, = axes.collections
    assert mesh.get_coordinates()[0, :, 0].tolist() == [0, 2, 2.75, 4.5]
    assert np.ma.filled(mesh.get_array(), -1).tolist() == [[20, -1, 60], [80, -1, 40]]
    assert axes.get_xlabel() == "time (s); grey: silent"
    assert viz.timeline([(0, 3), (6000, 6003)], np.eye(2), ["a", "b"]).axes[0].get_xlabel() == "time (min)"
    with pytest.raises(ValueError, match=r"timeline: spans of shape \(1, 2\), probabilities of \(1, 3\) and 2 classes"):
        viz.timeline([(0, 3)], [[0.2, 0.5, 0.3]], ["a", "b"])


# ---- nanoemo predict


def test_predict_writes_a_timeline_and_json(voice_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("clip.wav", np.stack([talk(2, 44100)] * 2, axis=1), 44100)
    soundfile.write("talk.flac", talk(12), RATE)
    assert main(["predict", str(voice_run), "clip.wav", "talk.flac"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"clip.wav: 2.0 s: [a-z]+ \d+ %\n", out) and "talk.flac: 12.0 s, 10 windows: on average" in out
    assert "made voices: what it says of real ones means nothing" in out
    result = json.loads((tmp_path / "predictions/voice-1/predictions.json").read_text())
    assert result["classes"] == NAMES and result["drawn"] and result["model"] == "series.cnn1, trained on made voices"
    clip, long = result["recordings"]
    assert clip["file"] == "clip.wav" and "figure" not in clip and clip["windows"][0]["probabilities"] == clip["probabilities"]
    assert long["figure"] == "talk.png" and [piece["start"] for piece in long["windows"]] == list(range(10))
    assert (tmp_path / "predictions/voice-1/talk.png").read_bytes()[:4] == b"\x89PNG"


def test_predict_goes_on_after_files_that_are_none(voice_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    open("a-empty.wav", "wb").close()
    soundfile.write("b-silent.wav", np.zeros(8000), 8000)
    soundfile.write("c-long-silence.flac", np.zeros(8000 * 12), 8000)
    soundfile.write("d-one.wav", np.ones(1), 8000)
    soundfile.write("good.wav", talk(1), RATE)
    content = open("good.wav", "rb").read()
    open("e-cut.wav", "wb").write(content[:len(content) // 2])
    open("f-letter.wav", "w").write("Dear Sir")
    open("photo.png", "wb").close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert main(["predict", str(voice_run), *files, "--out", "out"]) == 2
    said = capsys.readouterr()
    expected = ["a-empty.wav: empty (0 bytes)", "b-silent.wav: silent", "c-long-silence.flac: silent",
                "d-one.wav: shorter than 0.1 s", "e-cut.wav: cut short", "f-letter.wav: not readable as audio",
                f"photo.png: a picture, but {voice_run} was trained on voices"]
    lines = said.err.splitlines()
    assert len(lines) == len(expected) and "good.wav: 1.0 s: " in said.out
    for line, start in zip(lines, expected):
        assert line.startswith(f"nanoemo predict: error: {start}")
    entries = json.loads(open("out/predictions.json").read())["recordings"]
    assert ["error" in entry for entry in entries] == [True] * 6 + [False, True]


def test_predict_a_recording_with_a_run_for_faces(tiny_run, tmp_path, capsys):
    soundfile.write(tmp_path / "clip.wav", talk(1), RATE)
    assert main(["predict", str(tiny_run), str(tmp_path / "clip.wav"), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert f"clip.wav: a recording, but {tiny_run} was trained on faces" in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("args, message", [
    (["clp.wav"], "did you mean clip.wav"), (["empty"], "no recordings in this folder"),
    (["clip.wav", "--whole"], "are for pictures"),
    (["clip.wav", "--out", "empty/../clip.wav"], "nothing is overwritten")])
def test_bad_input_is_one_clear_error(voice_run, tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    soundfile.write("clip.wav", talk(1), RATE)
    assert main(["predict", str(voice_run), *args]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and sorted(path.name for path in tmp_path.iterdir()) == ["clip.wav", "empty"]


def test_a_recording_comes_through_a_pipe(voice_run, tmp_path):
    """Which can be read once only, from front to back."""
    wave = np.sin(np.arange(12 * RATE) / 10) * np.linspace(0.1, 1, 12 * RATE)
    soundfile.write(tmp_path / "long.wav", wave, RATE)
    with subprocess.Popen(["cat", str(tmp_path / "long.wav")], stdout=subprocess.PIPE) as cat:
        assert Listener(voice_run)(cat.stdout).as_json() == Listener(voice_run)(tmp_path / "long.wav").as_json()
