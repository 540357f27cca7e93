"""What lies around a command: files of others, pipes, folders that cannot be read, runs that have lost a file, closed output."""
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from nanoemo import data, viz
from nanoemo.cli import main
from nanoemo.data import DataError
from nanoemo.data.source import Source, files_at
from nanoemo.training import RunFolder, RunFolderError
from command_line import error_of
from small_data import write_bands, write_pictures

SMALL = ["--limit", "14", "--batch-size", "7"]


# ---- what is there already

@pytest.mark.parametrize("name, message", [("README.md", "README.md was not written by nanoemo reproduce, and would be lost"),
                                           ("notes.txt", "is not empty, and holds no reproduction")])
def test_a_reproduction_writes_over_nothing_of_others(tmp_path, capsys, name, message):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("my own notes")
    assert message in error_of(capsys, "reproduce", "njoku", "--quick", "--out", tmp_path / "mine")
    assert (tmp_path / "mine" / name).read_text() == "my own notes" and len(list((tmp_path / "mine").iterdir())) == 1
    (tmp_path / "file").write_text("")
    assert "file is a file, but the page needs a folder" in error_of(capsys, "reproduce", "njoku", "--quick", "--out",
                                                                     tmp_path / "file")


# ---- runs that have lost a file

@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surroundings")
    csv = write_bands(folder / "bands.csv")
    assert main(["train", "series.cnn1", "--data", str(csv), "--epochs", "1", *SMALL, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.parametrize("lost", ["last", "best"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_run_without_a_checkpoint_is_not_begun_anew(small_run, tmp_path, capsys, lost, finished):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / "checkpoints" / f"{lost}.safetensors").unlink()
    if not finished:
        (run / "report.html").unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert f"{lost}.safetensors is gone" in error_of(capsys, "train", "--resume", run, "--epochs", "2")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_the_command_to_go_on_can_be_pasted(tmp_path):
    assert RunFolder(tmp_path / "my run's").to_resume().endswith("""/my run'"'"'s'""")
    assert RunFolder("runs/a").to_resume("search") == "nanoemo search --resume runs/a"


def test_runs_that_are_there_are_named(tmp_path):
    for number in range(10):
        (tmp_path / f"run-{number}").mkdir()
        (tmp_path / f"run-{number}" / "config.json").write_text("{}")
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "config.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"did you mean .*faces\?; runs there: .*faces, .* and 3 more"):
        RunFolder.open(tmp_path / "face")
    (tmp_path / "note").write_text("")
    with pytest.raises(RunFolderError, match="note: a file, and not a run's folder"):
        RunFolder.open(tmp_path / "note")


def test_a_picture_more_and_the_division_is_another_one(tmp_path, capsys):
    write_pictures(tmp_path / "mine", "happy", "sad")
    assert main(["train", "series.cnn1", "--data", str(tmp_path / "mine"), "--epochs", "1", "--batch-size", "7", "--out",
                 str(tmp_path / "run")]) == 0
    warned = "but not just as"
    assert main(["evaluate", str(tmp_path / "run")]) == 0 and warned not in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "run"), "--limit", "3"]) == 0 and warned not in capsys.readouterr().err
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(tmp_path / "mine" / "sad" / "more.png")
    assert main(["evaluate", str(tmp_path / "run")]) == 0 and warned in capsys.readouterr().err


@pytest.mark.parametrize("command", [["evaluate"], ["train", "--epochs", "2", "--resume"]])
def test_data_that_have_moved_are_known_as_the_runs_own(small_run, tmp_path, capsys, command):
    run, bands, moved = tmp_path / "run", small_run.parent / "bands.csv", tmp_path / "moved.csv"
    shutil.copytree(small_run, run)
    shutil.copy(bands, moved)
    config = (run / "config.json").read_text()
    (run / "config.json").write_text(config.replace(str(bands), str(tmp_path / "gone.csv")))
    err = error_of(capsys, *command, run)
    assert "gone.csv: no such file or folder" in err
    assert f"{run} was trained on it: say where it lies now, with --data" in err
    assert main([*command, str(run), "--data", str(moved)]) == 0
    assert "was trained on it" not in error_of(capsys, *command, run, "--data", tmp_path / "nowhere.csv")


# ---- files and folders that cannot be read

def test_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "sad").mkdir()
    os.mkfifo(tmp_path / "sad" / "p.png")
    with Source(tmp_path) as source, pytest.raises(DataError, match="p.png: not an ordinary file but a pipe or a device"):
        source.read("sad/p.png")
    with pytest.raises(DataError, match="p.png: not an ordinary file but a pipe"):
        files_at(tmp_path / "sad" / "p.png", lambda name: True, "pictures", "a.png")
    (tmp_path / "sad" / "folder.png").mkdir()
    (tmp_path / "sad" / "a.png").touch()
    assert [path.name for path in files_at(tmp_path / "sad", lambda name: True, "pictures", "a.png")] == ["a.png"]


