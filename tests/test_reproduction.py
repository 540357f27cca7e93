"""`nanoemo reproduce`: the page says what the runs say; what is done is kept, what was broken off goes on."""
import argparse
import json
import re
import shutil
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nanoemo import models
from nanoemo.cli import main
from nanoemo.data import parse_changes, voices
from nanoemo.files import read_json, write_json
from nanoemo.reproduction import PAPERS, Paper, Trial, trial_settings, write_page
from nanoemo.reproduction.page import _side_by_side, _unseen
from nanoemo.reproduction.results import SETTINGS, Result, run_path
from nanoemo.training import RunFolder, carry_out, checkpoint, experiment, sanity
from nanoemo.viz import style
from small_data import write_pictures
from training_runs import AfterChecks

pytestmark = pytest.mark.usefixtures("blank_pictures")

TRIALS = (Trial("plain, first", "chater.dcnn", {"test": 0.5, "training": 0.25}, {"augment": ""}, {"angry": 0.125}),
          Trial("second", "chater.dcnn", {"validation": 0.75}, {"schedule": "cosine"}))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A paper of two trials on 70 images, and 35 to judge with, in FER2013's form."""
    rng = np.random.default_rng(0)
    usage = ["Training"] * 70 + ["PublicTest"] * 35 + ["PrivateTest"] * 35
    rows = [f"{n % 7},{' '.join(map(str, rng.integers(0, 255, 2304)))},{usage[n]}" for n in range(140)]
    csv = tmp_path / "small.csv"
    csv.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    paper = Paper("A paper", "FER2013", TRIALS, "What it leaves open.")
    monkeypatch.setitem(PAPERS, "small", paper)
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(csv=csv, paper=paper, folder=tmp_path / "reproduction" / "small-quick")


def test_networks_side_by_side_once_two_have_run():
    """As table 3 of Alizadeh & Fazel."""
    trials = (Trial("shallow", "a.shallow", {}, classes={"sad": 0.32}),
              Trial("shallow again", "a.shallow", {}, classes={"sad": 0.32}),
              Trial("deep", "a.deep", {}, classes={"sad": 0.63}), Trial("other", "a.other", {}))
    done = [(trial, SimpleNamespace(classes=[["angry", None, 0], ["sad", number / 10, 20]]))
            for number, trial in enumerate(trials)]
    assert _side_by_side(done[:2]) == _side_by_side(done[2:]) == ""
    assert _side_by_side(done).strip().splitlines()[2:] == [
        "| class | paper, shallow | paper, deep | shallow | shallow again | deep |", "| --- | --- | --- | --- | --- | --- |",
        "| angry | – | – | – | – | – |", "| sad | 32.0 % | 63.0 % | 0.0 % | 10.0 % | 20.0 % |"]


def test_an_accuracy_on_few_images_is_called_so():
    unseen = {"test": {"subject": {"images": 30, "accuracy": 0.5}, "sequence": {"images": 29, "accuracy": 1.0}},
              "validation": {"subject": {"images": 0, "accuracy": None}}}
    assert _unseen(unseen, "clip") == [
        "test set: 30 clips of a subject that is not in the training set, accuracy 50.00 %.",
        "test set: 29 clips of a sequence that is not in the training set, accuracy 100.00 % (too few to tell)."]


def test_every_paper_names_models_and_settings_that_exist():
    for paper in PAPERS.values():
        assert len({run_path(Path(), trial) for trial in paper.trials}) == len(paper.trials)
        for trial in paper.trials:
            trial_settings(trial, "some.csv")
            assert trial.model in models.names()
            assert set(trial.says) <= {"training", "validation", "test"}
            assert all(0 < value < 1 for value in (*trial.says.values(), *trial.classes.values()))
            assert set(trial.changes) <= {*SETTINGS, "split_by", "options"}, "the page says all of them; its name the last two"


def test_the_page_holds_what_the_runs_hold(small, capsys, blank_pictures, monkeypatch):
    monkeypatch.setattr(style, "_to_bytes", blank_pictures)         # this one looks at them
    assert main(["reproduce", "small", "--quick", "--data", str(small.csv), "--only", "plain, first"]) == 0
    page = (small.folder / "README.md").read_text()
    run = small.folder / "runs" / "plain-first"
    test = read_json(run / "test" / "classification_report.json")["accuracy"]
    assert f"| plain, first | test | 50.00 % | {100 * test:.2f} % | {100 * (test - 0.5):+.1f} |" in page
    assert "| second | validation | 75.00 % | not run |" in page
    assert re.search(r"\| angry \| 12.5 % \| [\d.]+ % \| 5 \|", page) and re.search(r"\| sad \| – \| [\d.]+ % \| 5 \|", page)
    assert "Quick runs" in page and "2 of 40" in page and "What it leaves open." in page
    assert "`nanoemo reproduce small --data small.csv --quick`" in page and str(small.csv.parent) not in page
    for figure in re.findall(r"\]\((figures/.*?)\)", page):
        assert (small.folder / figure).stat().st_size > 1000


