"""`nanoemo train` from a shell: killed, interrupted, resumed; and every kind of bad input."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import nanoemo
from nanoemo.cli import main
from nanoemo.training import checkpoint
from small_data import write_bands, write_pictures

MODEL = "chater.dcnn"
SMALL = ["--batch-size", "7", "--epochs", "2"]      # 5 steps an epoch


@pytest.fixture(scope="module", autouse=True)
def small_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_bands(folder / "small.csv")
    before = dict(os.environ)
    os.environ["OMP_NUM_THREADS"] = "1"         # for the processes started here: small batches gain nothing
    SMALL[:] = [*SMALL, "--data", str(folder / "small.csv")]
    yield folder / "small.csv"
    os.environ.clear()
    os.environ.update(before)


def command(*args):
    return [sys.executable, "-m", "nanoemo", *map(str, args)]


def start(*args):
    return subprocess.Popen(command("train", *args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


def finish(*args):
    """Run `nanoemo train` in a process of its own, to its end."""
    process = start(*args)
    out = process.communicate()[0]
    assert process.returncode == 0, out
    return out


def wait_for(process, condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def checkpoint_changed(folder):
    """A condition: a new `last` checkpoint has been put in place since now."""
    path = folder / "checkpoints" / "last.safetensors"

    def stamp():
        return path.stat().st_mtime_ns if path.exists() else None

    before = stamp()
    return lambda: stamp() != before


def weights(folder, which="last"):
    arrays, meta = checkpoint.load(folder / "checkpoints" / f"{which}.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}, meta["random"]


def figures(folder):
    """The history without what depends on the clock."""
    rows = json.loads((folder / "history.json").read_text())
    return [{name: row[name] for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr")}
            for row in rows]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """An uninterrupted run in a process of its own, with what it printed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, finish(MODEL, *SMALL, "--out", folder)


def test_run_folder_holds_everything(whole_run):
    folder, out = whole_run
    for name in ("config.json", "summary.txt", "sanity.json", "history.csv", "history.json", "loss.png",
                 "accuracy.png", "augmentation.png", "report.html", "checkpoints/best.safetensors",
                 "checkpoints/last.safetensors",
                 *(f"{split}/{name}" for split in ("validation", "test") for name in (
                     "confusion_matrix.csv", "confusion_matrix.png", "classification_report.txt",
                     "classification_report.json", "per_class_accuracy.csv", "per_class_accuracy.png"))):
        assert (folder / name).stat().st_size > 0, name
    assert "\x1b" not in out, "no control codes in a pipe"
    assert "initial loss" in out and "ln(7) = 1.9459" in out and "over-fitting 7 examples" in out
    assert "drawn" not in out
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["batch_size"] == 7 and config["settings"]["optimizer"] == "adam"
    assert not config["data"]["drawn"] and len(config["data"]["fingerprint"]) == 64
    matrix = [line.split(",") for line in (folder / "test" / "confusion_matrix.csv").read_text().splitlines()]
    assert sum(int(cell) for row in matrix[1:] for cell in row[1:]) == 35


def test_report_is_one_file(whole_run):
    page = (whole_run[0] / "report.html").read_text()
    assert "Drawn faces." not in page and page.count("data:image/png;base64,") == 9
    for text in ("Checks before training", "<h2>Augmentation</h2><p>flip,rotate=10</p>", "History", "waiting for them",
                 "On the test set", "macro average", "Total params", "Settings"):
        assert text in page
    assert "http" not in page and "src='/" not in page and "<script" not in page and "<link" not in page


