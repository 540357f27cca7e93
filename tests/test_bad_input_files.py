"""Files that cannot be used, from the command: one line that says why, exit status 2, and nothing left behind."""
import builtins
import errno
import json
import os
import re
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from nanoemo import load_state, models, save_state, serialization
from nanoemo.cli import main
from nanoemo.training import Experiment, RunFolder, RunFolderError, checkpoint
from command_line import error_of

pytestmark = pytest.mark.usefixtures("blank_pictures")

MODEL = "chater.dcnn"
HEADER = "emotion,pixels,Usage"
FACE = " ".join(["7"] * 2304)
USAGES = ("Training", "PublicTest", "PrivateTest")


def rows(count=21):
    return [f"{n % 7},{FACE},{USAGES[n // 7 % 3]}" for n in range(count)]


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """Everything that a command could leave behind would be left here."""
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def csv(*lines):
    def write(path):
        path.write_text("\n".join(lines) + "\n")
    return write


def images(change):
    """A folder of faces, train/ and test/, of which one is changed."""
    def write(path):
        for split, usage in (("train", "Training"), ("test", "PublicTest"), ("test", "PrivateTest")):
            folder = path / split / "happy"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((48, 48), 100, np.uint8)).save(folder / f"{usage}_1.jpg")
        change(path / "train" / "happy" / "Training_1.jpg")
    return write


def archive(name):
    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("fer2013.csv", "\n".join([HEADER, *rows()]))
            file.writestr(name, "outside")
    return write


def colour(file):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(file)


def picture(*names):
    def write(path):
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(path / name)
    return write


BAD_DATA = {     # what is wrong -> (name, how to make it, words of the message)
    "short row": ("a.csv", csv(HEADER, *rows(), "3,1 2 3,Training"), "a.csv.*row 22: 3 pixels; expected 2304"),
    "missing cell": ("a.csv", csv(HEADER, *rows(), f"3,{FACE}"), "a.csv.*row 22: expected 3 columns"),
    "wrong label": ("a.csv", csv(HEADER, *rows(), f"7,{FACE},Training"), "a.csv.*row 22: emotion '7'; expected a"),
    "missing column": ("a.csv", csv("emotion,pixels", f"3,{FACE}"), "a.csv.*the header lacks usage"),
    "non-numeric pixel": ("a.csv", csv(HEADER, f"3,x{FACE[1:]},Training"), "a.csv.*row 1: pixel 0 is 'x'"),
    "empty file": ("a.csv", lambda path: path.write_bytes(b""), "a.csv.*the file is empty"),
    "no images": ("faces", lambda path: (path / "train" / "happy").mkdir(parents=True), "faces: no data set found"),
    "truncated JPEG": ("faces", images(lambda file: file.write_bytes(file.read_bytes()[:-300])),
                       "Training_1.jpg: not a readable image"),
    "colour image": ("faces", images(colour), "Training_1.jpg: a colour image; expected gray"),
    "zip that climbs out": ("a.zip", archive("../outside.txt"), "a.zip.*'../outside.txt' leads out of the archive"),
    "zip cut short": ("a.zip", lambda path: path.write_bytes(b"PK\x03\x04" + b"\0" * 50), "a.zip: not a readable zip"),
    "one class": ("mine", picture("sad/1.png", "sad/2.png"), "mine: one class only, 'sad'"),
    "picture beside folders": ("mine", picture("sad/1.png", "happy/1.png", "me.png"), "me.png: does not lie in the folder"),
    "a folder named .csv": ("a.csv", lambda path: path.mkdir(), "a.csv: no data set found"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_data_that_cannot_be_used(tmp_path, capsys, case):
    name, make, words = BAD_DATA[case]
    (tmp_path / "data").mkdir()
    make(tmp_path / "data" / name)
    assert re.search(words, error_of(capsys, "train", MODEL, "--data", tmp_path / "data" / name, "--out", "run"))
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
            and not path.is_relative_to(tmp_path / "data") and not path.is_relative_to(tmp_path / "cache" / "seen")}
    assert not left and not (tmp_path / "run").exists()


# ---- checkpoints ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch on 21 gray images."""
    place = tmp_path_factory.mktemp("trained")
    csv(HEADER, *rows())(place / "gray.csv")
    assert main(["train", MODEL, "--data", str(place / "gray.csv"), "--epochs", "1", "--batch-size", "7",
                 "--out", str(place / MODEL)]) == 0
    return place


@pytest.fixture
def run(trained, tmp_path):
    """A run's folder, to be damaged."""
    return shutil.copytree(trained / MODEL, tmp_path / "run")


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def of_another_model(path):
    _, meta = checkpoint.load(path)
    other = models.build("alizadeh.deep", input_shape=(16, 16, 1))
    checkpoint.save(path, {f"model.{name}": array for name, array in other.state_dict().items()}, meta)


def with_a_nan(path):
    """A file in good order but for the number in it."""
    arrays, meta = checkpoint.load(path)
    next(array for name, array in arrays.items() if name.startswith("model."))[0] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "first_not_finite", lambda arrays: "")
        checkpoint.save(path, arrays, meta)


