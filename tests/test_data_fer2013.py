"""FER2013 in each of its forms, and what is said about each way in which it can be wrong."""
import gc
import io
import warnings
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nanoemo import data
from nanoemo.data import DataError
from nanoemo.data.fer2013 import CLASS_NAMES

USAGES = ["Training", "Training", "PublicTest", "PrivateTest"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def made():
    """28 faces: images, labels and usages of a small FER2013."""
    faces = data.drawn_faces(28)
    usages = [USAGES[i // 7] for i in range(28)]
    return SimpleNamespace(images=faces.images, labels=faces.labels, usages=usages)


def csv_rows(made):
    return [[str(label), " ".join(map(str, image.ravel())), usage]
            for image, label, usage in zip(made.images, made.labels, made.usages)]


def csv_text(rows, header="emotion,pixels,Usage", end="\n"):
    return end.join([header, *(",".join(row) for row in rows)]) + end


def png(image, mode="L"):
    buffer = io.BytesIO()
    Image.fromarray(image).convert(mode).save(buffer, "png")
    return buffer.getvalue()


def write_folders(root, made, named=True):
    for i, (image, label, usage) in enumerate(zip(made.images, made.labels, made.usages)):
        folder = root / ("train" if usage == "Training" else "test") / CLASS_NAMES[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / (f"{usage}_{i}.png" if named else f"im{i:03}.png")).write_bytes(png(image[:, :, 0]))


def zip_of(path, root):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, file.relative_to(root.parent))
    return path


def test_reading_leaves_no_file_open(tmp_path, made):
    (tmp_path / "fer2013.csv").write_text(csv_text(csv_rows(made)))
    write_folders(tmp_path / "folders", made)
    zip_of(tmp_path / "folders.zip", tmp_path / "folders")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for name in ("fer2013.csv", "folders", "folders.zip"):
            data.load(tmp_path / name)
        gc.collect()
    assert [str(warning.message) for warning in told if warning.category is ResourceWarning] == []


def assert_is(splits, made):
    for split, wanted in {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}.items():
        chosen = [usage == wanted for usage in made.usages]
        np.testing.assert_array_equal(splits[split].images, made.images[chosen])
        np.testing.assert_array_equal(splits[split].labels, made.labels[chosen])
        assert splits[split].class_names == CLASS_NAMES and not splits[split].drawn


@pytest.mark.parametrize("end, quote", [("\n", ""), ("\r\n", ""), ("\n", '"'), ("\r\n", '"')])
def test_csv(tmp_path, made, end, quote):
    rows = [[label, f"{quote}{pixels}{quote}", usage] for label, pixels, usage in csv_rows(made)]
    path = tmp_path / "fer2013.csv"
    path.write_bytes(csv_text(rows, end=end).encode())
    assert_is(data.load(path), made)
    assert_is(data.load(str(path)), made)            # now from the cache


def test_csv_with_columns_in_another_order_blank_lines_and_a_byte_order_mark(tmp_path, made):
    rows = [[label, f" {usage}", f" {pixels}"] for label, pixels, usage in csv_rows(made)]
    path = tmp_path / "icml_face_data.csv"
    path.write_text("\ufeff" + csv_text(rows, "emotion, Usage, pixels") + "\n\n", encoding="utf-8")
    assert_is(data.load(path), made)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_folders(tmp_path, made, named, zipped):
    root = tmp_path / "fer2013"
    write_folders(root, made, named)
    (root / ".DS_Store").write_bytes(b"x")
    (root / "readme.txt").write_text("about")
    splits = data.load(zip_of(tmp_path / "fer.zip", root) if zipped else root)
    if named:
        assert_is(splits, made)
        assert splits["train"].note == ""
        return
    assert [len(split) for split in splits.values()] == [7, 7, 14]
    assert set(splits["validation"].counts().values()) == {1}, "validation is not stratified"
    assert "validation is 10% of each class" in splits["validation"].note
    seen = np.concatenate([splits[name].images for name in ("train", "validation")])
    assert {image.tobytes() for image in seen} == {image.tobytes() for image in made.images[:14]}


def test_csv_in_a_folder_and_in_a_zip(tmp_path, made):
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "fer2013.csv").write_text(csv_text(csv_rows(made)))
    (folder / "README").write_text("about")
    assert_is(data.load(folder), made)
    assert_is(data.load(zip_of(tmp_path / "fer.zip", folder)), made)
    (folder / "again.csv").write_text(csv_text(csv_rows(made)))
    with pytest.raises(DataError, match="several CSV files of FER2013 .again.csv, fer2013.csv.; name one"):
        data.load(folder)


def test_gray_stored_as_equal_colours_counts(tmp_path, made):
    write_folders(tmp_path / "fer", made)
    file = tmp_path / "fer" / "train" / "angry" / "Training_0.png"
    file.write_bytes(png(made.images[0, :, :, 0], "RGB"))
    assert_is(data.load(tmp_path / "fer"), made)


def spoil(rows, row, column, value):
    rows[row - 1][column] = value(rows[row - 1][column]) if callable(value) else value


@pytest.mark.parametrize("row, column, value, message", [
    (3, 0, "7", r"row 3: emotion '7'; expected a whole number from 0 .* to 6"),
    (3, 0, "-1", "row 3: emotion '-1'"),
    (3, 0, "happy", "row 3: emotion 'happy'"),
    (2, 2, "Train", "row 2: unknown Usage 'Train'; expected Training, PublicTest, PrivateTest"),
    (5, 1, "1 2 3", r"row 5: 3 pixels; expected 2304 \(48 x 48\)"),
    (5, 1, "", "row 5: 0 pixels; expected 2304"),
    (5, 1, lambda p: p + " 9", "row 5: 2305 pixels"),
    (5, 1, lambda p: "256 " + p.split(" ", 1)[1], "row 5: pixel 0 is '256'; expected a whole number from 0"),
    (5, 1, lambda p: p.rsplit(" ", 1)[0] + " -3", "row 5: pixel 2303 is '-3'"),
    (5, 1, lambda p: p.rsplit(" ", 1)[0] + " 4294967297", "row 5: pixel 2303 is '4294967297'"),
    (5, 1, lambda p: p.replace(" ", " x ", 1), "row 5: pixel 1 is 'x'"),
    (5, 1, lambda p: "1.5 " + p.split(" ", 1)[1], "row 5: pixel 0 is '1.5'"),
    (5, 1, lambda p: "9" * 200_000, "near row 5: not a readable CSV"),
])
def test_bad_cell(tmp_path, made, row, column, value, message):
    rows = csv_rows(made)
    spoil(rows, row, column, value)
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_text(rows))
    with pytest.raises(DataError, match=message) as error:
        data.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content, message", [
    (b"", "the header lacks emotion, pixels, usage; .* found nothing: the file is empty"),
    (b"emotion,pixels\n3,1 2\n", r"lacks usage; expected emotion,pixels,Usage .* found emotion,pixels"),
    (b"hello\nworld\n", "found hello"),
    (b"emotion,pixels,Usage\n", "no images for train: no row has Usage Training; .* cut short"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "not text, so not a CSV file"),
    (b"emotion,pixels,Usage\n3,1 2 3\n", "row 1: expected 3 columns .*, found 2; if .*cut short"),
    (b"emotion,pixels,Usage\n3,1,Training,9\n", "row 1: expected 3 columns .*, found 4"),
    (b"PK\x03\x04 and nothing more", "header lacks|not text"),
])
def test_bad_csv_file(tmp_path, content, message):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        data.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("lost, message", [
    (4, "row 28: unknown Usage 'PrivateT'"), (100, "row 28: expected 3 columns .*, found 2; .*cut short"),
    (100_000, "row .*: expected 3 columns .*, found 2; .*cut short")])