def test_the_page_says_how_the_rate_falls(small):
    arguments = ["reproduce", "small", "--quick", "--data", str(small.csv), "--only", "second"]
    assert main(arguments) == 0
    page, result = small.folder / "README.md", small.folder / "results" / "second.json"
    assert re.search(r"\| second \| chater.dcnn .*\| adam 0.001, cosine \|", page.read_text())
    shutil.rmtree(small.folder / "runs")
    older = read_json(result)
    del older["settings"]["schedule"]                               # results that were kept before trials had one
    write_json(result, older)
    write_page(small.folder, small.paper, "nanoemo")
    assert re.search(r"\| second \| chater.dcnn .*\| adam 0.001 \|", page.read_text())


def test_the_page_outlives_the_runs(small):
    assert main(["reproduce", "small", "--quick", "--data", str(small.csv)]) == 0
    page = (small.folder / "README.md").read_text()
    shutil.rmtree(small.folder / "runs" / "second")
    assert write_page(small.folder, small.paper, "nanoemo reproduce small --data small.csv --quick").read_text() == page
    for path in (small.folder / "results").iterdir():
        assert str(small.csv.parent) not in path.read_text()


@pytest.mark.parametrize("content, message", [
    ("{}", "second.json: not a result of `nanoemo reproduce`; remove the file"),
    ("[1]", "not a result"),
    (json.dumps({field.name: 1 for field in fields(Result)}), "not a result"),
    ("{", "second.json: not readable as JSON")])
def test_a_damaged_result_is_named(small, content, message):
    (small.folder / "results").mkdir(parents=True)
    (small.folder / "results" / "second.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        write_page(small.folder, small.paper, "nanoemo")


def test_a_kept_result_is_neither_made_anew_nor_written_over(small, capsys):
    arguments = ["reproduce", "small", "--quick", "--data", str(small.csv), "--only", "second"]
    assert main(arguments) == 0
    shutil.rmtree(small.folder / "runs")
    before = {path: path.read_bytes() for path in small.folder.rglob("*") if path.is_file()}
    assert main(arguments) == 0
    assert "second.json: done before; without this file it is trained anew" in capsys.readouterr().out
    for other, message in ((["--seed", "5"], "seed 0, not 5"), (["--epochs", "1"], "epochs 2, not 1")):
        assert main([*arguments, *other]) == 2
        assert f"second.json is of a run with {message}, and would be written over" in capsys.readouterr().err
    assert main(["reproduce", "small", "--quick", "--out", str(small.folder), "--only", "second"]) == 2
    assert "drawn False, not True" in capsys.readouterr().err
    assert main(["reproduce", "small", "--data", str(small.csv), "--out", str(small.folder), "--only", "second"]) == 2
    assert "limit 700, not None" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in small.folder.rglob("*") if path.is_file()}
    (small.folder / "results" / "plain-first.json").write_text("{")
    assert main(arguments) == 2 and "plain-first.json: not readable as JSON" in capsys.readouterr().err


def test_rows_of_quick_runs_are_called_so_among_others(small):
    data = ["--data", str(small.csv), "--out", str(small.folder)]
    assert main(["reproduce", "small", "--quick", *data, "--only", "second"]) == 0
    page = small.folder / "README.md"
    assert "**Quick runs: few epochs on at most 700 images" in page.read_text()
    assert main(["reproduce", "small", *data, "--epochs", "1", "--only", "plain, first"]) == 0
    assert "**Quick runs (second): few epochs on at most 700 images" in page.read_text()


def test_what_is_done_is_kept(small, capsys):
    arguments = ["reproduce", "small", "--quick", "--data", str(small.csv)]
    assert main([*arguments, "--only", "second"]) == 0
    weights = small.folder / "runs" / "second" / "checkpoints" / "best.safetensors"
    before = weights.stat().st_mtime_ns
    assert main(arguments) == 0
    assert weights.stat().st_mtime_ns == before and "second: done before" in capsys.readouterr().out
    assert "not run" not in (small.folder / "README.md").read_text()


