"""FER2013: 35,887 gray faces of 48 x 48 pixels in seven expressions, in every form it is handed round in.

Goodfellow et al., "Challenges in representation learning: a report on three machine learning contests",
2013. The CSV file has a row an image (emotion, pixels, Usage); the folder layout has a JPEG an image.
"""
import csv
import io
import re
import warnings
from pathlib import PurePosixPath

import numpy as np

from nanoemo.data.source import DataError

__all__ = ["CLASS_NAMES", "SPLITS", "find_csv", "read_csv", "find_folders", "read_folders"]

CLASS_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")    # label 0 to 6
SIZE = 48
SPLITS = ("train", "validation", "test")
USAGE = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
COLUMNS = ("emotion", "pixels", "usage")
VALIDATION_SHARE, VALIDATION_SEED = 0.1, 2013


# ---- the CSV file

def find_csv(source):
    """The CSV files in `source` that hold FER2013.

    A lone file is taken for one whatever it holds, so that reading it says what is wrong with it.
    """
    if len(source.names) == 1 and not _is_image(source.names[0]):
        return source.names
    return [name for name in source.names if name.lower().endswith(".csv") and _has_columns(source, name)]


def _has_columns(source, name):
    with source.open(name) as file:
        header = file.readline(200).decode("utf-8-sig", "replace")
    return all(column in _column_names(header.split(",")) for column in COLUMNS)


def _column_names(cells):
    return [cell.strip().strip('"').lower() for cell in cells]


def read_csv(source, names):
    """Images and labels of each split from Kaggle's CSV: columns emotion, pixels and Usage, in any order.

    Usage is Training, PublicTest (here: validation) or PrivateTest (here: test). Raises DataError naming the
    file, the row and what was expected there.
    """
    if len(names) > 1:
        raise DataError(f"{source.path}: holds several CSV files of FER2013 ({', '.join(names)}); "
                        "name one of them")
    path = source.describe(names[0])
    pixels = {split: bytearray() for split in SPLITS}
    labels = {split: [] for split in SPLITS}
    with source.open(names[0]) as file, warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)   # np.fromstring's sign of something not a number
        for row, cells in _rows(path, file):
            split, label, image = _parse_row(f"{path}, row {row}", *cells)
            labels[split].append(label)
            pixels[split] += image
    splits = {split: (_stack(pixels[split]), np.array(labels[split], np.int64)) for split in SPLITS}
    _require_all(path, splits, {split: f"no row has Usage {usage}" for usage, split in USAGE.items()})
    return splits, ""


def _rows(path, file):
    """Yield (row number, (emotion, pixels, usage)) of each row; the first below the header is row 1."""
    reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
    row = 0
    try:
        header = _column_names(next(reader, []))
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            seen = ",".join(header)[:60] or "nothing: the file is empty"
            raise DataError(f"{path}: the header lacks {', '.join(missing)}; expected emotion,pixels,Usage "
                            f"as in Kaggle's fer2013.csv, found {seen}")
        places = [header.index(column) for column in COLUMNS]
        for row, cells in enumerate(reader, start=1):
            if not cells:                            # an empty line, as at the end of some copies
                continue
            if len(cells) != len(header):
                raise DataError(f"{path}, row {row}: expected {len(header)} columns ({','.join(header)}), "
                                f"found {len(cells)}; if it is the last row, the file is cut short: "
                                "download it again")
            yield row, [cells[place] for place in places]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, near row {row + 1}: not text, so not a CSV file; expected a header "
                        "emotion,pixels,Usage and rows of numbers") from error
    except csv.Error as error:
        raise DataError(f"{path}, near row {row + 1}: not a readable CSV file ({error})") from error


def _parse_row(where, emotion, pixels, usage):
    """(split, label, 2304 bytes) of one row."""
    split = USAGE.get(usage.strip())
    if split is None:
        raise DataError(f"{where}: unknown Usage {usage[:40]!r}; expected {', '.join(USAGE)}")
    if emotion.strip() not in {"0", "1", "2", "3", "4", "5", "6"}:
        raise DataError(f"{where}: emotion {emotion[:40]!r}; expected a whole number from 0 (angry) "
                        "to 6 (neutral)")
    try:
        values = np.fromstring(pixels, np.int64, sep=" ")
    except (DeprecationWarning, ValueError):
        raise DataError(f"{where}: {_first_bad_pixel(pixels)}") from None
    if values.size != SIZE * SIZE or values.min() < 0 or values.max() > 255:
        raise DataError(f"{where}: {_first_bad_pixel(pixels)}")
    return split, int(emotion), values.astype(np.uint8).tobytes()


def _first_bad_pixel(pixels):
    """What is wrong with a row of pixels that could not be used."""
    words = pixels.split()
    for place, word in enumerate(words):
        if not (word.isascii() and word.isdigit() and int(word) <= 255):
            return f"pixel {place} is {word[:20]!r}; expected a whole number from 0 to 255"
    return f"{len(words)} pixels; expected {SIZE * SIZE} ({SIZE} x {SIZE})"


def _stack(data):
    return np.frombuffer(data, np.uint8).reshape(-1, SIZE, SIZE, 1)


def _require_all(path, splits, problem):
    """Raise DataError where a split has no images."""
    for split, (_, labels) in splits.items():
        if not len(labels):
            raise DataError(f"{path}: no images for {split}: {problem[split]}; the data set may be cut short "
                            "(to train on a part of it, use a limit)")


