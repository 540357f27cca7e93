"""`nanoemo train` on data that come undivided: divided as asked, both accuracies told, resumed and judged the same."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoemo.cli import main
from nanoemo.data import ckplus
from nanoemo.training import experiment

pytestmark = pytest.mark.usefixtures("blank_pictures")

MODEL = "chater.dcnn"


@pytest.fixture(autouse=True)
def films(tmp_path, monkeypatch):
    """Nine people in the form of CK+, a bright band for each class."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for subject in range(9):
        for label, emotion in enumerate(ckplus.CLASS_NAMES):
            folder = tmp_path / "CK+48" / emotion
            folder.mkdir(parents=True, exist_ok=True)
            for frame in range(3):
                pixels = rng.integers(0, 50, (48, 48), dtype=np.uint8)
                pixels[6 * label:6 * label + 8] += 200
                Image.fromarray(pixels).save(folder / f"S{subject:03}_{label + 1:03}_{frame:08}.png")


def train(*args):
    return main(["train", *args, "--out", "run"])


def test_by_subject(capsys):
    assert train(MODEL, "--data", "CK+48", "--epochs", "1", "--batch-size", "21") == 0
    out, err = capsys.readouterr()
    assert "chater.dcnn on CK+" in out and "Divided by subject (seed 0): subjects: " in out and not err
    assert "test set: no subject of it is in the training set" in out
    before = Path("run/test/classification_report.json").read_text()
    assert main(["train", "--resume", "run", "--epochs", "2"]) == 0
    assert "epoch 2/2" in capsys.readouterr().out
    assert Path("run/test/classification_report.json").read_text() != before
    assert main(["train", "--resume", "run", "--split-by", "random"]) == 2
    assert "cannot change it" in capsys.readouterr().err
    assert main(["evaluate", "run"]) == 0
    assert "chater.dcnn on CK+, test set" in capsys.readouterr().out


def test_a_copy_of_the_data_elsewhere_is_divided_as_the_run_divided_it(capsys):
    """Otherwise images that were trained on would be tested on."""
    assert train(MODEL, "--data", "CK+48", "--split-by", "random", "--epochs", "1", "--batch-size", "21") == 0
    shutil.copytree("CK+48", "elsewhere/CK+48")
    before = Path("run/test/confusion_matrix.csv").read_text()
    for path in Path("run").glob("test/*"):
        path.unlink()
    assert main(["evaluate", "run", "--data", "elsewhere/CK+48"]) == 0
    assert Path("run/test/confusion_matrix.csv").read_text() == before and not list(Path("run").glob("on-*"))
    config = json.loads(Path("run/config.json").read_text())
    config["settings"]["device"] = "cuda"                                   # trained on a card, judged without one
    Path("run/config.json").write_text(json.dumps(config))
    assert main(["evaluate", "run", "--data", "elsewhere/CK+48", "--device", "cpu"]) == 0 and not list(Path("run").glob("on-*"))
    capsys.readouterr()
    Path("elsewhere/CK+48/anger/S000_001_00000000.png").unlink()            # other data: divided in the usual way
    assert main(["evaluate", "run", "--data", "elsewhere/CK+48", "--device", "cpu"]) == 0
    assert len(list(Path("run").glob("on-*"))) == 1
    err = capsys.readouterr().err
    assert "random division" not in err and "elsewhere/CK+48 is CK+, but not just as run was trained on it" in err


def test_other_data_is_loaded_once(capsys, monkeypatch):
    """And a copy of the run's own is known for one; only where a division was asked for, it has to be tried first."""
    assert train(MODEL, "--data", "CK+48", "--epochs", "1", "--batch-size", "21") == 0
    shutil.copytree("CK+48", "elsewhere/CK+48")
    shutil.copytree("CK+48", "other/CK+48")
    Path("other/CK+48/anger/S000_001_00000000.png").unlink()
    loaded, load = [], experiment.load_splits
    monkeypatch.setattr(experiment, "load_splits", lambda asked, *shape: loaded.append(asked.data) or load(asked, *shape))
    capsys.readouterr()
    for data in ("elsewhere/CK+48", "other/CK+48"):
        assert main(["evaluate", "run", "--data", data]) == 0
        assert ("not just as run was trained on it" in capsys.readouterr().err) == data.startswith("other")
    assert loaded == ["elsewhere/CK+48", "other/CK+48"] and len(list(Path("run").glob("on-*"))) == 1
    assert main(["evaluate", "run", "--data", "elsewhere/CK+48", "--limit", "14"]) == 0
    assert not capsys.readouterr().err                          # fewer of the same, divided as before