def test_what_was_broken_off_goes_on_to_the_same_weights(small):
    settings = trial_settings(TRIALS[1], str(small.csv), quick=True, batch_size=7)
    whole, broken = small.folder / "whole", small.folder / "broken"
    small.folder.mkdir(parents=True)
    assert carry_out(settings, whole, say=lambda line: None)

    assert not carry_out(settings, broken, stop=AfterChecks(40), say=lambda line: None)
    assert not (broken / "report.html").exists()
    assert carry_out(settings, broken, say=lambda line: None)
    weights, expected = (checkpoint.load(RunFolder.open(path).last_path)[0] for path in (broken, whole))
    assert weights.keys() == expected.keys() and all((weights[name] == expected[name]).all() for name in expected)


def test_a_finished_run_goes_on_to_more_epochs_and_not_to_fewer(small, capsys):
    def settings(epochs):
        return trial_settings(TRIALS[1], str(small.csv), limit=14, batch_size=7, epochs=epochs)

    small.folder.mkdir(parents=True)
    longer, whole = small.folder / "longer", small.folder / "whole"
    assert carry_out(settings(1), longer, say=lambda line: None)
    assert not carry_out(settings(3), longer, stop=True, say=lambda line: None) and not RunFolder(longer).is_finished
    assert carry_out(settings(3), longer, say=lambda line: None)
    assert carry_out(settings(3), whole, say=lambda line: None)
    assert [row["loss"] for row in read_json(longer / "history.json")] == [
        row["loss"] for row in read_json(whole / "history.json")]
    assert RunFolder.open(longer).config()["settings"]["epochs"] == 3
    with pytest.raises(ValueError, match="is in epoch 3 already, so it cannot end after 2"):
        carry_out(settings(2), longer)
    assert RunFolder(longer).is_finished


def test_a_finished_run_is_of_its_own_data(small, tmp_path, capsys):
    arguments = ["reproduce", "small", "--quick", "--only", "second", "--data"]
    assert main([*arguments, str(small.csv)]) == 0
    page = (small.folder / "README.md").read_text()
    copy, other = tmp_path / "copy.csv", tmp_path / "other.csv"
    copy.write_bytes(small.csv.read_bytes())
    other.write_text(small.csv.read_text().replace("\n0,", "\n1,", 1))
    capsys.readouterr()
    for path, message in ((other, "began on other data"), (tmp_path / "none.csv", "none.csv: no such file")):
        assert main([*arguments, str(path)]) == 2
        assert message in capsys.readouterr().err
    assert (small.folder / "README.md").read_text() == page
    assert main([*arguments, str(copy)]) == 0 and "done before" in capsys.readouterr().out


def test_the_page_names_all_commits_of_a_run(small, monkeypatch):
    small.folder.mkdir(parents=True)
    path = run_path(small.folder, TRIALS[1])
    path.parent.mkdir()
    for epochs, commit in ((1, "a" * 40), (2, "b" * 40), (3, "b" * 40), (4, "b" * 40 + "+changes")):
        monkeypatch.setattr(experiment, "versions", lambda: {
            "nanoemo": "0", "python": "3", "numpy": "2", "machine": "Linux-x86_64", "cores": 2, "commit": commit})
        assert carry_out(trial_settings(TRIALS[1], str(small.csv), limit=14, batch_size=7, epochs=epochs), path,
                         say=lambda line: None)
    assert [found["commit"][0] for found in RunFolder(path).config()["earlier_versions"]] == ["a", "b"]
    assert f"| {'a' * 12}, {'b' * 12}, {'b' * 12}+changes |" in write_page(small.folder, small.paper, "nanoemo").read_text()


def test_a_folder_with_other_settings_is_left_alone(small, capsys):
    arguments = ["reproduce", "small", "--quick", "--data", str(small.csv), "--only", "second"]
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, "--seed", "5"]) == 2
    assert "was begun with seed 0, not 5; give another folder with --out" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, message", [
    (["marugat"], "did you mean marrugat?"),
    (["marrugat"], "needs its data set, FER2013"),
    (["chater-audio"], "or --quick to see it run on clips made by formula"),
    (["series", "--speech"], "needs its data set, EMO-DB"),
    (["njoku", "--speech"], "--speech goes with series or chater, not with njoku"),
    (["marrugat", "--quick", "--only", "model 7"], "the trials are 'model 1', 'model 2'"),
    (["marrugat", "--data", "nowhere.csv"], "nowhere.csv")])
