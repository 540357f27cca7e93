"""`nanoemo data inspect`: counts, duplicates across splits, conflicting labels, constant images, and the contact sheet."""
import json

import numpy as np
import pytest
from PIL import Image

from nanoemo import data, viz
from nanoemo.cli import main
from nanoemo.data import ImageSet
from nanoemo.data.inspection import describe, inspect


@pytest.fixture
def splits(rng):
    """Ten images to train on and six to test with; numbers 3 and 4 are constant."""
    images = rng.integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)
    images[3:5] = [[[[7]]], [[[9]]]]
    whole = ImageSet(images, np.arange(16) % 2, ("sad", "happy"), name="mine train")
    return {"train": whole.subset(slice(10)), "test": whole.subset(slice(10, 16))}


def changed(images, place, pixels, label):
    new, labels = images.images.copy(), images.labels.copy()
    new[place], labels[place] = pixels, label
    return ImageSet(new, labels, images.class_names, name=images.name)


def test_nothing_to_find(splits):
    facts = inspect(splits)
    assert facts["name"] == "mine" and facts["image_shape"] == [8, 8, 1]
    assert facts["classes"] == {"sad": {"train": 5, "test": 3}, "happy": {"train": 5, "test": 3}}
    assert (facts["duplicates"], facts["conflicting"], facts["across"]) == (0, 0, {"train, test": 0})
    assert facts["constant"] == {"train": 2, "test": 0} and facts["constant_at"] == {"train": [3, 4], "test": []}
    assert facts["equal"] == []


def test_duplicates_and_conflicts(splits):
    train = splits["train"]
    splits["test"] = changed(splits["test"], 0, train.images[0], train.labels[0])
    splits["test"] = changed(splits["test"], 1, train.images[0], 1 - train.labels[0])      # the same face, another label
    splits["test"] = changed(splits["test"], 2, splits["test"].images[3], splits["test"].labels[3])
    facts = inspect(splits)
    assert (facts["duplicates"], facts["conflicting"], facts["across"]) == (3, 1, {"train, test": 2})
    assert facts["equal"] == [[["train", 0, "sad"], ["test", 0, "sad"], ["test", 1, "happy"]],
                              [["test", 2, "happy"], ["test", 3, "happy"]]]
    told = describe(facts)
    assert "\n  train[0] sad = test[0] sad = test[1] happy\n  test[2] happy = test[3] happy\n" in told
    assert told.endswith("2 in train, 0 in test\n  train[3], train[4]")


def test_fer2013_is_known_for_it(data_dir):
    facts = inspect(data.load(data_dir / "fer2013.csv"))
    assert (facts["duplicates"], facts["conflicting"]) == (1853, 57)
    assert facts["across"]["train, test"] == 288 and sum(facts["constant"].values()) == 12


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A data set of two classes, gray noise, one picture in both of them."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 10, 48, 48), dtype=np.uint8)
    pixels[1, 0] = pixels[0, 0]
    for name, images in zip(("sad", "happy"), pixels):
        (tmp_path / "own" / name).mkdir(parents=True)
        for n, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / "own" / name / f"{n}.png")
    return tmp_path


def test_command(own, capsys):
    assert main(["data", "inspect", "own"]) == 0
    out = capsys.readouterr().out
    assert "own: 48 × 48 × 1" in out and "Divided at random" in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith(("sad ", "happy ", "images  "))] == \
        ["10", "10", "20"]
    assert "exact duplicates: 1; equal images with different labels: 1 groups" in out
    folder = own / "runs" / "inspect-own"
    assert str(folder.relative_to(own)) in out and json.loads((folder / "inspection.json").read_text())["duplicates"] == 1
    with Image.open(folder / "contact_sheet.png") as sheet:
        assert sheet.width > 1000


def test_command_where_it_is_told_to_write_and_on_what_is_not_there(own, capsys):
    assert main(["data", "inspect", "own", "--out", "look", "--seed", "3"]) == 0
    assert (own / "look" / "contact_sheet.png").exists() and not (own / "runs").exists()
    assert "(seed 3)" in capsys.readouterr().out
    assert main(["data", "inspect", "onw"]) == 2
    assert capsys.readouterr().err == "nanoemo data: error: onw: no such file or folder; did you mean own?\n"


def test_data_of_one_person_are_shown_divided_at_random(tmp_path, monkeypatch, capsys, rng):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for number in range(21):
        emotion = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")[number % 7]
        picture = rng.integers(0, 255, (20, 20), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "mine" / f"KA.{emotion}{number // 7 + 1}.{number}.tiff")
    assert main(["data", "inspect", "mine"]) == 0
    said, warned = capsys.readouterr()
    assert "dividing by sequence does not" in warned, "by subject cannot be done"
    assert "1 subject cannot be divided into train, validation, test" in said and "--split-by random, as it is here" in said
    assert said.splitlines()[-1].startswith("written to runs") and "contact_sheet.png" in said
    assert main(["data", "inspect", "mine", "--split-by", "subject"]) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_contact_sheet(rng, channels):
    images = rng.integers(0, 256, (30, 8, 6, channels), dtype=np.uint8)
    figure = viz.contact_sheet(images, np.repeat([0, 1], [2, 28]), ["contempt", "happy"], columns=5)
    axes, = figure.axes
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape[:2] == (2 * 12, 5 * 10)
    assert (shown[:12, 21:] == 255).all(), "a class of two images leaves the rest of its row white"
    assert any(np.array_equal(shown[14:22, 2:8].reshape(images[0].shape), image) for image in images[2:])
    figure.draw_without_rendering()
    for label in axes.get_yticklabels():
        assert label.get_window_extent().x0 > 0, "cut off"


@pytest.mark.parametrize("images, labels", [(np.zeros((3, 8, 8)), [0, 0, 0]), (np.zeros((3, 8, 8, 1)), [0, 0]),
                                            (np.zeros((3, 8, 8, 2)), [0, 0, 0])])
def test_contact_sheet_bad_arguments(images, labels):
    with pytest.raises(ValueError, match="contact_sheet: expected images"):
        viz.contact_sheet(images, labels, ["sad"])