def bare_weights(path):
    save_state({"weight": np.ones(3)}, path)


@pytest.mark.parametrize("command, name", [(["train", "--resume"], "last"), (["evaluate"], "best")])
@pytest.mark.parametrize("damage, words", [
    (cut_short, "{name}.safetensors: damaged or cut short"),
    (of_another_model, "{name}.safetensors: the (checkpoint does|weights do) not fit .*missing"),
    (with_a_nan, r"{name}.safetensors: model\.\S+ holds nan at index"),
    (bare_weights, "{name}.safetensors: a safetensors file, but not a checkpoint"),
])
def test_checkpoint_that_cannot_be_used(run, capsys, command, name, damage, words):
    path = run / "checkpoints" / f"{name}.safetensors"
    damage(path)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    assert re.search(words.format(name=name), error_of(capsys, *command, run))
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("command", [["predict", "run", "--whole", "face.png"], ["webcam", "run"], ["show", "samples", "run"],
                                     ["ensemble", "run", "other"], ["evaluate", "run"], ["train", "--resume", "run"]])
def test_a_checkpoint_with_a_nan_is_told_as_fits_every_command(run, capsys, command):
    shutil.copytree(run, run.parent / "other")
    for name in ("best", "last"):
        with_a_nan(run / "checkpoints" / f"{name}.safetensors")
    picture("face.png")(run.parent)
    assert re.search(r"run/checkpoints/\w+.safetensors: model\.\S+ holds nan at index .*; training cannot go on from it, and an "
                     "answer of its network would mean nothing; take another run, or train anew\n$", error_of(capsys, *command))


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"settings": {"model": "njoku.cnn"}}', "no json"])
@pytest.mark.parametrize("command", [["train", "--resume"], ["evaluate"]])
def test_config_that_cannot_be_used(run, capsys, command, config):
    (run / "config.json").write_text(config)
    assert "config.json" in error_of(capsys, *command, run)


@pytest.mark.parametrize("damage", [lambda config: config.pop("data"), lambda config: config["data"].update(classes=None),
                                    lambda config: config["settings"].update(lr=None)])
@pytest.mark.parametrize("command", [["train", "--resume"], ["evaluate"], ["predict", "--whole"]])
def test_config_without_its_data(run, capsys, command, damage):
    config = json.loads((run / "config.json").read_text())
    damage(config)
    (run / "config.json").write_text(json.dumps(config))
    assert "config.json" in error_of(capsys, *command, run, *(["face.png"] if command[0] == "predict" else []))


@pytest.mark.parametrize("damage, words", [
    (lambda config: config["data"]["classes"].__setitem__(0, None), r"the classes of 'data' are \[None, "),
    (lambda config: config["data"]["image_shape"].__setitem__(1, None), r"the image_shape of 'data' is \[48, None, 1\]; expe"),
    (lambda config: config["data"]["image_shape"].__setitem__(1, True), r"the image_shape of 'data' is \[48, True, 1\]"),
    (lambda config: config["data"]["image_shape"].__setitem__(1, 0), r"the image_shape of 'data' is \[48, 0, 1\]"),
    (lambda config: config["settings"].update(data=True), "the data of 'settings' is True; expected a path or null"),
    (lambda config: config["settings"].update(model=5), "the model of 'settings' is 5; expected a name"),
    (lambda config: config["settings"].pop("model"), "the model of 'settings' is None; expected a name"),
    (lambda config: config.update(settings=True), "'settings' is True; expected values by name"),
    (lambda config: config.update(earlier_versions=True), "'earlier_versions' is True; expected a list of versions"),
    (lambda config: config.update(earlier_versions=["1"]), r"'earlier_versions' is \['1'\]; expected a list of versions"),
])
@pytest.mark.parametrize("command", [
    ["train", "--resume", "run"], ["evaluate", "run"], ["predict", "run", "--whole", "face.png"], ["webcam", "run"],
    ["show", "curves", "run"], ["show", "samples", "run"], ["fuse", "run", "run"]])
