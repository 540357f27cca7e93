"""Cross-validation: fair folds, a table that does not depend on the processes, and a search that is stopped and goes on."""
import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import nanoemo
from nanoemo import data, viz
from nanoemo.cli import main
from nanoemo.cli.search import _show
from nanoemo.training import Experiment, RunFolder, Search, Settings
from nanoemo.training import search as search_module
from nanoemo.training import space as space_module
from nanoemo.training.recorder import best_epoch
from nanoemo.training.search import run_trial
from nanoemo.training.space import candidates, parse_values
from small_data import write_bands

pytestmark = pytest.mark.usefixtures("blank_pictures")

SMALL = ["--batch-size", "7", "--epochs", "1"]
SPACE = ["--lr", "1e-4,1e-3", "--vary", "dropout=0.25,0.5", "--folds", "2"]


def bands(n=42, seed=0):
    """Faces' shape, a bright band for each class."""
    images = np.random.default_rng(seed).integers(0, 50, (n, 48, 48, 1), np.uint8)
    for i in range(n):
        images[i, 6 * (i % 7):6 * (i % 7) + 8] += 200
    return data.ImageSet(images, np.arange(n) % 7, tuple("abcdefg"), name="bands train")


@pytest.fixture
def splits():
    return {"train": bands(), "validation": bands(14, seed=1)}


def search_of(splits, folds=2, **changes):
    settings = Settings.from_recipe("chater.dcnn", **{"batch_size": 7, "epochs": 1, **changes})
    return Search(settings, {"lr": [1e-9, 1e-3], "dropout": [0.25]}, folds, splits=splits)


def folder_of(path):
    path.mkdir()
    return RunFolder(path)


# ---- folds and combinations -------------------------------------------------------------------------------


def test_a_film_falls_into_one_fold_and_copies_are_not_measured(splits):
    films = {name: replace(part, groups={"sequence": np.array([f"{name}{n // 7}" for n in range(len(part))])})
             for name, part in splits.items()}
    copied = {name: part.joined([part, part]) for name, part in films.items()}
    search = search_of(splits)
    search.divided = search_module._divided(copied, 2, 0, copies=1)
    for number in range(2):
        part = search.fold(number)
        assert not set(part["train"].groups["sequence"]) & set(part["validation"].groups["sequence"])
    assert sum(len(search.fold(number)["validation"]) for number in range(2)) == sum(map(len, splits.values()))


def trial(candidate, fold, accuracy=0.5, loss=1.0):
    return {"candidate": candidate, "fold": fold, "accuracy": accuracy, "loss": loss, "epoch": 1, "seconds": 1.0}


def test_of_equals_the_lower_loss_is_first_and_what_is_not_done_is_not_told(splits):
    search = search_of(splits)
    rows = search.results([trial(0, 0, loss=2.0), trial(0, 1), trial(1, 0), trial(1, 1)])
    assert [row["candidate"] for row in rows] == [1, 0]
    assert [row["candidate"] for row in search.results([trial(0, 0), trial(0, 1), trial(1, 0, 0.9)])] == [0]


def test_a_trial_begins_and_ends_as_a_training_does(splits, monkeypatch):
    begun, epochs, start = [], [], Experiment.start
    monkeypatch.setattr(Experiment, "start", lambda self, say: begun.append(start(self, say)))
    monkeypatch.setattr(search_module, "best_epoch", lambda history: epochs.append(len(history)) or best_epoch(history))
    settings = search_of(splits, epochs=6, patience=1).settings
    told = search_module.run_trial(Search(settings, {"lr": [1e-30]}, 1, splits=splits), 0, 0)
    assert len(begun) == 1 and epochs == [told["epoch"] + 1] and epochs[0] < 6


def test_a_search_of_drawn_combinations_goes_on_with_them(splits, tmp_path, monkeypatch):
    settings = search_of(splits).settings
    drawn = [Search(replace(settings, seed=seed), {"lr": "1e-4:1e-2"}, 2, 3, splits) for seed in (0, 1)]
    assert drawn[0].candidates != drawn[1].candidates
    folder = folder_of(tmp_path / "s")
    drawn[1].begin(folder)
    monkeypatch.setattr(search_module, "load_splits", lambda settings: splits)
    assert Search.resume(folder.path).candidates == drawn[1].candidates


