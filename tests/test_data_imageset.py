"""ImageSet, and the drawn faces that fill one."""
from pathlib import Path

import numpy as np
import pytest

from nanoemo import data
from nanoemo.data import ImageSet, drawing, drawn_faces, faces
from nanoemo.data.fer2013 import CLASS_NAMES


def small(labels=(0, 1, 1, 0), names=("sad", "happy")):
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    return ImageSet(images, np.array(labels, np.int64), names, name="small", note="a note")


def test_indexing_and_subset():
    images = small()
    assert len(images) == 4 and images.image_shape == (2, 3, 1)
    image, label = images[2]
    assert image.shape == (2, 3, 1) and image[0, 0, 0] == 2 and label == 1
    part = images.subset(slice(1, 3))
    assert np.shares_memory(part.images, images.images), "a slice was copied"
    assert (part.name, part.note, part.class_names) == ("small", "a note", ("sad", "happy"))
    assert images.subset(np.array([3, 0])).images[:, 0, 0, 0].tolist() == [3, 0]


@pytest.mark.parametrize("images, labels, message", [
    (np.zeros((2, 4, 4, 1)), np.zeros(2, np.int64), "expected images of dtype uint8.*got float64"),
    (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), r"shape \(N, H, W, C\), got uint8 \(2, 4, 4\)"),
    (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64), r"shape \(2,\), one for each of the images, got .*\(3,\)"),
    (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int32), "dtype int64 .* got int32"),
    (np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 2]), r"labels run from 0 to 2, but there are 2 classes"),
    (np.zeros((2, 4, 4, 1), np.uint8), np.array([-1, 0]), "labels run from -1 to 0"),
])
def test_what_does_not_fit_together(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ImageSet(images, labels, ("a", "b"))


@pytest.mark.parametrize("change, message", [
    (dict(images=[[1]]), "ImageSet: images: expected a NumPy array, got list; np.asarray"),
    (dict(labels=[0, 1]), "ImageSet: labels: expected a NumPy array, got list"),
    (dict(class_names="ab"), "class_names: expected a tuple of texts, got 'ab'"),
    (dict(class_names=(0, 1)), r"class_names: expected a tuple of texts, got \(0, 1\)"),
    (dict(groups={"subject": ["A", "B"]}), r"ImageSet: groups\['subject'\]: expected a NumPy array, got list"),
])
def test_what_is_no_array(change, message):
    given = {"images": np.zeros((2, 4, 4, 1), np.uint8), "labels": np.zeros(2, np.int64), "class_names": ("a", "b"), **change}
    with pytest.raises(TypeError, match=message):
        ImageSet(**given)


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match="class_names: a, a: two classes have the same name"):
        ImageSet(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1]), ("a", "a"))


def test_a_set_is_shown_in_a_line_and_is_a_key():
    faces = ImageSet(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1]), ("a", "b"), name="mine")
    assert repr(faces) == "ImageSet(mine: 2 images (4, 4, 1), 2 classes)"
    assert faces == faces and faces != faces.subset([0, 1]) and {faces: 1}[faces] == 1