def test_bad_input_is_one_line(small, capsys, arguments, message):
    assert main(["reproduce", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(small.csv.parent.glob("reproduction/*/runs/*"))


def test_data_that_the_trials_cannot_divide(small, capsys):
    assert main(["reproduce", "chater", "--data", str(small.csv)]) == 2
    error = capsys.readouterr().err
    assert "the trials of chater are on CK+, and cannot be made with this --data: " in error
    assert "comes divided into train" in error
    assert "leave" not in error and error.count("\n") == 1 and not (small.csv.parent / "reproduction").exists()


def test_the_last_trial_cannot_be_made_and_the_first_is_not_begun(small, tmp_path, capsys):
    write_pictures(tmp_path / "mine", "happy", "sad")
    assert main(["reproduce", "chater", "--data", str(tmp_path / "mine")]) == 2
    told = capsys.readouterr()
    assert "cannot be made with this --data: " in told.err and "subject" in told.err
    assert not told.out and not (small.csv.parent / "reproduction").exists()


def test_drawn_faces_are_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paper = Paper("A paper", "CK+", (Trial("split", "chater.dcnn", {"test": 0.5}, {"epochs": 1, "limit": 70}),), "")
    assert carry_out(trial_settings(paper.trials[0]), run_path(tmp_path, paper.trials[0]), say=lambda line: None)
    assert "Drawn faces: the images are drawn by formula and show nobody" in \
        write_page(tmp_path, paper, "nanoemo").read_text()


def test_made_voices_are_called_so_and_stages_are_counted_together(tmp_path, monkeypatch):
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    monkeypatch.setattr(sanity, "check", partial(sanity.check, max_steps=1))     # learning by heart takes long, and 560 voices
    monkeypatch.setattr(voices, "drawn_voice_splits", lambda seed: {
        split: voices.drawn_voices(14, seed) for seed, split in enumerate(("train", "validation", "test"))})
    trial = Trial("split", "series.speech", {"test": 0.5},
                  {"epochs": 1, "limit": 14, "batch_size": 7, "options": {"cnn": "cnn1"}})
    paper = Paper("A paper", "EMO-DB", (trial,), "")
    assert carry_out(trial_settings(trial), run_path(tmp_path, trial), say=lambda line: None)
    for number, stage in enumerate(RunFolder(run_path(tmp_path, trial)).stages()):      # all unlike each other
        history = stage.history()
        write_json(stage.path / "history.json", [{**history[0], "accuracy": 0.1 * number, "seconds": 10.0 ** number}])
    result = Result.of_run(run_path(tmp_path, trial))
    assert result.seconds == 11111 and result.accuracies["training"] == pytest.approx(0.4)
    page = write_page(tmp_path, paper, "nanoemo").read_text()
    assert "Made voices: the clips are made by formula" in page and "faces" not in page and "images" not in page
    assert "made voices: 14 + 14 + 14" in page and "epoch 1 of 1 of the last stage" in page
    assert re.search(r"\| split \| test \| 50.00 % \| [\d.]+ % \| \S+ \| 5 \|", page)
    assert re.search(r"\| 1 \| train the CNN \| 1–4 \| 1 \| [\d.]+ % \| [\d.]+ % \|", page)
    assert re.search(r"\| 3 \| fine-tune \| 10 \| 1 \|  \|  \|", page), "an auto-encoder has no accuracy"


def test_quick_runs_of_voices_are_of_few_clips():
    settings = trial_settings(PAPERS["chater-audio"].trials[0], quick=True)
    assert (settings.epochs, settings.limit, settings.split_by) == (2, 35, "")
    assert trial_settings(PAPERS["chater"].trials[0], "CK+48", quick=True).limit == 700


def test_the_three_experiments_on_voices_are_run_in_all_ways():
    trials = [trial_settings(trial, "savee") for trial in PAPERS["chater-audio"].trials]
    assert [settings.split_by for settings in trials] == [*3 * ["random", "subject", "copies"], *2 * ["random", "subject"]]
    assert [settings.augment for settings in trials[:9:3]] == ["noise,stretch+pitch", *2 * ["noise,shift,pitch,stretch"]]
    assert {len(parse_changes(settings.augment)) for settings in trials[9:]} == {8}


@pytest.mark.parametrize("data,shown", [("/data/CK+48", "CK+48"), ("/data/savee+/data/emodb", "savee+emodb")])
def test_the_page_says_which_data_and_not_where_it_lies(data, shown):
    from nanoemo.cli.reproduce import _command
    args = argparse.Namespace(paper="chater", data=data, speech=False, quick=True, epochs=None, seed=None, device=None)
    assert _command(args) == f"nanoemo reproduce chater --data {shown} --quick"
