"""FER2013: 35,887 gray faces of 48 x 48 pixels in seven expressions, in every form it is handed round in.

Goodfellow et al., "Challenges in representation learning: a report on three machine learning contests",
2013. The CSV file has a row an image (emotion, pixels, Usage); the folder layout has a JPEG an image.
"""
import re
from pathlib import PurePosixPath

import numpy as np

from nanoemo.data import pixelcsv
from nanoemo.data.division import HELD_OUT, held_out
from nanoemo.data.imageset import ImageSet
from nanoemo.data.pictures import is_picture, opened
from nanoemo.data.pixelcsv import SIZE, SPLITS, USAGE
from nanoemo.data.source import DataError

__all__ = ["CLASS_NAMES", "find_csv", "read_csv", "find_folders", "read_folders"]

CLASS_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")    # label 0 to 6


# ---- the CSV file

def find_csv(source):
    """The CSV files in `source` that hold FER2013.

    A file given alone, and a lone .csv file, is taken for one whatever it holds, so that reading it says what is wrong with it.
    """
    if len(source.names) == 1 and not is_picture(source.names[0]):
        if source.path.is_file() or source.names[0].lower().endswith(".csv"):
            return source.names
    return pixelcsv.find(source)


def read_csv(source, names):
    """The splits of Kaggle's CSV; as `nanoemo.data.pixelcsv.read`."""
    return pixelcsv.read(source, names, CLASS_NAMES, "FER2013")


# ---- folders of JPEG files

IMAGE = re.compile(r"(?P<root>(?:.*/)?)(?P<folder>train|test)/(?P<emotion>[^/]+)/(?P<file>[^/]+)",
                   re.IGNORECASE)
SPLIT_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_(\d+)")


def find_folders(source):
    """The images in `source` that lie in train/<emotion>/ or test/<emotion>/, at any depth.

    Where no name tells its split, and a folder has another name than FER2013's or the first image another size,
    they are taken for something else.
    """
    found = [match for match in map(IMAGE.fullmatch, filter(is_picture, source.names)) if match]
    roots = {match["root"] for match in found if match["emotion"].lower() in CLASS_NAMES}
    found = [match for match in found if match["root"] in roots]
    if found and not any(SPLIT_NAME.match(match["file"]) for match in found):
        with opened(source, found[0].string) as picture:
            ours = picture.size == (SIZE, SIZE)
        if not ours or {match["emotion"].lower() for match in found} - set(CLASS_NAMES):
            return []
    return [match.string for match in found]


def read_folders(source, names):
    """The splits, ImageSets by name, of train/<emotion>/*.jpg and test/<emotion>/*.jpg.

    Where the file names tell the split (Training_7.jpg, PublicTest_7.jpg, PrivateTest_7.jpg) it is the same
    as in the CSV. Where they do not, the folder test is the test split, and validation is a tenth of each
    class of the folder train, drawn with a fixed seed: always the same tenth, so that runs can be compared.
    The sets' note says so. Raises DataError naming the file and what was expected.
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
    images = np.stack([_decode(source, name) for name in names])
    if all(named):
        split_of = np.array([_named_split(source, *pair) for pair in zip(matches, named)])
        order = np.argsort([int(match[2]) for match in named], kind="stable")    # as the rows of the CSV
        note = ""
    else:
        split_of = np.array([match["folder"].lower() for match in matches], dtype=object)
        train = np.flatnonzero(split_of == "train")
        split_of[train[held_out(labels[train])]] = "validation"
        order = np.arange(len(names))
        note = f"The file names do not tell the validation images: {HELD_OUT}"
    everything = ImageSet(images, labels, CLASS_NAMES, note=note)
    splits = {split: everything.subset(order[split_of[order] == split]) for split in SPLITS}
    pixelcsv.require_all(source.path, splits, dict.fromkeys(
        SPLITS, "expected them in train/<emotion>/ and test/<emotion>/"))
    return splits


def _refuse_strays(source, names, root):
    """Raise DataError for an image not in `names` that seems meant to be used, as in validation/sad/."""
    for name in set(filter(is_picture, source.names)).difference(names):
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


def _decode(source, name):
    """One gray image, uint8 (48, 48, 1); gray stored as equal red, green and blue counts."""
    where = source.describe(name)
    with opened(source, name) as picture:
        if picture.size != (SIZE, SIZE):
            raise DataError(f"{where}: {picture.width} x {picture.height} pixels; expected {SIZE} x {SIZE}")
        values = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise DataError(f"{where}: a colour image; expected gray (in Pillow: image.convert('L'))")
        values = values[..., 0]
    return values.reshape(SIZE, SIZE, 1)