# ---- folders of JPEG files

IMAGE = re.compile(r"(?P<root>(?:.*/)?)(?P<folder>train|test)/(?P<emotion>[^/]+)/(?P<file>[^/]+)",
                   re.IGNORECASE)
SPLIT_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_(\d+)")


def _is_image(name):
    return PurePosixPath(name).suffix.lower() in {".jpg", ".jpeg", ".png"}


def find_folders(source):
    """The images in `source` that lie in train/<emotion>/ or test/<emotion>/, at any depth."""
    found = [match for match in map(IMAGE.fullmatch, filter(_is_image, source.names)) if match]
    roots = {match["root"] for match in found if match["emotion"].lower() in CLASS_NAMES}
    return [match.string for match in found if match["root"] in roots]


def read_folders(source, names):
    """Images and labels of each split from train/<emotion>/*.jpg and test/<emotion>/*.jpg.

    Where the file names tell the split (Training_7.jpg, PublicTest_7.jpg, PrivateTest_7.jpg) it is the same
    as in the CSV. Where they do not, the folder test is the test split, and validation is a tenth of each
    class of the folder train, drawn with a fixed seed: always the same tenth, so that runs can be compared.
    The note that is returned says so. Raises DataError naming the file and what was expected.
    """
    matches = [IMAGE.fullmatch(name) for name in names]
    if len(roots := {match["root"] for match in matches}) > 1:
        raise DataError(f"{source.path}: several folders hold train/ and test/ ({', '.join(sorted(roots))}); "
                        "name one of them")
    _refuse_strays(source, names, *roots)
    named = [SPLIT_NAME.match(match["file"]) for match in matches]
    if any(named) and not all(named):
        raise DataError(f"{source.describe(names[named.index(None)])}: the name does not tell its split as "
                        "others do; expected a name such as Training_7.jpg, PublicTest_7.jpg or "
                        "PrivateTest_7.jpg")
    labels = np.array([_label(source, match) for match in matches], np.int64)
    images = _stack(b"".join(_decode(source, name) for name in names))
    if all(named):
        split_of = np.array([_named_split(source, *pair) for pair in zip(matches, named)])
        order = np.argsort([int(match[2]) for match in named], kind="stable")    # as the rows of the CSV
        note = ""
    else:
        split_of = np.array([match["folder"].lower() for match in matches], dtype=object)
        split_of[_validation_share(labels, split_of == "train")] = "validation"
        order = np.arange(len(names))
        note = (f"The file names do not tell the validation images: validation is {VALIDATION_SHARE:.0%} of "
                "each class of the folder train, drawn with a fixed seed.")
    splits = {}
    for split in SPLITS:
        chosen = order[split_of[order] == split]
        splits[split] = images[chosen], labels[chosen]
    _require_all(source.path, splits, {split: "expected them in train/<emotion>/ and test/<emotion>/"
                                       for split in SPLITS})
    return splits, note


def _refuse_strays(source, names, root):
    """Raise DataError for an image not in `names` that seems meant to be used, as in validation/sad/."""
    for name in set(filter(_is_image, source.names)).difference(names):
        parent = PurePosixPath(name).parent.name.lower()
        if name.startswith(root) and parent in (*CLASS_NAMES, "train", "test"):
            raise DataError(f"{source.describe(name)}: neither in train/<emotion>/ nor in test/<emotion>/; "
                            "move it there, or out of the data set")


def _label(source, match):
    emotion = match["emotion"].lower()
    if emotion not in CLASS_NAMES:
        raise DataError(f"{source.describe(match.string)}: unknown emotion folder {match['emotion']!r}; "
                        f"expected {', '.join(CLASS_NAMES)}")
    return CLASS_NAMES.index(emotion)


def _named_split(source, match, named):
    split = USAGE[named[1]]
    if (split == "train") != (match["folder"].lower() == "train"):
        raise DataError(f"{source.describe(match.string)}: the name says {named[1]} but the folder is "
                        f"{match['folder']}; move it or rename it")
    return split


def _validation_share(labels, candidates):
    """Indices of VALIDATION_SHARE of each class among the candidates, at least one where there are two."""
    rng = np.random.default_rng(VALIDATION_SEED)
    chosen = []
    for label in range(len(CLASS_NAMES)):
        of_class = rng.permutation(np.flatnonzero(candidates & (labels == label)))
        wanted = max(round(VALIDATION_SHARE * len(of_class)), int(len(of_class) > 1))
        chosen.append(of_class[:wanted])
    return np.concatenate(chosen)


def _decode(source, name):
    """The 2304 bytes of one gray image of 48 x 48 pixels; gray stored as equal red, green and blue counts."""
    from PIL import Image, UnidentifiedImageError

    where = source.describe(name)
    try:
        with Image.open(io.BytesIO(source.read(name))) as picture:
            if picture.size != (SIZE, SIZE):
                raise DataError(f"{where}: {picture.width} x {picture.height} pixels; "
                                f"expected {SIZE} x {SIZE}")
            values = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
    except UnidentifiedImageError as error:          # its words: an object at some address
        raise DataError(f"{where}: not a readable image; expected a JPEG or PNG file") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: not a readable image ({error}); it may be cut short") from error
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise DataError(f"{where}: a colour image; expected gray (in Pillow: image.convert('L'))")
        values = values[..., 0]
    return values.tobytes()

