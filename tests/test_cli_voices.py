"""`nanoemo train` of the models that listen: the same run folder, report, resuming and errors as for images."""
import json
import os
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nanoemo import features
from nanoemo.cli import main
from nanoemo.training import Experiment, RunFolder, Search, Settings, sanity

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: clips cannot be read")
pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")

pytestmark = pytest.mark.usefixtures("blank_pictures")

MODEL = ["series.cnn1", "--features", "mfcc"]              # the quickest
QUICK = ["--epochs", "1", "--batch-size", "7"]
CODES = ("a", "d", "f", "h", "sa", "su", "n")


@pytest.fixture(autouse=True)
def clips(tmp_path, monkeypatch):
    """84 clips in SAVEE's form, in the folder savee of the working folder: a note for each emotion, a timbre a speaker."""
    rng = np.random.default_rng(0)
    time = np.arange(4000) / 8000
    for speaker in range(4):
        for emotion, code in enumerate(CODES):
            for number in range(1, 4):
                wave = sum(np.sin(2 * np.pi * 150 * 1.2 ** emotion * k * time) / (k + speaker) for k in (1, 2, 3))
                path = tmp_path / "savee" / f"{('DC', 'JE', 'JK', 'KL')[speaker]}_{code}{number:02}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, 0.2 * wave + rng.normal(0, 0.01, len(wave)), 8000)
    monkeypatch.setattr(sanity, "check", partial(sanity.check, max_steps=1))     # learning by heart takes long
    monkeypatch.chdir(tmp_path)


def train(*args):
    return main(["train", *args, "--out", "run"])


def read(name):
    with open(f"run/{name}", encoding="utf-8") as file:
        return json.load(file)


def test_a_data_set_by_speaker_with_copies(capsys):
    assert train(*MODEL, "--data", "savee", "--augment", "noise,shift", "--epochs", "3", "--batch-size", "14") == 0
    out = capsys.readouterr().out
    assert "clips: 126 train, 21 validation, 21 test; 128×40×1, 7 classes" in out
    assert "Recorded at 8,000 Hz mono" in out and "Divided by subject" in out
    assert "Copies of each clip that is trained on: changed by noise=0.035, shift=0.2" in out
    assert "test set: no subject of it is in the training set" in out
    history = read("history.json")
    assert history[-1]["loss"] < history[0]["loss"]
    mean, std = np.load("run/standardisation.npy")
    assert mean.shape == (1, 40, 1) and (std > 0).all()
    page = open("run/report.html").read()
    results = page[:page.index("<h2>Settings")]
    assert "series.cnn1 on SAVEE" in results and "Divided by subject" in results and "images" not in results
    assert main(["evaluate", "run"]) == 0


def test_of_other_voices_no_copies_are_made(capsys, monkeypatch):
    """But a copy of the run's own data is known for one, by what was made of all its clips and their copies."""
    assert train(*MODEL, "--data", "savee", "--augment", "noise", *QUICK) == 0
    shutil.copytree("savee", "elsewhere")
    shutil.copytree("savee", "other")
    os.remove("other/DC_a01.wav")
    changes, extract = [], features.extract
    monkeypatch.setattr(features, "extract", lambda clips, *how: changes.extend(clips.changes) or extract(clips, *how))
    assert main(["evaluate", "run", "--data", "other", "--split", "train"]) == 0
    assert len(changes) == 83 and set(changes) == {""}
    assert "other is SAVEE, but not just as run was trained on it" in capsys.readouterr().err
    place, = Path("run").glob("on-*")
    assert json.loads((place / "train" / "classification_report.json").read_text())["macro average"]["support"] == 42
    assert main(["evaluate", "run", "--data", "elsewhere"]) == 0
    assert set(changes) == {"", "noise=0.035"} and list(Path("run").glob("on-*")) == [place]