def test_csv_cut_short(tmp_path, made, lost, message):
    text = csv_text(csv_rows(made))
    path = tmp_path / "fer2013.csv"
    path.write_text(text[:-lost])
    with pytest.raises(DataError, match=message):
        data.load(path)


def replace_with(content, name="angry/Training_0.png"):
    return lambda root: (root / "train" / name).write_bytes(content)


def rename(old, new):
    def change(root):
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)
    return change


COLOUR = png(np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8), "RGB")
LARGE = png(np.zeros((64, 48), np.uint8))
NOISE = png(np.random.default_rng(0).integers(0, 255, (48, 48), dtype=np.uint8))


@pytest.mark.parametrize("change, message", [
    (replace_with(COLOUR), r"Training_0.png: a colour image; expected gray"),
    (replace_with(LARGE), r"Training_0.png: 48 x 64 pixels; expected 48 x 48"),
    (replace_with(NOISE[:len(NOISE) // 2]), r"Training_0.png: not a readable image .*cut short"),
    (replace_with(b""), r"Training_0.png: not a readable image"),
    (replace_with(b"not an image"), r"Training_0.png: not a readable image; expected a JPEG or PNG file$"),
    (rename("train/angry", "train/angrily"), r"unknown emotion folder 'angrily'; expected angry, disgust, "),
    (rename("train/angry/Training_0.png", "train/angry/seven.png"), "the name does not tell its split"),
    (rename("train/angry/Training_0.png", "test/angry/Training_0.png"), "says Training but the folder is"),
    (rename("train/angry/Training_0.png", "validation/angry/0.png"), "neither in train/<emotion>/ nor"),
    (rename("train/angry/Training_0.png", "train/Training_0.png"), "_0.png: neither in train/<emot"),
    (rename("test", "../test"), "no images for validation"),
    (rename("train/angry", "more/train/angry"), r"several folders hold train/ and test/ \(, more/\)"),
])
def test_bad_folder(tmp_path, made, change, message):
    root = tmp_path / "deep" / "fer"
    write_folders(root, made)
    change(root)
    with pytest.raises(DataError, match=message):
        data.load(root)


def test_link_to_nothing(tmp_path, made):
    write_folders(tmp_path / "fer", made)
    (tmp_path / "fer" / "train" / "angry" / "Training_99.png").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match="Training_99.png: cannot be read: No such file"):
        data.load(tmp_path / "fer")


def test_truncated_jpeg(tmp_path, made):
    write_folders(tmp_path / "fer", made)
    file = tmp_path / "fer" / "train" / "angry" / "Training_99.jpg"
    Image.fromarray(made.images[0, :, :, 0]).save(file, quality=95)
    data.load(tmp_path / "fer")
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(DataError, match="Training_99.jpg: not a readable image .*truncated"):
        data.load(tmp_path / "fer")


def test_folder_without_images(tmp_path):
    (tmp_path / "empty" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="no data set found in it: no files. Expected a CSV .* zip of one"):
        data.load(tmp_path / "empty")
    for name in ("a.txt", "b.txt"):
        (tmp_path / "empty" / name).write_text("x")
    with pytest.raises(DataError, match="2 files, such as a.txt, b.txt"):
        data.load(tmp_path / "empty")


def test_missing_path_names_the_nearest(tmp_path):
    (tmp_path / "fer2013.csv").write_text("x")
    with pytest.raises(DataError, match="no such file or folder; did you mean .*fer2013.csv?"):
        data.load(tmp_path / "fer2O13.csv")
    with pytest.raises(DataError, match="no such file or folder"):
        data.load(tmp_path / "nowhere" / "at" / "all")


@pytest.mark.parametrize("name", ["../outside.csv", "/etc/outside.csv", "a/../../outside.csv",
                                  "..\\outside.csv", "C:/outside.csv"])
def test_zip_that_climbs_out(tmp_path, made, name):
    path = tmp_path / "fer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fer2013.csv", csv_text(csv_rows(made)))
        archive.writestr(name, "emotion")
    with pytest.raises(DataError, match="leads out of the archive; such an archive is not read"):
        data.load(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fer.zip"]


def test_zip_with_a_link(tmp_path):
    entry = zipfile.ZipInfo("fer2013.csv")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "fer.zip", "w") as archive:
        archive.writestr(entry, "/etc/hostname")
    with pytest.raises(DataError, match="'fer2013.csv' is a link"):
        data.load(tmp_path / "fer.zip")


def test_damaged_zip(tmp_path, made):
    path = tmp_path / "fer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fer2013.csv", csv_text(csv_rows(made)))
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(DataError, match="fer.zip: not a readable zip archive"):
        data.load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_with_a_damaged_byte(tmp_path, made, method):
    path = tmp_path / "fer.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("fer2013.csv", csv_text(csv_rows(made)))
    content = bytearray(path.read_bytes())
    place = 100 if method == zipfile.ZIP_DEFLATED else content.index(b" 1") + 1    # a digit
    content[place:place + 1] = b"2"
    path.write_bytes(content)
    with pytest.raises(DataError, match="in it fer2013.csv: damaged .*download the archive again"):
        data.load(path)