@pytest.mark.parametrize("k", [2, 3, 10])
def test_folds_are_of_equal_size_and_hold_each_class_alike(rng, k):
    labels = rng.integers(0, 4, 203)
    folds = data.k_folds(labels, k)
    sizes = np.bincount(folds, minlength=k)
    assert sizes.max() - sizes.min() <= 4
    for label in range(4):
        of_class = np.bincount(folds[labels == label], minlength=k)
        assert of_class.max() - of_class.min() <= 1
    assert (data.k_folds(labels, k) == folds).all() and (data.k_folds(labels, k, seed=1) != folds).any()


def test_what_belongs_together_falls_into_one_fold(rng):
    groups = np.repeat([f"S{n:03}" for n in range(30)], rng.integers(1, 9, 30))
    folds = data.k_folds(rng.integers(0, 3, len(groups)), 4, groups=groups)
    assert all(len(set(folds[groups == name])) == 1 for name in set(groups))
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 8


@pytest.mark.parametrize("k", [0, 1, 6])
def test_folds_that_cannot_be(k):
    with pytest.raises(ValueError, match=rf"5 images cannot be divided into {k} folds; expected 2 to 5"):
        data.k_folds(np.zeros(5, int), k)


def test_drawn_combinations_are_different_within_their_ranges_and_repeatable():
    space = {"lr": "1e-4:1e-2", "hidden": "64:512", "optimizer": ["adam", "sgd"]}
    drawn = candidates(space, random=40, seed=3)
    assert drawn == candidates(space, random=40, seed=3) != candidates(space, random=40, seed=4)
    assert len(drawn) == 40 and all(1e-4 <= one["lr"] <= 1e-2 and one["hidden"] in range(64, 513) for one in drawn)
    assert 10 < sum(one["lr"] < 1e-3 for one in drawn) < 30, "half of them below the range's middle, in logarithms"
    assert len(candidates({"lr": [1, 2]}, random=9)) == 2


