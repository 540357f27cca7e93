"""CK+ and JAFFE: what file names tell, and what is said where they do not."""
import numpy as np
import pytest
from PIL import Image

from nanoemo import data
from nanoemo.data import DataError, ckplus, jaffe


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))


def save(path, value, size=(48, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path)
    return path


@pytest.fixture
def films(tmp_path):
    """Ten people, each filmed in every expression, three frames of a film; the gray value tells which frame it is."""
    for subject in range(10):
        for label, emotion in enumerate(ckplus.CLASS_NAMES):
            for frame in range(3):
                save(tmp_path / "CK+48" / emotion / f"S{subject:03}_{label:03}_{frame + 14:08}.png",
                     subject + 10 * label + 80 * frame)
    return tmp_path / "CK+48"


def together(splits, kind):
    return np.concatenate([getattr(part, kind) for part in splits.values()])


def test_folders(films):
    (films / "Thumbs.db").write_bytes(b"x")
    for _ in range(2):                                           # the second time from the cache
        splits = data.load(films)
        values = together(splits, "images")[:, 0, 0, 0]
        np.testing.assert_array_equal(together(splits, "labels"), values % 80 // 10)
        assert splits["train"].class_names == ckplus.CLASS_NAMES and splits["test"].name == "CK+ test"
        assert sorted(values) == sorted(s + 10 * e + 80 * f for s in range(10) for e in range(7) for f in range(3))
        for part in splits.values():
            numbers = part.images[:, 0, 0, 0] % 10
            assert [f"S{number:03}" for number in numbers] == part.groups["subject"].tolist()
            assert all(film.startswith(who) for film, who in zip(part.groups["sequence"], part.groups["subject"]))


def test_neutral_makes_an_eighth_class(films):
    assert len(data.load(films)["train"].class_names) == 7
    save(films / "neutral" / "S001_009_00000001.png", 0)
    assert data.load(films)["train"].class_names == (*ckplus.CLASS_NAMES, "neutral")


@pytest.mark.parametrize("name, message", [
    ("anger/portrait.png", "anger/portrait.png: the name does not tell its film"),
    ("angry/S001_009_00000001.png", "unknown emotion folder 'angry'; expected anger"),
    ("copy/anger/S001_009_00000001.png", "several folders hold CK.* name one of them"),
])
def test_a_frame_out_of_place(films, name, message):
    save(films / name, 1)
    with pytest.raises(DataError, match=message):
        data.load(films)


def write_csv(path, rows):
    pixels = " ".join(["7"] * 2304)
    path.write_text("\n".join(["emotion,pixels,Usage", *(f"{label},{pixels},{usage}" for label, usage in rows)]))
    return path


ROWS = [(label, usage) for usage in ("Training", "PublicTest", "PrivateTest") for label in range(8)]


def test_csv_has_eight_classes(tmp_path):
    splits = data.load(write_csv(tmp_path / "ckextended.csv", ROWS))
    assert splits["train"].class_names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
    assert [part.labels.tolist() for part in splits.values()] == [list(range(8))] * 3
    assert splits["train"].name == "CK+ train" and "does not tell persons" in splits["test"].note
    with pytest.raises(DataError, match="comes divided into train, validation, test, so it is not divided by subject"):
        data.load(tmp_path / "ckextended.csv", split_by="subject")


def test_the_same_rows_under_another_name_are_fer2013(tmp_path):
    with pytest.raises(DataError, match="row 8: emotion '7'; expected a whole number from 0 .angry. to 6"):
        data.load(write_csv(tmp_path / "faces.csv", ROWS))


def test_real_ckplus(data_dir):
    if not (data_dir / "CK+48").exists():
        pytest.skip("no CK+48 in NANOEMO_DATA")
    splits = data.load(data_dir / "CK+48")
    counts = np.sum([list(part.counts().values()) for part in splits.values()], axis=0)
    assert counts.tolist() == [135, 54, 177, 75, 207, 84, 249]
    assert len({image.tobytes() for image in together(splits, "images")}) == 981
    people, films = ({split: set(part.groups[group]) for split, part in splits.items()} for group in ("subject", "sequence"))
    assert sum(map(len, people.values())) == 118 == len(set.union(*people.values())), "a person in two splits"
    assert sum(map(len, films.values())) == 327
    assert len(splits["train"]) / 981 == pytest.approx(0.70, abs=0.02)
    for part in splits.values():                       # each class is shared out, not only the whole
        np.testing.assert_allclose(list(part.counts().values()) / counts, len(part) / 981, atol=0.06)
    with pytest.warns(UserWarning, match="images of one sequence on both sides"):
        splits = data.load(data_dir / "CK+48", split_by="random")
    assert data.unseen(splits["train"], splits["test"])["sequence"].mean() < 0.2


# ---- JAFFE

@pytest.fixture
def portraits(tmp_path):
    """Three women, two pictures of each expression, in JAFFE's names and size."""
    number = 0
    for subject in ("KA", "KL", "YM"):
        for code in jaffe.CODES:
            for take in (1, 2):
                number += 1
                save(tmp_path / "jaffe" / f"{subject}.{code}{take}.{number}.tiff", number, (256, 256))
    return tmp_path / "jaffe"


def test_jaffe(portraits):
    (portraits / "README").write_text("about")
    splits = data.load(portraits)
    assert splits["train"].image_shape == (48, 48, 1) and splits["train"].class_names == jaffe.CLASS_NAMES
    order = [jaffe.CLASS_NAMES.index(name) for name in jaffe.CODES.values()]
    for part in splits.values():
        numbers = part.images[:, 24, 24, 0] - 1
        assert part.labels.tolist() == [order[number % 14 // 2] for number in numbers]
        assert part.groups["subject"].tolist() == [("KA", "KL", "YM")[number // 14] for number in numbers]
        assert "of 256 × 256 pixels; resized to 48 × 48" in part.note
    assert {len(set(part.groups["subject"])) for part in splits.values()} == {1}
    takes = np.concatenate([part.groups["sequence"] for part in splits.values()])
    assert len(set(takes)) == 21 and "KA.AN" in takes               # two pictures of each expression of each woman


def test_jaffe_in_another_size_and_colour(portraits):
    assert data.load(portraits, image_shape=(32, 24, 3))["test"].image_shape == (32, 24, 3)
    assert data.load(portraits)["test"].image_shape == (48, 48, 1), "the cache mixed two sizes"


def test_leave_one_subject_out(portraits):
    seen = {}
    for name, splits in data.leave_one_out(data.load(portraits)):
        assert set(splits["test"].groups["subject"]) == {name} and splits["train"].name == "JAFFE train"
        assert name not in splits["train"].groups["subject"] and name not in splits["validation"].groups["subject"]
        assert sum(map(len, splits.values())) == 42
        seen[name] = len(splits["test"])
        one = data.load(portraits, split_by=f"subject={name}")
        assert sorted(one["test"].images[:, 0, 0, 0]) == sorted(splits["test"].images[:, 0, 0, 0])
    assert seen == {"KA": 14, "KL": 14, "YM": 14}


@pytest.mark.parametrize("name, message", [
    ("portrait.tiff", "portrait.tiff: the name does not tell what it shows"),
    ("KA.XX1.99.tiff", "unknown expression 'XX'; expected one of AN, DI"),
])
def test_a_portrait_out_of_place(portraits, name, message):
    save(portraits / name, 1)
    with pytest.raises(DataError, match=message):
        data.load(portraits)