def test_groups_by_number_are_groups_by_name():
    faces = ImageSet(np.zeros((8, 4, 4, 1), np.uint8), np.arange(8) % 2, ("a", "b"), groups={"subject": np.arange(8) // 2})
    divided = data.divide(faces, "subject=3")
    assert divided["test"].groups["subject"].tolist() == ["3", "3"]
    assert len(list(data.leave_one_out({"train": faces}))) == 4


def test_take_is_balanced_nested_and_seeded():
    images = drawn_faces(70)
    shuffled = images.subset(np.random.default_rng(1).permutation(70))
    assert set(shuffled.take(21).counts().values()) == {3}
    few, more = (set(map(bytes, shuffled.take(n, seed=5).images)) for n in (10, 30))
    assert len(few) == 10 and few < more
    assert not np.array_equal(shuffled.take(21, seed=1).images, shuffled.take(21, seed=2).images)
    assert shuffled.take(71) is shuffled
    with pytest.raises(ValueError, match="take: n is 0; expected a whole number of at least 1"):
        shuffled.take(0)


def test_take_from_unequal_classes_goes_on_with_the_larger():
    assert small(labels=(0, 0, 0, 0, 1, 0)).take(4).counts() == {"sad": 3, "happy": 1}


def test_drawn_faces_depend_on_seed_and_place_alone():
    images = drawn_faces(100, seed=3).images
    np.testing.assert_array_equal(drawn_faces(41, seed=3).images, images[:41])
    assert not np.array_equal(drawn_faces(41, seed=4).images, images[:41])
    assert len(set(map(bytes, images))) == 100


def test_drawn_faces_are_marked_gray_and_balanced():
    images = drawn_faces(70)
    assert images.drawn and "drawn" in images.name and "nobody" in images.note
    assert images.class_names == CLASS_NAMES and set(images.counts().values()) == {10}
    assert images.images.dtype == np.uint8 and images.image_shape == (48, 48, 1)
    assert drawn_faces(3, size=96).image_shape == (96, 96, 1)
    spread = images.images.reshape(70, -1).std(axis=1)
    assert spread.min() > 8, "a face has no contrast"


def test_larger_pictures_show_the_same_faces(monkeypatch):
    monkeypatch.setitem(faces.SCENE, "grain", (0.0, 0.0))
    small_ones, large = drawn_faces(14).images, drawn_faces(14, size=96).images
    halved = large.reshape(14, 48, 2, 48, 2).mean(axis=(2, 4))
    assert np.abs(halved - small_ones[..., 0]).mean() < 4


def test_drawing_keeps_float32(monkeypatch):
    seen = []

    def draw(numbers, size):
        seen.extend(value.dtype for value in vars(numbers).values())
        picture = drawn(numbers, size)
        seen.append(picture.dtype)
        return picture

    drawn = drawing.draw
    monkeypatch.setattr(drawing, "draw", draw)
    drawn_faces(2)
    assert set(seen) == {np.dtype(np.float32)}


def test_expressions_name_only_numbers_that_exist():
    assert tuple(faces.EXPRESSIONS) == CLASS_NAMES
    for added in faces.EXPRESSIONS.values():
        assert set(added) <= set(faces.NEUTRAL)


def test_drawn_splits_are_drawn_once(tmp_path, monkeypatch):
    """For each seed, also by the processes that follow, until the code that draws them is another."""
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))
    drawn = []

    def draw(n, seed):
        drawn.append(seed)
        return {"images": np.full((n, 48, 48, 1), seed, np.uint8)}

    monkeypatch.setattr(faces, "_draw", draw)
    first, other, again = (data.load(seed=seed) for seed in (0, 1, 0))
    assert drawn == [0, 1, 2, 3, 4, 5]
    assert [splits[split].images.max() for splits in (first, other, again) for split in splits] == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert {len(splits["train"]) for splits in (first, other, again)} == {4200} and again["test"].drawn
    with pytest.raises(ValueError, match="read-only"):
        again["test"].images[0] = 0
    for name in ("faces.py", "drawing.py"):
        (tmp_path / name).write_text(Path(faces.__file__).with_name(name).read_text())
    monkeypatch.setattr(faces, "__file__", str(tmp_path / "faces.py"))
    monkeypatch.setattr(drawing, "__file__", str(tmp_path / "drawing.py"))
    for name in ("faces.py", "drawing.py"):
        drawn.clear()
        with open(tmp_path / name, "a") as file:
            file.write("# changed\n")
        data.load()
        data.load()
        assert drawn == [0, 1, 2]


def test_drawn_splits_share_no_face():
    splits = data.load()
    kept = [set(map(bytes, split.images)) for split in splits.values()]
    assert [len(faces_) for faces_ in kept] == [4200, 700, 700]
    assert not (kept[0] & kept[1] or kept[0] & kept[2] or kept[1] & kept[2])
    assert not set(map(bytes, data.load(seed=1, limit=50)["train"].images)) & set.union(*kept)


def test_expressions_can_be_told_apart_by_a_linear_model():
    """Far above the chance of 1/7, so the classes differ; far below 1, so the task is not trivial."""
    train, test = drawn_faces(2100, seed=0), drawn_faces(700, seed=1)

    def features(images):
        x = images.images.reshape(len(images), -1).astype(np.float32)
        return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)

    x, targets = features(train), np.eye(7, dtype=np.float32)[train.labels]
    weights = np.linalg.solve(x.T @ x + 3000 * np.eye(x.shape[1], dtype=np.float32), x.T @ targets)
    accuracy = ((features(test) @ weights).argmax(1) == test.labels).mean()
    assert 0.4 < accuracy < 0.9


@pytest.mark.parametrize("arguments, message", [
    (dict(n=0), "n is 0"), (dict(n=2.5), "n is 2.5; expected a whole number of at least 1"), (dict(n="3"), "n is '3'"),
    (dict(n=3, size=4), "size is 4; expected a whole number of at least 8"),
    (dict(n=3, seed=-1), "seed is -1; expected a whole number of at least 0")])
def test_drawn_faces_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"drawn_faces: {message}"):
        drawn_faces(**arguments)