def test_a_folder_that_cannot_be_looked_into_is_an_error(tmp_path, monkeypatch):
    """It may be a class. (As root one can look into all.)"""
    def walk(path, onerror):
        onerror(PermissionError(13, "Permission denied", str(path / "anger")))
        return []

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(DataError, match="anger: cannot be read: Permission denied"):
        Source(tmp_path)


def test_pictures_that_cannot_fit_into_memory_are_refused_before_they_are_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1 << 16)                   # pages, and bytes a page: 4 GiB
    write_pictures(tmp_path / "mine", "happy", "sad")
    err = error_of(capsys, "train", "series.cnn1", "--data", tmp_path / "mine", "--image-shape", "9999x9999")
    assert "mine: 40 pictures of 9999 × 9999 × 1 take 7 GiB to read, and this machine has 4" in err


# ---- output

def nanoemo(command, **environment):
    return subprocess.run(f"{sys.executable} -m nanoemo {command}", shell=True, capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_output_may_be_closed():
    done = nanoemo("models >&-")
    assert done.returncode == 0 and done.stderr == ""


def test_signs_that_the_terminal_does_not_have_are_replaced():
    done = nanoemo("summary njoku.cnn", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and done.stderr == "" and "2,489,095" in done.stdout


def test_paths_that_are_empty(capsys):
    with pytest.raises(SystemExit) as left:
        main(["train", "njoku.cnn", "--data", ""])
    assert left.value.code == 2 and "--data was given an empty path" in capsys.readouterr().err


def test_bench_knows_beforehand_that_it_cannot_write(tmp_path, capsys):
    assert f"--json {tmp_path}: a file cannot be written there" in error_of(capsys, "bench", "series.cnn1", "--json", tmp_path)


def test_predict_says_why_its_folder_cannot_be_made(small_run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "a.png")
    err = error_of(capsys, "predict", small_run, tmp_path / "a.png", "--whole", "--out", tmp_path / "file" / "out")
    assert "Not a directory" in err


def test_a_warning_is_given_once_and_letters_without_a_picture_in_one(tmp_path, capsys, monkeypatch):
    def run(args):
        for text in ("Glyph 26085 (\\N{CJK}) missing from font(s) DejaVu Sans.", "Glyph 1 (x) missing from font(s) A.", "full"):
            warnings.warn(text, stacklevel=1)
            warnings.warn_explicit(text, UserWarning, "elsewhere.py", 1)
        return 0

    monkeypatch.setattr("nanoemo.cli.models.run", run)
    assert main(["models"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "nanoemo models: warning: a name has letters that the font of the figures does not have; they are drawn as boxes",
        "nanoemo models: warning: full"]


# ---- figures

def test_long_names_of_classes_leave_room():
    long = "somewhere between contempt, anger and a headache"
    figures = [viz.confusion_matrix(np.eye(2, dtype=int), ["sad", long]), viz.per_class_accuracy([0.5, 1.0], ["sad", long]),
               viz.class_counts({"train": {"sad": 3, long: 4}})]
    for figure in figures:
        axes = figure.axes[0]
        ticks = {text.get_text() for text in (*axes.get_xticklabels(), *axes.get_yticklabels())}
        assert "somewhere between contem…" in ticks and long not in ticks


def test_figures_of_runs_say_what_they_are_of(small_run, tmp_path, monkeypatch):
    drawn = []
    for name in ("run_curves", "class_table"):
        draw = getattr(viz, name)
        monkeypatch.setattr(viz, name, lambda *args, draw=draw: drawn.append(draw(*args)) or drawn[-1])
    for figure in ("curves", "classes"):
        assert main(["show", figure, str(small_run), "--out", str(tmp_path / "figure.png")]) == 0
    name = RunFolder.open(small_run).config()["data"]["name"]
    assert [figure.get_suptitle() for figure in drawn] == [f"Loss and accuracy on {name}",
                                                           f"Accuracy of each class, test set of {name} (%)"]


def test_labels_of_a_crowd_do_not_cover_each_other():
    rows = np.full((5, 7), 1 / 7)
    faces = [(20 + 40 * n, 50, 10, 0) for n in range(5)]
    few, many = (viz.faces_in_photo(np.zeros((100, 200, 3), np.uint8), faces[:n], rows[:n], data.fer2013.CLASS_NAMES)
                 for n in (4, 5))
    assert [text.get_text() for text in few.axes[0].texts][0] == "1  angry 14 %"
    assert [text.get_text() for text in many.axes[0].texts] == ["1", "2", "3", "4", "5"]
    assert many.axes[1].get_title() == "1  angry 14 %"