def test_at_random_both_accuracies_are_told(capsys):
    assert train(*MODEL, "--data", "savee", "--split-by", "random", "--augment", "none", *QUICK) == 0
    out, err = capsys.readouterr()
    assert "warning: the random division puts clips of one subject on both sides" in err
    assert "test set: each subject of it is in the training set too" in out and "about a new subject" in out


@pytest.mark.parametrize("args, shape", [
    (["series.speech"], "128×40×1"), (["series.cnn1", "--features", "log_mel"], "128×128×1"), (["chater.lstm"], "162×1"),
    (["chater.conv1d"], "162×1")])
def test_every_model_that_listens(args, shape, capsys):
    assert train(*args, "--data", "savee", "--augment", "none", "--limit", "2", "--epochs", "1", "--batch-size", "2") == 0
    assert f"clips: 2 train, 2 validation, 2 test; {shape}, 7 classes" in capsys.readouterr().out


def test_combined_sets_are_counted_by_set(tmp_path, capsys):
    for place, emotion in [("KL_a01", "anger"), ("KL_n01", "bored"), ("KL_n02", "bored")]:
        path = tmp_path / "mine" / emotion / f"{place}x.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "savee" / f"{place}.wav", path)
    (tmp_path / "savee" / "DC_a01.wav").write_bytes(b"")
    assert main(["data", "inspect", "savee+mine", "--out", "look"]) == 0
    out, err = capsys.readouterr()
    assert "SAVEE        mine    together" in out and err.count("Left out 1 file") == 1
    sets = json.loads((tmp_path / "look" / "inspection.json").read_text())["sets"]
    assert [list(sets[name].items()) for name in ("angry", "boredom", "sad")] == [
        [("SAVEE", 11), ("mine", 1)], [("SAVEE", 0), ("mine", 2)], [("SAVEE", 12), ("mine", 0)]]
    names = {"class_counts.png", "class_counts_by_set.png", "voice.png", "inspection.json"}
    assert {path.name for path in (tmp_path / "look").iterdir()} == names
    assert main(["data", "inspect", "savee", "--out", "one"]) == 0
    assert {path.name for path in (tmp_path / "one").iterdir()} == names - {"class_counts_by_set.png"}


def test_without_data_the_voices_are_made_and_called_so(capsys):
    assert train(*MODEL, "--limit", "14", *QUICK) == 0
    out = capsys.readouterr().out
    assert "series.cnn1 on made voices" in out and "Voices made by formula: they are nobody's" in out
    assert "<strong>Made voices.</strong>" in open("run/report.html").read() and read("config.json")["data"]["drawn"]


def test_a_run_goes_on(capsys):
    args = [*MODEL, "--data", "savee", "--augment", "noise", "--batch-size", "14"]
    assert train(*args, "--epochs", "1") == 0
    assert main(["train", "--resume", "run", "--epochs", "2"]) == 0
    resumed = [row["loss"] for row in read("history.json")]
    os.rename("run", "first")
    assert train(*args, "--epochs", "2") == 0
    assert [row["loss"] for row in read("history.json")] == resumed


def test_a_clip_that_cannot_be_used_is_said_and_does_not_stop_the_run(capsys):
    open("savee/DC_a01.wav", "wb").close()
    assert train(*MODEL, "--data", "savee", "--augment", "none", *QUICK) == 0
    out, err = capsys.readouterr()
    said = "Left out 1 file: 1 empty (0 bytes) (DC_a01.wav)."
    assert err == f"nanoemo train: warning: SAVEE: {said}\n" and said in out
    assert said in open("run/report.html").read()


