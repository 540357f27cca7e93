"""Pictures of one's own, in a folder for each class: any size and colour, and what is said about what cannot be used."""
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from nanoemo import data
from nanoemo.data import DataError

TURNED = 6                      # EXIF orientation: the camera was held upright, so turn by 90° to look at it


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def mine(tmp_path):
    """Two classes of ten colour pictures, each of a size of its own, whose gray value tells which it is."""
    for label, name in enumerate(("Sad", "Bored")):
        for n in range(10):
            save(tmp_path / "mine" / name / f"{n}.png", np.full((60 + n, 50 + label, 3), 10 * n + label))
    return tmp_path / "mine"


def zip_of(folder):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(folder.parent))
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_folder_per_class(mine, zipped):
    path = zip_of(mine) if zipped else mine
    for _ in range(2):                                           # the second time from the cache
        splits = data.load(path)
        assert splits["train"].class_names == ("Sad", "Bored"), "those of FER2013 come first"
        assert splits["train"].name == "mine train" and splits["train"].image_shape == (48, 48, 1)
        values = np.concatenate([part.images[:, 0, 0, 0] for part in splits.values()])
        labels = np.concatenate([part.labels for part in splits.values()])
        np.testing.assert_array_equal(labels, values % 10)
        assert sorted(values) == sorted(10 * n + label for n in range(10) for label in range(2))
        assert "The 20 pictures are of 20 sizes, from 50 × 60 to 51 × 69 pixels; resized to 48 × 48." in splits["test"].note


def test_train_and_test_folders(mine):
    shutil.copytree(mine, mine.parent / "halves" / "train")
    shutil.copytree(mine, mine.parent / "halves" / "test")
    splits = data.load(mine.parent / "halves")
    assert {split: len(part) for split, part in splits.items()} == {"train": 18, "validation": 2, "test": 20}
    assert "There is no folder validation: validation is 10% of each class" in splits["train"].note
    shutil.copytree(mine, mine.parent / "halves" / "valid")
    splits = data.load(mine.parent / "halves")
    assert [len(part) for part in splits.values()] == [20, 20, 20] and "validation is" not in splits["train"].note


@pytest.mark.parametrize("zipped", [True, False])
def test_an_empty_folder_is_a_class_that_is_lost_and_said(mine, zipped):
    path = mine
    for name in ("Calm", ".git"):
        (mine / name).mkdir()
    (mine / "Afraid").mkdir()
    (mine / "Afraid" / "README.txt").write_text("to come")
    if zipped:
        path = zip_of(mine)
        with zipfile.ZipFile(path, "a") as archive:
            archive.write(mine / "Calm", "mine/Calm")
            archive.write(mine / "Afraid" / "README.txt", "mine/Afraid/README.txt")
    lost = ("Class Afraid has no usable example and is left out. Class Calm has no usable example and is left out. "
            "Not read, as they are of other kinds: 1 file (1 .txt).")
    for _ in range(2):                                           # the second time from the cache
        with pytest.warns(UserWarning) as warned:
            splits = data.load(path)
        assert [str(each.message) for each in warned] == [f"{path}: {lost}"]
        assert splits["train"].class_names == ("Sad", "Bored") and splits["train"].note.count(lost) == 1


def test_files_of_other_kinds_are_counted(mine):
    """An iPhone's pictures, say; what lies beside the folders, such as a README, is nobody's example."""
    for name in ("README.txt", "Sad/Thumbs.db", "Bored/desktop.ini", "Bored/.DS_Store"):
        (mine / name).write_text("no picture of mine")
    data.load(mine)                                              # without a warning
    for name in ("Sad/IMG_1.HEIC", "Sad/IMG_2.heic", "Bored/notes"):
        (mine / name).write_text("?")
    for _ in range(2):                                           # the second time from the cache
        with pytest.warns(UserWarning, match=r"Not read, as they are of other kinds: 3 files \(2 \.heic, 1 without a suffix\)"):
            splits = data.load(mine)
        assert sum(map(len, splits.values())) == 20 and "(2 .heic, 1 without a suffix)" in splits["train"].note


