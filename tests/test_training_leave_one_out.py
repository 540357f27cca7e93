"""Leave-one-subject-out: everybody is tested on once, by a network that has not seen them; what was broken off goes on."""
import csv
import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from nanoemo import data, files, viz
from nanoemo.cli import leave_one_out, main
from nanoemo.data import jaffe
from nanoemo.training import LeaveOneOut, RunFolder, Settings, sanity
from training_runs import AfterChecks

pytestmark = pytest.mark.usefixtures("blank_pictures")

PEOPLE = ("KA", "KL", "YM")
SMALL = {"batch_size": 7, "epochs": 1}


@pytest.fixture
def portraits(tmp_path, monkeypatch, rng):
    """Three women, two pictures of each expression, in JAFFE's names. Learning by heart and drawing take long: cut short."""
    monkeypatch.setattr(sanity, "check", partial(sanity.check, max_steps=1))
    monkeypatch.setattr(viz, "to_png", lambda figure, dpi=None: b"a picture")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jaffe").mkdir()
    names = [f"{person}.{code}{take}" for person in PEOPLE for code in jaffe.CODES for take in (1, 2)]
    for number, name in enumerate(names):
        picture = rng.integers(0, 255, (64, 64), np.uint8)
        Image.fromarray(picture).save(tmp_path / "jaffe" / f"{name}.{number}.tiff")
    return str(tmp_path / "jaffe")


