"""Images as text, the form in which Kaggle hands out small gray faces: a row an image (emotion, pixels, Usage)."""
import csv
import io
import warnings

import numpy as np

from nanoemo.data.imageset import ImageSet
from nanoemo.data.source import DataError

__all__ = ["SIZE", "SPLITS", "USAGE", "find", "read", "require_all"]

SIZE = 48
SPLITS = ("train", "validation", "test")
USAGE = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
COLUMNS = ("emotion", "pixels", "usage")


def find(source):
    """The CSV files in `source` whose header has the columns emotion, pixels and Usage."""
    return [name for name in source.names if name.lower().endswith(".csv") and _has_columns(source, name)]


def _has_columns(source, name):
    with source.open(name) as file:
        header = file.readline(200).decode("utf-8-sig", "replace")
    return all(column in _column_names(header.split(",")) for column in COLUMNS)


def _column_names(cells):
    return [cell.strip().strip('"').lower() for cell in cells]


def read(source, names, class_names, title):
    """The splits, ImageSets by name, of a CSV file with the columns emotion, pixels and Usage, in any order.

    names: the file, and no second one
    class_names: of the labels 0, 1, ... in the column emotion
    title: what the data set is called in errors

    Usage is Training, PublicTest (here: validation) or PrivateTest (here: test). Raises DataError naming the
    file, the row and what was expected there.
    """
    if len(names) > 1:
        raise DataError(f"{source.path}: holds several CSV files of {title} ({', '.join(names)}); name one of them")
    path = source.describe(names[0])
    pixels = {split: bytearray() for split in SPLITS}
    labels = {split: [] for split in SPLITS}
    with source.open(names[0]) as file, warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)   # np.fromstring's sign of something not a number
        for row, cells in _rows(path, file):
            split, label, image = _parse_row(f"{path}, row {row}", class_names, *cells)
            labels[split].append(label)
            pixels[split] += image
    require_all(path, labels, {split: f"no row has Usage {usage}" for usage, split in USAGE.items()})
    return {split: ImageSet(np.frombuffer(pixels[split], np.uint8).reshape(-1, SIZE, SIZE, 1),
                            np.array(labels[split], np.int64), class_names) for split in SPLITS}


def _rows(path, file):
    """Yield (row number, (emotion, pixels, usage)) of each row; the first below the header is row 1."""
    row = 0
    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
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


def _parse_row(where, class_names, emotion, pixels, usage):
    """(split, label, 2304 bytes) of one row."""
    split = USAGE.get(usage.strip())
    if split is None:
        raise DataError(f"{where}: unknown Usage {usage[:40]!r}; expected {', '.join(USAGE)}")
    if emotion.strip() not in map(str, range(len(class_names))):
        hint = "; 7 is contempt in CK+, whose file is known by a name that begins with ck" if emotion.strip() == "7" else ""
        raise DataError(f"{where}: emotion {emotion[:40]!r}; expected a whole number from 0 ({class_names[0]}) "
                        f"to {len(class_names) - 1} ({class_names[-1]}){hint}")
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


def require_all(path, labels, problem):
    """Raise DataError where a split has no images: `labels` and what is wrong if there are none, by split."""
    for split in SPLITS:
        if not len(labels[split]):
            raise DataError(f"{path}: no images for {split}: {problem[split]}; the data set may be cut short "
                            "(to train on a part of it, use a limit)")