def test_drawn_faces_are_called_so_everywhere(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["train", MODEL, "--limit", "7", "--batch-size", "7", "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "drawn faces: 5 epochs; the paper's 40 with --epochs 40" in out
    page = (folder / "report.html").read_text()
    assert "Drawn faces." in page and "<h1>chater.dcnn on drawn faces</h1>" in page
    assert "on drawn faces, test set" in (folder / "test" / "classification_report.txt").read_text()
    assert main(["evaluate", str(folder), "--split", "test"]) == 0
    assert "chater.dcnn on drawn faces, test set" in capsys.readouterr().out


def strike(folder, *args, signals=(signal.SIGKILL,)):
    """Run `nanoemo train` until it has saved twice, then send it the signals; gives (status, output)."""
    process = start(*args, "--save-every", "0")
    for _ in range(2):
        changed = checkpoint_changed(folder)
        while not changed() and process.poll() is None:
            time.sleep(0.01)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.005)
    out = process.communicate()[0]
    return process.returncode, out


def strike_in_time(folder, *args, **options):
    """`strike`, again where the machine was so busy that the run had ended before the signal came."""
    for _ in range(5):
        status, out = strike(folder, *args, **options)
        if status != 0:
            return status, out
        shutil.rmtree(folder)
    pytest.fail("the run ended each time before the signal came")


def test_killed_again_and_again_it_ends_with_the_same_bits(whole_run, tmp_path):
    """SIGKILL before the first checkpoint, and twice in the middle of training."""
    folder = tmp_path / "run"
    process = start(MODEL, *SMALL, "--out", folder)
    wait_for(process, (folder / "config.json").exists)
    process.kill()
    process.communicate()
    status, out = strike(folder, "--resume", folder)
    assert status in (-signal.SIGKILL, 0), out
    status, out = strike(folder, "--resume", folder)
    assert status in (-signal.SIGKILL, 0), out
    finish("--resume", folder)
    assert weights(folder) == weights(whole_run[0])
    assert weights(folder, "best") == weights(whole_run[0], "best")
    assert figures(folder) == figures(whole_run[0])


def test_killed_within_an_epoch(whole_run, tmp_path):
    folder = tmp_path / "run"
    status, out = strike_in_time(folder, MODEL, *SMALL, "--out", folder)
    assert status == -signal.SIGKILL, out
    finish("--resume", folder)
    assert weights(folder) == weights(whole_run[0])
    assert figures(folder) == figures(whole_run[0])


def test_interrupted_it_says_how_to_go_on_and_does(whole_run, tmp_path):
    folder = tmp_path / "run"
    status, out = strike_in_time(folder, MODEL, *SMALL, "--out", folder, signals=[signal.SIGINT])
    assert status == 130
    assert out.splitlines()[-1].endswith(f"nanoemo train --resume {folder}")
    assert "Traceback" not in out
    finish("--resume", folder)
    assert weights(folder) == weights(whole_run[0])
    assert figures(folder) == figures(whole_run[0])


def test_interrupted_twice_keeps_what_was_saved(whole_run, tmp_path):
    folder = tmp_path / "run"
    status, out = strike_in_time(folder, MODEL, *SMALL, "--out", folder, signals=[signal.SIGINT] * 2)
    assert status == 130, out
    assert "Traceback" not in out and f"nanoemo train --resume {folder}" in out
    assert not list(folder.rglob("*.tmp"))
    finish("--resume", folder)
    assert weights(folder) == weights(whole_run[0])


def test_a_second_process_is_refused(tmp_path):
    folder = tmp_path / "run"
    process = start(MODEL, *SMALL, "--out", folder)
    try:
        wait_for(process, (folder / "config.json").exists)
        second = subprocess.run(command("train", "--resume", folder), capture_output=True, text=True)
        assert second.returncode == 2
        assert "in use by another process" in second.stderr
    finally:
        process.kill()
        process.communicate()


def test_a_finished_run_can_be_resumed_and_prolonged(whole_run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole_run[0], folder)
    finish("--resume", folder)
    assert weights(folder) == weights(whole_run[0])
    finish(MODEL, "--resume", folder, "--epochs", "3")
    assert [row["epoch"] for row in figures(folder)] == [1, 2, 3]
    assert json.loads((folder / "config.json").read_text())["settings"]["epochs"] == 3
    assert main(["train", "--resume", str(folder), "--epochs", "2"]) == 2
    assert "is in epoch 3 already" in capsys.readouterr().err
    assert json.loads((folder / "config.json").read_text())["settings"]["epochs"] == 3
    for wrong in (["--lr", "0.5"], ["--seed", "3"], ["--batch-size", "8"], ["njoku.cnn"]):
        assert main(["train", *wrong, "--resume", str(folder)]) == 2
        assert "cannot change it" in capsys.readouterr().err


def test_evaluate(whole_run, capsys):
    folder = whole_run[0]
    before = (folder / "test" / "confusion_matrix.csv").read_text()
    assert main(["evaluate", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "macro average" in out and "validation set" in out and "test set" in out
    assert (folder / "test" / "confusion_matrix.csv").read_text() == before
    assert main(["evaluate", str(folder), "--split", "train", "--limit", "21"]) == 0    # other data than 35
    other, = folder.glob("on-fer2013-*")
    assert (other / "train" / "classification_report.txt").exists()
    assert (folder / "test" / "confusion_matrix.csv").read_text() == before


def test_evaluated_on_what_it_was_trained_on_the_report_says_so_too(whole_run, tmp_path, capsys):
    shutil.copytree(whole_run[0], tmp_path / "run")
    assert "On the train set" not in (tmp_path / "run" / "report.html").read_text()
    assert main(["evaluate", str(tmp_path / "run"), "--split", "train"]) == 0
    accuracy = json.loads((tmp_path / "run" / "train" / "classification_report.json").read_text())["accuracy"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<h2>On the train set</h2>" in page and f"<td>train set</td><td>{100 * accuracy:.2f} %</td>" in page
    assert "On the validation set" in page and "On the test set" in page


def test_ones_own_pictures_in_colour_and_of_another_size(tmp_path, capsys):
    write_pictures(tmp_path / "mine", "happy", "sad")
    own = ["--data", str(tmp_path / "mine"), "--image-shape", "32x32x3"]
    assert main(["train", "series.cnn1", *own, "--epochs", "1", "--batch-size", "7", "--out", str(tmp_path / "run")]) == 0
    assert "32×32×3, 2 classes" in capsys.readouterr().out
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "2"]) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "mine")]) == 0
    assert main(["show", "saliency", str(tmp_path / "run"), "--count", "2", "--out", str(tmp_path / "s.png")]) == 0
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "mine" / "sad" / "1.png"), "--whole"]) == 0
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(write_bands(tmp_path / "bands.csv"))]) == 2
    assert "was trained on image_shape [32, 32, 3], but" in capsys.readouterr().err


