"""Files, run folders and checkpoints: whole or not at all, one writer, one clear error."""
import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from nanoemo import files, viz
from nanoemo.training import Predictions, checkpoint, report
from nanoemo.training.evaluation import describe_unseen, write_evaluation
from nanoemo.training.runfolder import RunFolder, RunFolderError

ARRAYS = {"model.w": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer.step": np.array(3)}
META = {"epoch": 1, "random": {"state": 2**127 + 1}, "tally": {"loss_sum": 0.1 + 0.2}}


@pytest.fixture
def small_disk():
    """Files of this process may not grow beyond 10 kB: what a full disk does, without filling one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_write_is_whole_or_not_at_all(tmp_path, small_disk):
    path = tmp_path / "table.csv"
    files.write_file(path, "old")
    with pytest.raises(OSError) as caught:
        files.write_file(path, "x" * 20_000)
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_threads_that_write_one_file_leave_one_of_theirs_whole(tmp_path):
    contents = [letter * 100_000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda content: files.write_file(tmp_path / "one", content), contents * 20))
    assert (tmp_path / "one").read_text() in contents and [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_name_as_long_as_a_name_may_be_can_be_written(tmp_path):
    files.write_file(tmp_path / ("n" * 255), "text")
    assert (tmp_path / ("n" * 255)).read_text() == "text"


def test_json_refuses_nan_and_names_a_damaged_file(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    (tmp_path / "b.json").write_text('{"loss": ')
    with pytest.raises(ValueError, match="b.json"):
        files.read_json(tmp_path / "b.json")
    assert not (tmp_path / "a.json").exists()


def test_checkpoint_gives_back_every_bit(tmp_path):
    checkpoint.save(tmp_path / "c.safetensors", ARRAYS, META)
    arrays, meta = checkpoint.load(tmp_path / "c.safetensors")
    assert meta == META
    assert arrays.keys() == ARRAYS.keys()
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype and array.shape == ARRAYS[name].shape
        assert array.tobytes() == ARRAYS[name].tobytes()


def test_an_array_that_is_a_view_of_another_one_comes_back_as_it_looks(tmp_path):
    """safetensors writes the bytes as they lie in memory; so they must lie in order."""
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    views = {"w": transposed, "every_other": transposed[:, ::2], "reversed": transposed[::-1]}
    checkpoint.save(tmp_path / "c.safetensors", views, META)
    arrays, _ = checkpoint.load(tmp_path / "c.safetensors")
    for name, view in views.items():
        np.testing.assert_array_equal(arrays[name], view)


def damage_cut(data):
    return data[:-5]


def damage_header(data):
    return data[:4]


def damage_bit(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def damage_meta(data):
    assert b'\\"epoch\\": ' in data
    at = data.index(b'\\"epoch\\": ') + len(b'\\"epoch\\": ')
    return data[:at] + (b"7" if data[at:at + 1] != b"7" else b"8") + data[at + 1:]


def damage_all(data):
    return b"not a checkpoint at all" * 10


def damage_empty(data):
    return b""


@pytest.mark.parametrize("damage", [damage_cut, damage_header, damage_bit, damage_meta, damage_all, damage_empty])
def test_damaged_checkpoint_is_one_clear_error(tmp_path, damage):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, ARRAYS, META)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(checkpoint.CheckpointError, match="c.safetensors: damaged"):
        checkpoint.load(path)


def test_foreign_and_absent_checkpoints(tmp_path):
    import safetensors.numpy

    safetensors.numpy.save_file(ARRAYS, tmp_path / "weights.safetensors")
    with pytest.raises(checkpoint.CheckpointError, match="not a checkpoint of a training run"):
        checkpoint.load(tmp_path / "weights.safetensors")
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "absent.safetensors")


def test_nan_never_replaces_a_good_checkpoint(tmp_path):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, ARRAYS, META)
    with pytest.raises(checkpoint.CheckpointError, match="model.w holds nan at index .1,."):
        checkpoint.save(path, {**ARRAYS, "model.w": np.array([1, np.nan], np.float32)}, META)
    assert checkpoint.load(path)[1] == META


def test_full_disk_keeps_the_older_checkpoint(tmp_path, small_disk):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, ARRAYS, META)
    with pytest.raises(OSError):
        checkpoint.save(path, {"model.w": np.zeros(50_000, np.float32)}, META)
    assert checkpoint.load(path)[1] == META
    assert os.listdir(tmp_path) == ["c.safetensors"]


def test_run_folder_is_fresh_or_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(RunFolder.create(model="njoku.cnn").path) == "runs/njoku.cnn-1"
    assert str(RunFolder.create(model="njoku.cnn").path) == "runs/njoku.cnn-2"
    mine = RunFolder.create("mine")
    mine.write_config({"a": 1})
    with pytest.raises(RunFolderError, match="not empty.*--resume mine"):
        RunFolder.create("mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        RunFolder.create("file")


def test_full_disk_at_the_start_leaves_a_folder_that_can_be_used(tmp_path, small_disk):
    with pytest.raises(OSError):
        RunFolder.create(tmp_path).write_config({"a": "x" * 20_000})
    RunFolder.create(tmp_path).write_config({"a": 1})


def test_open_says_what_is_missing(tmp_path):
    with pytest.raises(RunFolderError, match="no such folder"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(RunFolderError, match="no config.json"):
        RunFolder.open(tmp_path)


def test_snapshots_come_in_the_order_of_their_epochs(tmp_path):
    folder = RunFolder(tmp_path)
    folder.snapshots_path.mkdir()
    for epoch in (16384, 8192, 0, "best"):
        (folder.snapshots_path / f"epoch-{epoch}.safetensors").touch()
    assert list(folder.snapshots()) == [0, 8192, 16384]


def test_the_report_reads_the_table_as_it_was_written(tmp_path, monkeypatch):
    files.write_file(tmp_path / "summary.txt", "Layer\n─────")
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, encoding="ascii": read(path, encoding))      # of another locale
    assert "─────" in report._summary(RunFolder(tmp_path))


def test_one_process_at_a_time(tmp_path):
    code = f"""
from nanoemo.training.runfolder import RunFolder, RunFolderError
try:
    with RunFolder({str(tmp_path)!r}):
        print("free")
except RunFolderError as error:
    print(error)
"""

    def other_process():
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    with RunFolder(tmp_path):
        assert "in use by another process" in other_process()
    assert other_process() == "free\n"


def test_lock_clears_what_a_killed_process_left_half_written(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_config({})
    (tmp_path / "checkpoints" / ".last.safetensors.123.tmp").write_bytes(b"half")
    with folder:
        assert os.listdir(tmp_path / "checkpoints") == []


def test_history_files(tmp_path):
    row = {"epoch": 1, "loss": 0.5, "accuracy": 0.25, "val_loss": None, "val_accuracy": None, "seconds": 1.5,
           "images_per_second": 100.0, "waiting": 0.02, "lr": 0.001}
    RunFolder(tmp_path).write_history([row])
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,loss,accuracy,val_loss,val_accuracy,seconds,images_per_second,waiting,lr\n"
        "1,0.5,0.25,,,1.5,100.0,0.02,0.001\n")
    assert json.loads((tmp_path / "history.json").read_text()) == [row]
    del row["waiting"]                          # as in runs from before it was measured
    RunFolder(tmp_path).write_history([row])
    assert "1.5,100.0,,0.001" in (tmp_path / "history.csv").read_text()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_file(path, "before")

    def fails(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="a.json"):
        files.write_file(path, "after")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["a.json"]


def test_what_is_forced_to_the_disk_is_all_of_it(tmp_path, monkeypatch):
    forced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: forced.append(os.fstat(descriptor).st_size))
    files.write_file(tmp_path / "a.json", "12345")
    assert forced == [5]


def test_a_checkpoint_with_numbers_that_are_none_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    with monkeypatch.context() as patch:                # as another program might write it
        patch.setattr(checkpoint, "first_not_finite", lambda arrays: "")
        checkpoint.save(path, {"model.w": np.array([1.0, np.nan])}, {"epoch": 1})
    with pytest.raises(checkpoint.CheckpointError, match="a.safetensors: .*training cannot go on from it"):
        checkpoint.load(path)


def test_a_checkpoint_whose_arrays_changed_names_is_refused(tmp_path):
    import safetensors.numpy

    path = tmp_path / "a.safetensors"
    checkpoint.save(path, {"model.a": np.zeros(3), "model.b": np.ones(3)}, {"epoch": 1})
    with safetensors.safe_open(path, "numpy") as file:
        metadata, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    renamed = {"model.c": arrays["model.a"], "model.d": arrays["model.b"]}
    safetensors.numpy.save_file(renamed, path, metadata)
    with pytest.raises(checkpoint.CheckpointError, match="checksum"):
        checkpoint.load(path)


def test_both_figures_of_confusion_are_of_the_same_matrix(tmp_path, monkeypatch):
    drawn, draw = [], viz.confusion_matrix
    monkeypatch.setattr(viz, "confusion_matrix", lambda matrix, *rest, **how: drawn.append(matrix) or draw(matrix, *rest, **how))
    judged = Predictions(np.array([0, 0, 1]), np.array([0, 1, 1]), 0.5)
    write_evaluation(tmp_path / "test", judged, ("a", "b"), "title", {})
    assert [matrix.tolist() for matrix in drawn] == [[[1, 1], [0, 1]]] * 2


@pytest.mark.parametrize("images", [1, 29])
@pytest.mark.parametrize("group", ["subject", "sequence"])
def test_what_is_said_of_a_few_images_is_called_no_figure(images, group):
    report = {"macro average": {"support": 140}, "unseen": {group: {"images": images, "accuracy": 0.0}}}
    assert describe_unseen(report) == [f"accuracy 0.00 % on {images} of them, whose {group} is not in the training set (too few "
                                       f"to tell; --split-by {group} gives the real figure)"]