def test_config_of_other_types(run, capsys, command, damage, words):
    config = json.loads((run / "config.json").read_text())
    damage(config)
    (run / "config.json").write_text(json.dumps(config))
    picture("face.png")(run.parent)
    assert re.search(f"run/config.json: not the settings of a run: {words}", error_of(capsys, *command))


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"not an array"])
def test_mean_image_that_cannot_be_read(run, content):
    (run / "mean_image.npy").write_bytes(content)
    with pytest.raises(RunFolderError, match="mean_image.npy: damaged or cut short; nanoemo train --resume .* writes it"):
        RunFolder.open(run).mean_image()


def test_standardisation_of_another_shape_or_none(run):
    folder = RunFolder.open(run)                    # its examples are (48, 48, 1)
    with pytest.raises(RunFolderError, match="standardisation.npy: there is no such file; nanoemo train --resume"):
        folder.standardisation()
    for shape in ((3, 48, 48, 1), (2, 48, 47, 1), (2,), (1, 48, 48, 1), (2, 2, 48, 48, 1)):
        np.save(run / "standardisation.npy", np.ones(shape))
        with pytest.raises(RunFolderError, match=r"of shape .*, where \(2, 48, 48, 1\) is expected"):
            folder.standardisation()
    np.save(run / "standardisation.npy", np.ones((2, 1, 48, 1)))
    assert folder.standardisation().mean.shape == (1, 48, 1)


@pytest.mark.parametrize("history", ['[{"epoch": 1}]', "[]", "[3]", "5", "[", '{"epoch": 1}'])
def test_a_damaged_history_is_one_line_and_written_anew_when_resumed(run, capsys, history):
    path = run / "history.json"
    whole = path.read_text()
    path.write_text(history)
    for command in ("curves", "time"):
        assert "history.json: damaged" in error_of(capsys, "show", command, run)
    assert main(["train", "--resume", str(run)]) == 0
    assert path.read_text() == whole


@pytest.mark.parametrize("checks", ["{", "[]", "{}", '{"overfit_accuracy": 1.0}'])
def test_damaged_checks_are_found_before_anything_is_computed(run, capsys, monkeypatch, checks):
    (run / "sanity.json").write_text(checks)
    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "run", lambda *anything: pytest.fail("it has begun"))
        assert "sanity.json: damaged, or not the checks of a run; remove this file" in error_of(capsys, "train", "--resume", run)
    (run / "sanity.json").unlink()
    assert main(["train", "--resume", str(run)]) == 0
    assert not (run / "sanity.json").exists(), "checks of an untrained network cannot be made of one that has learnt"


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_with_a_nan(tmp_path, monkeypatch, suffix, value):
    path, bad = tmp_path / f"weights.{suffix}", {"bias": np.zeros(2), "weight": np.array([[1.0, value]])}
    with pytest.raises(ValueError, match=rf"weight holds {value} at index \(0, 1\); .*weights.{suffix} is not written"):
        save_state(bad, path)
    assert not path.exists()
    with monkeypatch.context() as patch:
        patch.setattr(serialization, "first_not_finite", lambda arrays: "")
        save_state(bad, path)
    with pytest.raises(ValueError, match=rf"weights.{suffix}: weight holds {value} at index \(0, 1\); these weights"):
        load_state(path)


# ---- places that cannot be written to -----------------------------------------------------------------------------


def test_a_folder_that_may_only_be_read(tmp_path, trained, capsys):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere, so no folder is read-only")
    err = error_of(capsys, "train", MODEL, "--data", trained / "gray.csv", "--out", folder / "run")
    assert "locked/run: Permission denied" in err and not list(folder.iterdir())


def test_a_run_whose_folder_became_read_only(run, capsys, monkeypatch):
    """Refused by the system when the first file is opened for writing, wherever that is."""
    open_file = builtins.open

    def read_only(file, mode="r", *rest, **options):
        if str(file).startswith(str(run)) and set(mode) & set("wax+"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        return open_file(file, mode, *rest, **options)

    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    monkeypatch.setattr(builtins, "open", read_only)
    assert "Read-only file system" in error_of(capsys, "train", "--resume", run, "--epochs", "2")
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_full_disk_leaves_the_last_good_checkpoint(run, capsys, monkeypatch):
    before = {name: (run / "checkpoints" / name).read_bytes() for name in ("last.safetensors", "best.safetensors")}

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in error_of(capsys, "train", "--resume", run, "--epochs", "2")
    assert {name: (run / "checkpoints" / name).read_bytes() for name in before} == before
    assert not list(run.rglob("*.tmp"))
    monkeypatch.undo()
    checkpoint.load(run / "checkpoints" / "last.safetensors")
    assert main(["evaluate", str(run), "--split", "test"]) == 0