def table(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def made(portraits, path, stop=None):
    path.mkdir(exist_ok=True)
    with RunFolder(path) as folder:
        return LeaveOneOut(Settings.from_recipe("chater.dcnn", portraits, **SMALL)).run(folder, stop, say=lambda line: None)


def test_everybody_is_tested_on_once_as_a_stranger(portraits, tmp_path, capsys):
    assert main(["leave-one-out", "chater.dcnn", "--data", portraits, "--batch-size", "7", "--epochs", "1", "--out", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = tmp_path / "all"
    matrices = []
    for number, person in enumerate(PEOPLE, start=1):
        run = folder / f"{number}-{person}"
        config = json.loads((run / "config.json").read_text())
        assert config["settings"]["split_by"] == f"subject={person}" and config["data"]["images"]["test"] == 14
        matrices.append(np.array([row[1:] for row in table(run / "test" / "confusion_matrix.csv")[1:]], int))
    together = np.array([row[1:] for row in table(folder / "test" / "confusion_matrix.csv")[1:]], int)
    assert (together == sum(matrices)).all() and together.sum() == 42
    shares = [np.trace(matrix) / 14 for matrix in matrices]
    assert [(row[0], int(row[1]), float(row[2])) for row in table(folder / "subjects.csv")[1:]] == [
        (person, 14, pytest.approx(share)) for person, share in zip(PEOPLE, shares)]
    report = json.loads((folder / "test" / "classification_report.json").read_text())
    assert report["accuracy"] == pytest.approx(np.mean(shares))
    losses = [row["loss"] for row in json.loads((folder / "subjects.json").read_text())]
    assert report["loss"] == pytest.approx(np.mean(losses))
    assert (f"{100 * np.mean(shares):.2f} ± {100 * np.std(shares):.2f} % (mean and spread of 3); "
            f"{100 * np.mean(shares):.2f} % of all 42") in lines[-2]
    assert (folder / "subjects.png").exists()


def test_what_was_broken_off_goes_on_to_the_same_table(portraits, tmp_path, capsys):
    whole = made(portraits, tmp_path / "whole")
    broken = tmp_path / "broken"
    assert made(portraits, broken, AfterChecks(20)) is None
    assert [RunFolder(path).is_finished for path in sorted(broken.glob("*-*"))] == [True, False]
    assert not (broken / "subjects.csv").exists()
    assert main(["leave-one-out", "--resume", str(broken)]) == 0
    assert f"{broken}/1-KA: done before" in capsys.readouterr().out
    assert json.loads((broken / "subjects.json").read_text()) == whole


def test_people_that_have_changed(portraits, tmp_path, capsys):
    assert made(portraits, tmp_path / "run", stop=True) is None
    for picture in (tmp_path / "jaffe").glob("KA.*"):
        picture.rename(picture.with_name(picture.name.replace("KA", "NA")))
    assert main(["leave-one-out", "--resume", "run"]) == 2
    assert "began on other people" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, message", [
    ([], "which model?"),
    (["chater.dcn", "--data", "jaffe"], "did you mean chater.dcnn"),
    (["series.conv_ae", "--data", "jaffe"], "series.conv_ae is an auto-encoder"),
    (["chater.dcnn"], "needs a data set that says who each example is of"),
    (["chater.dcnn", "--data", "jaffe", "--split-by", "random"], "each person is left out in turn; leave it out"),
    (["chater.dcnn", "--data", "pictures"], "nothing tells the subject"),
    (["chater.dcnn", "--data", "nowhere"], "nowhere"),
    (["--resume", "jaffe"], "jaffe has no leave_one_out.json"),
    (["chater.dcnn", "--epochs", "3", "--resume", "jaffe"], "leave model, epochs out")])
def test_bad_input_is_one_line(portraits, tmp_path, capsys, arguments, message):
    for number in range(4):
        (tmp_path / "pictures" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 48), number, np.uint8)).save(tmp_path / "pictures" / "ab"[number % 2] / f"{number}.png")
    assert main(["leave-one-out", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "runs").exists()


def test_voices_are_left_out_by_speaker_and_copies_are_of_the_others_alone(monkeypatch):
    """Where copies are asked for, none are made to find out who speaks."""
    asked = []
    voices = data.divide(data.drawn_voices(70), "random")
    clips = {name: part for name, part in voices.items()}
    for part in clips.values():
        part.groups["subject"] = np.array([f"speaker {number % 3}" for number in range(len(part))])
    monkeypatch.setattr(data, "load_clips", lambda *given, **named: asked.append((given, named)) or clips)
    people = LeaveOneOut(Settings.from_recipe("chater.conv1d", "somewhere", augment="noise"))
    assert people.subjects == ["speaker 0", "speaker 1", "speaker 2"]
    assert people.settings_of("speaker 1").split_by == "subject=speaker 1" and people.settings_of("speaker 1").augment == "noise"
    assert people.path_of(RunFolder("x"), "speaker 1").name == "2-speaker-1"
    (given, named), = asked
    assert given[3:] == ("subject", []) and "changes" not in named


@pytest.mark.parametrize("values", [{}, {"KA": 1.2}, {"KA": float("nan")}])
def test_a_figure_of_what_are_no_shares(values):
    with pytest.raises(ValueError, match="group_accuracy: expected (a share|shares) from 0 to 1"):
        viz.group_accuracy(values, 1 / 7)


@pytest.mark.parametrize("shares, mean, spread", [((0.5, 0.52), "mean 51.0 %", "spread 1.0 points"),
                                                  ((0.2, 0.8), "mean 50 %", "spread 30 points")])
def test_the_figure_tells_a_small_spread_to_a_tenth(shares, mean, spread):
    legend, = viz.group_accuracy(dict(zip("ab", shares)), 1 / 7).legends
    assert [text.get_text() for text in legend.get_texts()][:2] == [mean, spread]


def test_the_figure_names_few_people_and_counts_many():
    few = viz.group_accuracy({"KA": 0.5, "KL": 1.0}, 1 / 7).axes[0]
    many = viz.group_accuracy({str(number): number / 100 for number in range(100)}, 1 / 7).axes[0]
    assert few.get_xlabel() == "person" and [label.get_text() for label in few.get_xticklabels()] == ["KL", "KA"]
    assert many.get_xlabel() == "person, 100 of them, the most accurate first" and not many.get_xticks().size


def test_people_and_pictures_are_counted_apart(capsys):
    leave_one_out._show([{"subject": "a", "accuracy": 0.0, "examples": 1}, {"subject": "b", "accuracy": 1.0, "examples": 3}])
    out = capsys.readouterr().out
    assert "50.00 ± 50.00 %" in out and "75.00 % of all 4" in out


def test_the_loss_of_all_counts_each_picture(portraits, tmp_path):
    people = LeaveOneOut(Settings.from_recipe("chater.dcnn", portraits, **SMALL))
    for subject in people.subjects:
        run = people.path_of(RunFolder(tmp_path / "all"), subject)
        (run / "test").mkdir(parents=True)
        about = {"classes": ["a", "b"], "fingerprint": "", "image_shape": [48, 48, 1], "images": {}, "name": "JAFFE"}
        files.write_json(run / "config.json", {"data": about, "settings": {"model": "chater.dcnn", "data": None}})
        files.write_csv(run / "test" / "confusion_matrix.csv", ["true class", "a", "b"], [["a", 1, 0], ["b", 0, 1]])
    rows = [{"examples": examples, "loss": loss} for examples, loss in ((1, 2.0), (3, 4.0), (4, 0.0))]
    assert people._together(RunFolder(tmp_path / "all"), rows).loss == 14 / 8


def test_a_limit_loses_nobody(portraits):
    """Of two people more, of whom the training set has several."""
    for person in ("NA", "TM"):
        for code in jaffe.CODES:
            Image.new("L", (64, 64), ord(person[0])).save(f"{portraits}/{person}.{code}1.99.tiff")
    assert len(LeaveOneOut(Settings.from_recipe("chater.dcnn", portraits, **SMALL, limit=1)).subjects) == 5


def test_chance_is_that_of_a_class(portraits, tmp_path, monkeypatch):
    drawn, draw = [], viz.group_accuracy
    monkeypatch.setattr(viz, "group_accuracy", lambda shares, chance, *rest: drawn.append(chance) or draw(shares, chance, *rest))
    made(portraits, tmp_path / "all")
    assert drawn == [1 / 7]