def test_damaged_image_in_a_stored_zip(tmp_path, made):
    write_folders(tmp_path / "fer", made)
    path = zip_of(tmp_path / "fer.zip", tmp_path / "fer")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="in it fer/.*: damaged .*CRC.*; download"):
        data.load(path)


def test_limit(tmp_path, made):
    (tmp_path / "fer2013.csv").write_text(csv_text(csv_rows(made)))
    splits = data.load(tmp_path / "fer2013.csv", limit=3)
    assert [len(split) for split in splits.values()] == [3, 3, 3]
    with pytest.raises(ValueError, match="limit is 0"):
        data.load(limit=0)


TOTALS = [4953, 547, 5121, 8989, 6077, 4002, 6198]
TRAINING = [3995, 436, 4097, 7215, 4830, 3171, 4965]


@pytest.mark.parametrize("form", ["fer2013.csv", "fer2013"])
def test_real_counts(data_dir, form):
    if not (data_dir / form).exists():
        pytest.skip(f"no {form} in NANOEMO_DATA")
    splits = data.load(data_dir / form)
    assert list(splits["train"].counts().values()) == TRAINING
    assert np.sum([list(split.counts().values()) for split in splits.values()], axis=0).tolist() == TOTALS
    assert [len(split) for split in splits.values()] == [28709, 3589, 3589]