def test_drawing_ends_with_the_last_combination_that_is_wanted(monkeypatch):
    drawn, draw = [], space_module._draw
    monkeypatch.setattr(space_module, "_draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    wanted = {"units": "1:9", "hidden": [[8, 4], [8, [4]]]}
    found = candidates(wanted, random=8, seed=5)
    assert len(drawn) < 50 and len({str(one) for one in found}) == 8
    assert candidates(wanted, random=2, seed=5) == found[:2]
    assert candidates({"a": [1, 1.0, [2], [2.0], {"b": [3]}, {"b": [3]}]}) == [{"a": 1}, {"a": [2]}, {"a": {"b": [3]}}]


@pytest.mark.parametrize("text, values", [
    ("1e-4,.5", [1e-4, 0.5]), ("same,valid", ["same", "valid"]), ("[256,512],[64,64]", [[256, 512], [64, 64]]), ("2:8", "2:8")])
def test_values_from_the_command_line(text, values):
    assert parse_values(text) == values


# ---- trials -----------------------------------------------------------------------------------------------


def test_each_image_is_left_out_once_and_the_test_set_never_seen(splits):
    search = search_of(splits, folds=4)
    seen = [search.fold(number) for number in range(4)]
    left_out = np.concatenate([part["validation"].images for part in seen])
    assert sorted(image.tobytes() for image in left_out) == sorted(
        image.tobytes() for split in splits.values() for image in split.images)
    for part in seen:
        assert len(part["train"]) + len(part["validation"]) == 56
        assert not {i.tobytes() for i in part["train"].images} & {i.tobytes() for i in part["validation"].images}


def test_a_person_falls_into_one_fold(splits):
    told = {name: replace(part, groups={"subject": np.arange(len(part)).astype(str)[::-1].repeat(2)[:len(part)]})
            for name, part in splits.items()}
    part = search_of(told, folds=3).fold(1)
    assert not set(part["train"].groups["subject"]) & set(part["validation"].groups["subject"])


def test_equal_images_fall_into_one_fold(splits):
    twice = {name: part.joined([part, part]) for name, part in splits.items()}
    search = search_of(twice, folds=3)
    for number in range(3):
        fold = search.fold(number)
        train, validation = ({image.tobytes() for image in fold[split].images} for split in ("train", "validation"))
        assert train and validation and not train & validation


def test_hold_out_is_the_validation_set(splits):
    part = search_of(splits, folds=1).fold(0)
    assert (part["train"].images == splits["train"].images).all()
    assert (part["validation"].images == splits["validation"].images).all()


def test_the_rate_that_learns_wins_and_the_figure_says_so(splits, tmp_path):
    search, folder = search_of(splits, epochs=4), folder_of(tmp_path / "s")
    rows = search.run(folder, say=lambda line: None)
    assert rows[0]["lr"] == 1e-3 and rows[0]["loss"] < rows[1]["loss"]
    trials = json.loads((folder.path / "trials.json").read_text())
    both = [trial["accuracy"] for trial in trials if trial["candidate"] == 1]
    assert rows[0]["accuracy"] == np.mean(both) and rows[0]["spread"] == np.std(both)
    table = list(csv.DictReader((folder.path / "results.csv").open()))
    assert [float(row["lr"]) for row in table] == [1e-3, 1e-9]
    assert (folder.path / "search.png").read_bytes()[:4] == b"\x89PNG"


def test_two_processes_fill_the_same_table(splits, tmp_path):
    one, two = (search_of(splits).run(folder_of(tmp_path / name), jobs, say=lambda line: None)
                for name, jobs in (("a", 1), ("b", 2)))
    assert one == two


def test_a_backend_that_gives_results_at_the_end_only(splits, tmp_path):
    """Rounds, each written down when it is done, as of a cluster that says nothing on the way."""
    import joblib

    said = []
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        rows = search_of(splits).run(folder_of(tmp_path / "s"), say=said.append)
    assert len(said) == 4 and rows == search_of(splits).run(folder_of(tmp_path / "t"), say=said.append)


def test_finished_trials_are_not_repeated(splits, tmp_path, monkeypatch):
    search, folder = search_of(splits), folder_of(tmp_path / "s")
    whole = search.run(folder, say=lambda line: None)
    path = folder.path / "trials.json"
    trials = json.loads(path.read_text())
    path.write_text(json.dumps(trials[:3]))
    made = []
    monkeypatch.setattr("nanoemo.training.search.run_trial", lambda *trial: made.append(trial[1:]) or run_trial(*trial))
    assert search.run(folder, say=lambda line: None) == whole and made == [(1, 1)]
    assert search.run(folder, say=lambda line: None) == whole and len(made) == 1


def test_a_trial_that_diverges_does_not_end_the_search(splits, tmp_path):
    settings = Settings.from_recipe("chater.dcnn", batch_size=7, epochs=2, optimizer="sgd")
    search = Search(settings, {"lr": [1e30, 1e-3]}, folds=1, splits=splits)
    with np.errstate(all="ignore"):
        rows = search.run(folder_of(tmp_path / "s"), say=lambda line: None)
    assert [row["lr"] for row in rows] == [1e-3, 1e30] and rows[1]["accuracy"] is None


# ---- the command ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def small_data(tmp_path_factory):
    """The bands in FER2013's form, which is sooner read than faces are drawn."""
    folder = tmp_path_factory.mktemp("data")
    lines = [f"{label},{' '.join(map(str, image.ravel()))},{usage}" for usage in ("Training", "PublicTest", "PrivateTest")
             for image, label in zip(*bands(14)[:])]
    (folder / "small.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    before = dict(os.environ)
    os.environ["OMP_NUM_THREADS"] = "1"
    SMALL[:] = [*SMALL, "--data", str(folder / "small.csv")]
    yield
    os.environ.clear()
    os.environ.update(before)


OWN_MODEL = """
from nanoemo import models, nn

@models.register("my.net", models.Recipe(input_shape=(48, 48, 1), num_classes=7, epochs=1, batch_size=7, optimizer="adam",
                                         lr=1e-3))
def my_net(num_classes, input_shape, units=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, units), nn.ReLU(), nn.Linear(units, num_classes))
"""


def test_a_network_of_ones_own_is_searched_by_other_processes_and_known_by_import_alone(tmp_path, capsys):
    (tmp_path / "my_network.py").write_text(OWN_MODEL)
    write_bands(tmp_path / "bands.csv")

    def own(*words):
        program = "import my_network, nanoemo.cli, sys; sys.exit(nanoemo.cli.main())"
        paths = os.pathsep.join([str(Path(nanoemo.__file__).parents[1]), str(tmp_path)])
        return subprocess.run([sys.executable, "-c", program, *words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    searched = own("search", "my.net", "--data", "bands.csv", *"--lr 1e-3,1e-2 --folds 2 --jobs 2 --out found".split())
    assert searched.returncode == 0, searched.stdout
    assert len(json.loads((tmp_path / "found" / "trials.json").read_text())) == 4
    trained = own("train", "my.net", "--data", "bands.csv", "--out", "run")
    assert trained.returncode == 0, trained.stdout
    told = own("summary", "my.net").stdout
    assert told.startswith("my.net\n") and "our recipe: 1 epochs" in told and "help(" not in told
    assert "of your own\n  my.net" in own("models").stdout
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "there is no model called 'my.net'" in error and "imported the file in which it is registered" in error
    assert "version" not in error and error.count("\n") == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished_and_resume_makes_the_rest(tmp_path, jobs):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(["search", "chater.dcnn", *SMALL, *SPACE, "--out", str(whole)]) == 0
    process = subprocess.Popen([sys.executable, "-m", "nanoemo", "search", "chater.dcnn", *SMALL, *SPACE, "--jobs", jobs,
                                "--out", str(stopped)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True, env={**os.environ, "PATH": str(tmp_path)})       # no pgrep, no ps
    while process.poll() is None and not (stopped / "trials.json").exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)               # as a terminal does: to all processes at once
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 130, out
    assert f"nanoemo search --resume {stopped}" in out
    if jobs == "1":                                     # a worker that is only just starting says so where it was stopped
        assert "Traceback" not in out
    assert 1 <= len(json.loads((stopped / "trials.json").read_text())) < 8
    assert main(["search", "--resume", str(stopped)]) == 0
    for name in ("results.json", "results.csv"):
        assert (stopped / name).read_text() == (whole / name).read_text()


@pytest.mark.parametrize("model, words", [
    ("alizadeh.shallow", ["--lr", "1.23456789e-3", "--hidden", "8,16", "--vary", "seed=3,4", "--weight-decay", "0"]),
    ("chater.dcnn", ["--vary", "batch_size=7,14", "--optimizer", "sgd", "--augment", "none", "--schedule", "warmup=1,cosine",
                     "--class-weights", "angry=2,sad=3", "--patience", "2", "--limit", "14", "--freeze", "Conv*,1"]),
    ("chater.dcnn", ["--vary", "subtract_mean=true", "--vary", "augment=none", "--option", "dropout=0.25", "--clip-norm", "0.5"]),
    ("series.architecture1", ["--lr", "1e-3", "--option", "cnn=cnn1"])])
def test_the_best_is_named_with_the_command_that_trains_it(tmp_path, capsys, model, words):
    assert main(["search", model, *SMALL, *words, "--folds", "1", "--out", str(tmp_path / "s")]) == 0
    command = capsys.readouterr().out.split("to train it: ")[1].splitlines()[0]
    assert main([*shlex.split(command)[1:], "--out", str(tmp_path / "run")]) == 0
    best = Search.resume(tmp_path / "s").settings_of(json.loads((tmp_path / "s" / "results.json").read_text())[0]["candidate"])
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"] == asdict(best)


def test_a_search_that_is_done_is_told_again(tmp_path, capsys):
    assert main(["search", "chater.dcnn", *SMALL, "--lr", "1e-3", "--folds", "1", "--out", str(tmp_path / "s")]) == 0
    assert "1 combination, hold-out, 1 trial of 1 epoch;" in capsys.readouterr().out
    assert main(["search", "--resume", str(tmp_path / "s")]) == 0
    assert "trial 1/1" not in capsys.readouterr().out
    assert main(["search", "--resume", str(tmp_path / "nowhere")]) == 2
    assert "nowhere is not the folder of a search" in capsys.readouterr().err


@pytest.mark.parametrize("words, message", [
    (["--lr", "1e-4:1e-3"], "a grid needs single values"), ([], "nothing to search"),
    (["--lr", "0"], "lr is 0; expected a positive learning rate"),
    (["--lr", "fast"], "lr is 'fast'; expected a positive"), (["--hidden", "8"], "no option hidden; its options are dropout"),
    (["--vary", "dropout"], "expected NAME=VALUES"), (["--lr", "1e-3", "--folds", "0"], "folds is 0"),
    (["--lr", "1e-3", "--folds", "99"], "cannot be divided into 99 folds"), (["--lr", "3:2", "--random", "2"], "lr is '3:2'"),
    (["--lr", "1,2", "--random", "0"], "random is 0"), (["--lr", "1e-3", "--batch-size", "99"], "batch size is 99"),
    (["--lr", "1e-3", "--jobs", "0"], "--jobs is 0"), (["--vary", "stages=true"], "cannot be searched in stages"),
    (["--vary", "augment=none,non"], "unknown 'non'"),
    (["--vary", "split_by=random,subject"], "split_by: this decides what is loaded"),
    (["--vary", "image_shape=24x24,48x48"], "image_shape: this decides what is loaded"),
    (["--resume", "nowhere"], "begun with; leave model, ")])
def test_bad_words_end_in_one_line(tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["search", "chater.dcnn", *SMALL, *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_search_cannot_go_on_with_other_data_or_a_damaged_file(tmp_path, capsys):
    path = tmp_path / "s"
    assert main(["search", "chater.dcnn", *SMALL, "--lr", "1e-3", "--folds", "1", "--out", str(path)]) == 0
    told = json.loads((path / "search.json").read_text())
    for change, message in (({"fingerprint": "0"}, "began on other data"), ({"space": 3}, "not a search of this version")):
        (path / "search.json").write_text(json.dumps({**told, **change}))
        assert main(["search", "--resume", str(path)]) == 2
        assert message in capsys.readouterr().err
    (path / "search.json").write_text("{")
    assert main(["search", "--resume", str(path)]) == 2
    assert "not readable as JSON" in capsys.readouterr().err


# ---- the figure -------------------------------------------------------------------------------------------


def test_the_figure_is_a_line_a_map_or_discs():
    rows = [{"lr": lr, "hidden": hidden, "accuracy": None if lr == 1 else lr + 0.1, "spread": 0.1}
            for lr in (0.1, 0.2, 1) for hidden in ([8, 8], [16, 16])]
    cells = viz.search_results(rows, ["lr", "hidden"]).axes[0]
    assert [text.get_text() for text in cells.texts[:3]] == ["20.0", "30.0", "diverged"][:3]
    assert [label.get_text() for label in cells.get_yticklabels()] == ["16×16", "8×8"]
    assert viz.search_results(rows[:5], ["lr", "hidden"]).axes[0].get_xscale() == "log"
    assert len(viz.search_results(rows, ["lr"]).axes[0].get_xticks()) == 3


def test_another_seed_divides_otherwise(splits):
    one, two, again = (search_of(splits, folds=3, seed=seed).divided[1].tolist() for seed in (0, 1, 0))
    assert one == again != two


def test_large_groups_are_shared_out_before_small_ones():
    folds = data.k_folds(np.zeros(12, int), 2, groups=np.array(list("abcdefgggggg")))
    assert np.bincount(folds).tolist() == [6, 6]


def test_the_table_says_shares_and_spreads_in_per_cent(splits, capsys):
    rows = [{"candidate": 0, "accuracy": 0.5, "spread": 0.1}, {"candidate": 1, "accuracy": None, "spread": None}]
    _show(search_of(splits), rows)
    lines = capsys.readouterr().out.splitlines()
    assert "50.00 ± 10.00 %" in lines[0] and "diverged" in lines[1]