def halves(width, height):
    """A picture that is black in its left half and white in its right."""
    return np.repeat([[0, 255]], height, axis=0).repeat(width // 2, axis=1)


@pytest.mark.parametrize("form", ["gray", "palette", "alpha", "16 bits", "turned", "bilevel"])
def test_every_kind_of_picture(mine, form):
    pixels = halves(96, 64)
    path = mine / "Sad" / "0.png"
    image = Image.fromarray(pixels.astype(np.uint8))
    if form == "palette":
        image.convert("P").save(path)
    elif form == "bilevel":
        image.convert("1").save(path)
    elif form == "16 bits":
        Image.fromarray((pixels * 257).astype(np.uint16)).save(path)
    elif form == "alpha":                            # white is transparent there: what shows through is white
        Image.merge("LA", [Image.new("L", image.size), Image.eval(image, lambda value: 255 - value)]).save(path)
    elif form == "turned":
        exif = Image.Exif()
        exif[0x0112] = TURNED
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    else:
        image.save(path)
    images = np.concatenate([part.images for part in data.load(mine).values()])[..., 0]
    found, = (image for image in images if image.std() > 50)
    assert (found[:, :20] < 10).all() and (found[:, 28:] > 245).all(), "not the picture that was saved"


def test_colour_and_proportions_are_kept(mine):
    wide = np.zeros((40, 120, 3))
    wide[..., 0] = 200
    wide[:, :40] = wide[:, 80:] = 0                   # what is cropped away
    save(mine / "Sad" / "0.png", wide)
    splits = data.load(mine, image_shape=(40, 40, 3))
    images = np.concatenate([part.images for part in splits.values()])
    assert images.shape == (20, 40, 40, 3)
    assert (images == (200, 0, 0)).all(axis=(1, 2, 3)).sum() == 1


def huge(path):
    """A PNG file of a few bytes that says it has 60,000 × 60,000 pixels."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")))


def emptied(mine):
    shutil.rmtree(mine)
    mine.mkdir()


def in_train_only(mine):
    mine.rename(mine.parent / "train")
    mine.mkdir()
    (mine.parent / "train").rename(mine / "train")


def a_class_not_trained_on(mine):
    shutil.copytree(mine, mine.parent / "test")
    in_train_only(mine)
    (mine.parent / "test").rename(mine / "test")
    shutil.rmtree(mine / "train" / "Sad")


BAD = {
    "empty": (emptied, "mine: no data set found in it: no files. Expected .*a folder for each class"),
    "one class": (lambda mine: shutil.rmtree(mine / "Sad"), "mine: one class only, 'Bored'"),
    "corrupt": (lambda mine: (mine / "Sad" / "3.png").write_bytes(b"nonsense"), "Sad/3.png: not a readable image"),
    "empty file": (lambda mine: (mine / "Sad" / "3.png").write_bytes(b""), "Sad/3.png: not a readable image"),
    "cut short": (lambda mine: (mine / "Sad" / "3.png").write_bytes((mine / "Sad" / "3.png").read_bytes()[:90]),
                  "Sad/3.png: not a readable image"),
    "32 bits": (lambda mine: Image.fromarray(np.float32([[0, 1]])).save(mine / "Sad" / "3.tiff"),
                "Sad/3.tiff: its pixels are 32-bit numbers, from 0 to 1, .* save it with 8 or 16 bits a channel$"),
    "huge": (lambda mine: huge(mine / "Sad" / "3.png"), "Sad/3.png: too large a picture; up to 80,000,000 pixels"),
    "beside folders": (lambda mine: save(mine / "x.png", np.zeros((9, 9))), "mine/x.png: does not lie in the folder of a"),
    "below folders": (lambda mine: save(mine / "Sad" / "more" / "x.png", np.zeros((9, 9))), "x.png: does not lie in the"),
    "unreadable": (lambda mine: (mine / "Sad" / "x.png").symlink_to("nowhere"), "Sad/x.png: cannot be read"),
    "train alone": (in_train_only, "mine: pictures in train, but not as they should be; expected"),
    "class not in train": (a_class_not_trained_on, "test/Sad/0.png: there is no class 'Sad' in train/, which has Bored"),
    "a class itself": (lambda mine: [file.rename(mine / file.name) for file in (mine / "Sad").iterdir()]
                       and shutil.rmtree(mine / "Bored"), "does not lie in the folder of a class"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used(mine, case):
    change, message = BAD[case]
    change(mine)
    with pytest.raises(DataError, match=message) as error:
        data.load(mine)
    assert "\n" not in str(error.value)


def test_a_damaged_picture_in_a_zip_is_named(mine):
    (mine / "Sad" / "3.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="mine.zip, in it mine/Sad/3.png: not a readable image"):
        data.load(zip_of(mine))