def test_at_random_warns_and_tells_both_accuracies(capsys):
    assert train(MODEL, "--data", "CK+48", "--split-by", "random", "--epochs", "1", "--batch-size", "21") == 0
    out, err = capsys.readouterr()
    assert err == ("nanoemo train: warning: the random division puts images of one sequence on both sides, so the accuracy "
                   "will be too good; dividing by subject does not\n")
    report = json.loads(Path("run/test/classification_report.json").read_text())
    part = report["unseen"]["sequence"]
    assert 0 < part["images"] < report["macro average"]["support"]
    line = f"accuracy {100 * part['accuracy']:.2f} % on {part['images']} of them, whose sequence is not in the"
    assert f"test set: {line}" in out and line in Path("run/test/classification_report.txt").read_text()
    page = Path("run/report.html").read_text()
    assert line in page and "are of a sequence that is also trained on" in page
    for same in ([], ["--data", "CK+48"]):                       # divided as for the run: nothing trained on is judged
        assert main(["evaluate", "run", *same]) == 0
    assert not list(Path("run").glob("on-*"))


def write_csv(name, labels):
    """A file in FER2013's form, which comes divided, with an image of each of `labels` in every split."""
    rows = [f"{label},{' '.join([str(30 * label)] * 2304)},{usage}"
            for usage in ("Training", "PublicTest", "PrivateTest") for label in labels]
    Path(name).write_text("\n".join(["emotion,pixels,Usage", *rows]))


def test_other_data_is_judged_on_the_classes_that_both_know(capsys):
    assert train(MODEL, "--data", "CK+48", "--epochs", "1", "--batch-size", "21") == 0
    write_csv("fer2013.csv", range(7))
    capsys.readouterr()
    assert main(["evaluate", "run", "--data", "fer2013.csv", "--split", "test"]) == 0
    told = ("fer2013 is judged on the 6 classes that it and the network both know. Left out: 3 of its 21 images, of classes that "
            "the network does not know (3 neutral). It has no contempt, so that is not counted among the network's answers.")
    assert capsys.readouterr().err == f"nanoemo evaluate: warning: {told}\n"
    place, = Path("run").glob("on-fer2013-*")
    report = json.loads((place / "test" / "classification_report.json").read_text())
    assert list(report["classes"]) == ["anger", "disgust", "fear", "happy", "sadness", "surprise"]      # as the network says
    assert report["macro average"]["support"] == 6 and told in report["data"]["note"]
    rows = (place / "test" / "confusion_matrix.csv").read_text().splitlines()
    assert len(rows) == 7 and all(sum(map(int, row.split(",")[1:])) == 1 for row in rows[1:])
    assert main(["show", "samples", "run", "--data", "fer2013.csv", "--count", "6"]) == 0


def test_other_data_without_classes_in_common(capsys):
    assert train(MODEL, "--data", "CK+48", "--epochs", "1", "--batch-size", "21") == 0
    for kind in ("cats", "dogs"):
        Path("pets", kind).mkdir(parents=True)
        for number, path in enumerate(Path("CK+48/anger").iterdir()):
            shutil.copy(path, f"pets/{kind}/{number}.png")
    write_csv("fer2013.csv", [6])
    for data, message in (("pets", "pets: the classes cats, dogs and anger"),
                          ("fer2013.csv", "fer2013: none of its 1 train images is of a class that the network knows")):
        capsys.readouterr()
        assert main(["evaluate", "run", "--data", data]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("data, how, message", [
    (["--data", "CK+48"], "person", "split_by is 'person'; expected random, subject, sequence, or one group"),
    (["--data", "CK+48"], "subject=S99", "CK+48: there is no subject 'S99'; there are 9, such as S000"),
    ([], "subject", "drawn faces: comes divided into train, validation, test"),
])
def test_bad_ways_to_divide(capsys, data, how, message):
    assert train(MODEL, *data, "--split-by", how) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_real_ckplus(data_dir, capsys):
    if not (data_dir / "CK+48").exists():
        pytest.skip("no CK+48 in NANOEMO_DATA")
    assert train(MODEL, "--data", str(data_dir / "CK+48"), "--epochs", "5") == 0
    report = json.loads(Path("run/test/classification_report.json").read_text())
    assert report["macro average"]["support"] == report["unseen"]["subject"]["images"] > 130
    assert report["accuracy"] > 0.4, "no better than guessing surprise (25 %)"