@pytest.mark.parametrize("args, message", [
    (["chater.lstm", "--data", "absent"], "absent: no such file or folder"),
    (["chater.lstm", "--data", "savee+absent"], "absent: no such file or folder"),
    (["chater.lstm", "--data", "faces"], "no recordings in it: 1 files, such as a/1.png"),
    (["chater.lstm", "--data", "savee", "--augment", "flip"], "unknown 'flip'; voices have noise, shift, stretch, pitch"),
    (["chater.lstm", "--data", "savee", "--split-by", "subject=XX"], "there is no subject 'XX'; there are 4, such as DC"),
    (["chater.lstm", "--split-by", "random"], "made voices come divided"),
    (["chater.lstm", "--data", "savee", "--features", "mfcc"],
     r"reads arrays of shape \(162, 1\), but features mfcc of a clip have"),
    (["chater.lstm", "--features", "hog"], r"shape \(162, 1\), but images have the shape \(height, width, channels\)"),
    (["chater.lstm", "--subtract-mean"], "subtract_mean is true, but chater.lstm listens: .*; leave it out"),
    (["chater.lstm", "--features", "mffc"], "features is 'mffc'; expected one of hog, vector162, mfcc, log_mel"),
    (["njoku.cnn", "--data", "savee"], "84 files, such as DC_a01.wav.*these are recordings: .* chater.lstm"),
])
def test_bad_input_is_one_clear_error(args, message, capsys):
    os.makedirs("faces/a")
    open("faces/a/1.png", "wb").close()
    assert train(*args) == 2
    err = capsys.readouterr().err
    assert re.search(message, err) and err.count("\n") == 1 and not os.path.exists("run")


@pytest.mark.parametrize("folds", [1, 2])
def test_a_search_trains_on_copies_and_measures_without_them(capsys, folds):
    settings = Settings.from_recipe("chater.conv1d", "savee", augment="noise,shift", batch_size=7, epochs=1)
    search = Search(settings, {"lr": [1e-3]}, folds)
    everyone = []
    for number in range(folds):
        train, validation = search.fold(number).values()
        clips = set(validation.groups["sequence"])
        assert len(clips) == len(validation) and not clips & set(train.groups["sequence"])
        assert len(train) == 3 * len(set(train.groups["sequence"])) and not set(validation.groups["subject"]) & set(
            train.groups["subject"])
        everyone += validation.groups["sequence"].tolist()
    assert len(everyone) == len(set(everyone))


def test_search_and_ensemble_of_networks_that_listen(capsys):
    args = ["--data", "savee", "--augment", "noise", "--limit", "14", "--batch-size", "7", "--epochs", "1"]
    assert main(["search", "chater.conv1d", *args, "--lr", "1e-4,1e-3", "--folds", "2", "--out", "search"]) == 0
    assert "trial 4/4" in capsys.readouterr().out
    assert main(["search", "--resume", "search"]) == 0
    assert main(["search", "chater.conv1d", *args, "--vary", "augment=noise,shift"]) == 2
    assert "augment: this decides what is loaded" in capsys.readouterr().err
    for seed in (0, 1):
        assert main(["train", "chater.conv1d", *args, "--seed", "0", "--lr", f"1e-{3 + seed}", "--out", f"run{seed}"]) == 0
    assert main(["ensemble", "run0", "run1", "--out", "ensemble"]) == 0
    assert "test" in capsys.readouterr().out


def test_standardised_by_the_training_set_and_later_by_what_the_run_has_kept():
    experiment = Experiment(Settings.from_recipe("series.cnn1", data="savee", features="mfcc", batch_size=7, epochs=1))
    train_part, validation = (experiment.splits[split].features for split in ("train", "validation"))
    spread = train_part.std(axis=(0, 1))
    mean = train_part.mean(axis=(0, 1)).ravel()
    np.testing.assert_allclose(experiment.standardise.mean.ravel(), mean, atol=1e-3 * spread.max())
    assert not np.allclose(train_part.mean(axis=(0, 1)), validation.mean(axis=(0, 1)), atol=1e-2 * spread.max())
    assert train(*MODEL, "--data", "savee", *QUICK) == 0
    mean, std = np.load("run/standardisation.npy")
    np.save("run/standardisation.npy", np.stack([mean + 1, std]))
    again = Experiment.of_run(RunFolder("run"))
    again.load_best(RunFolder("run"))
    np.testing.assert_allclose(again.standardise.mean, mean + 1)