@pytest.mark.parametrize("args, message", [
    ([MODEL, "--image-shape", "64"], "image_shape is '64'; expected height x width, as 64x64, or 64x64x3 in colour"),
    ([MODEL, "--image-shape", "64x64x3", "--limit", "14"], "drawn faces: its images are and stay 48×48×1; image_shape is for"),
    (["chater.lstm", "--image-shape", "64x64"], "image_shape is '64x64', but chater.lstm listens; leave it out")])
def test_image_shapes_that_cannot_be(tmp_path, capsys, args, message):
    assert main(["train", *args, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_evaluate_a_run_without_a_finished_epoch(whole_run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole_run[0], folder)
    (folder / "checkpoints" / "best.safetensors").unlink()
    for left in ("report.html", "history.json"):
        assert "best.safetensors is gone, and the run's weights with it" in error_of(capsys, "evaluate", folder)
        (folder / left).unlink()
    err = error_of(capsys, "evaluate", folder)
    assert "no epoch of it is finished" in err and f"--resume {folder}" in err


def error_of(capsys, *args):
    """The one line on standard error of a command that must fail with status 2."""
    try:
        status = main([str(arg) for arg in args])
    except SystemExit as left:
        status = left.code
    err = capsys.readouterr().err
    assert status == 2, err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("args, message", [
    (["train"], "which model"),
    (["train", "njoku.cn"], "njoku.cnn"),
    (["train", MODEL, "--lr", "-1"], "lr.*-1"),
    (["train", MODEL, "--lr", "many"], "invalid float"),
    (["train", MODEL, "--epochs", "0"], "epochs is 0"),
    (["train", MODEL, "--optimizer", "adma"], "adam"),
    (["train", MODEL, "--augment", "flpi"], "did you mean flip"),
    (["train", MODEL, "--augment", "flip,mixup=many"], "'mixup=many': expected a number after =, as in mixup=0.2"),
    (["train", MODEL, "--limit", "7", "--batch-size", "7", "--augment", "cutout=48"], "square of 48 pixels may cover all"),
    (["train", MODEL, "--limit", "20", "--batch-size", "21"],
     "only 20 training images; give --batch-size 20"),
    (["train", MODEL, "--limit", "1"], "the batch size is 64, but there are only 1 training images; give --batch-size 1"),
    (["train", MODEL, "--data", "absent.csv"], "absent.csv"),
    (["train", MODEL, "--resume", "absent"], "no such folder"),
    (["train", MODEL, "--save-every", "-1"], "save-every: expected a number of seconds, 0 or more, got '-1'"),
    (["train", MODEL, "--save-every", "soon"], "save-every: expected a number of seconds"),
    (["train", "series.dense_ae", "--class-weights", "balanced"],
     "is an auto-encoder and knows no classes; leave class weights out"),
    (["search", "series.dense_ae", "--lr", "1e-3"], "series.dense_ae is an auto-encoder"),
    (["evaluate", "absent"], "no such folder"),
    (["summary", "njoku"], "njoku.cnn"),
    (["trian"], "did you mean train?"),
])
def test_bad_input_is_one_clear_error(tmp_path, monkeypatch, capsys, args, message):
    import re

    monkeypatch.chdir(tmp_path)
    assert re.search(message, error_of(capsys, *args))
    assert os.listdir(tmp_path) == [], "nothing may be left behind"


def test_a_device_that_is_not_there(capsys, tiny_run):
    reason = nanoemo.backend.why_no_cuda()
    if not reason:
        pytest.skip("there is a CUDA device")
    for command in (["train", MODEL], ["predict", tiny_run, __file__], ["webcam", tiny_run], ["evaluate", tiny_run]):
        assert reason in error_of(capsys, *command, "--device", "cuda")


def test_folders_that_cannot_be_used(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    assert "not empty" in error_of(capsys, "train", MODEL, *SMALL, "--out", tmp_path / "full")
    assert "is a file" in error_of(capsys, "train", MODEL, *SMALL, "--out", tmp_path / "file")
    assert "file" in error_of(capsys, "train", MODEL, *SMALL, "--out", tmp_path / "file" / "below")
    assert "has no config.json" in error_of(capsys, "train", "--resume", tmp_path / "full")
    assert (tmp_path / "full" / "letter.txt").read_text() == "mine"


def test_damaged_run(whole_run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole_run[0], folder)
    path = folder / "checkpoints" / "last.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    assert "last.safetensors: damaged" in error_of(capsys, "train", "--resume", folder)
    path.write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["data"]["fingerprint"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(config))
    assert "other data" in error_of(capsys, "train", "--resume", folder)
    (folder / "config.json").write_text("{}")
    assert "config.json" in error_of(capsys, "train", "--resume", folder)
    assert np.array_equal(path.read_bytes(), content)


def test_diverging_run_keeps_its_checkpoint(tmp_path, capsys):
    folder = tmp_path / "run"
    err = error_of(capsys, "train", MODEL, *SMALL, "--out", folder, "--optimizer", "sgd", "--lr", "1e30")
    assert "lower learning rate" in err and "epoch 1, step" in err and len(err.strip().splitlines()) == 1
    checkpoint.load(folder / "checkpoints" / "last.safetensors")


def test_full_disk_while_training(whole_run, tmp_path):
    """Files may grow to 1 MB only, less than a checkpoint: the run stops with one line, and the folder is
    in order."""
    folder = tmp_path / "run"
    shutil.copytree(whole_run[0], folder)
    code = ("import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)); "
            "from nanoemo.cli import main; sys.exit(main(sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", code, "train", "--resume", str(folder), "--epochs", "3"],
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert "last.safetensors" in done.stderr or "best.safetensors" in done.stderr
    assert f"To go on: nanoemo train --resume {folder}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(folder.rglob("*.tmp"))
    assert weights(folder) == weights(whole_run[0])
