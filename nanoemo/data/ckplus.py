"""CK+, the Extended Cohn-Kanade data set: people filmed while a face goes from neutral to an expression.

Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", 2010. Two forms are handed round. The folders hold the last
three frames of 327 films of 118 people, 981 in all, which show an expression at its height and hardly differ: their
names tell the subject, the film and the frame, S010_004_00000017.png. The CSV file (ckextended.csv, 920 rows in
FER2013's columns) has neutral frames too, and tells neither subject nor film.
"""
import re
from dataclasses import replace
from pathlib import PurePosixPath

from nanoemo.data import fer2013, pixelcsv
from nanoemo.data.pictures import is_picture, read_set
from nanoemo.data.source import DataError

__all__ = ["find_csv", "read_csv", "find_folders", "read_folders"]

CLASS_NAMES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
CSV_CLASS_NAMES = (*fer2013.CLASS_NAMES, "contempt")         # label 0 to 7
UNTOLD = ("The file does not tell persons and films, so frames of one film may be in training and test: the "
          "accuracy may be that of recognising the film.")

FRAME = re.compile(r"(?P<root>(?:.*/)?)(?P<emotion>[^/]+)/(?P<sequence>(?P<subject>S\d{3})_\d{3})_\d{8}\.\w+",
                   re.IGNORECASE)


def find_csv(source):
    """The CSV files in `source` that hold CK+: with FER2013's columns, and names that begin with ck."""
    found = pixelcsv.find(source)
    return found if found and all(PurePosixPath(name).name.lower().startswith("ck") for name in found) else []


def read_csv(source, names):
    """The splits of the CSV form, eight classes; as `nanoemo.data.pixelcsv.read`."""
    splits = pixelcsv.read(source, names, CSV_CLASS_NAMES, "CK+")
    return {split: replace(images, note=UNTOLD) for split, images in splits.items()}


def find_folders(source):
    """The pictures in `source`, where one of them has a name as S010_004_00000017.png."""
    names = [name for name in source.names if is_picture(name)]
    return names if any(map(FRAME.fullmatch, names)) else []


def read_folders(source, names, image_shape):
    """All frames in <emotion>/<subject>_<sequence>_<frame>.png, as {"all": ImageSet} with both groups.

    Seven classes; eight where there is a folder neutral. Raises DataError naming the file and what was expected.
    """
    frames = [_match(source, name) for name in names]
    if len(roots := {frame["root"] for frame in frames}) > 1:
        raise DataError(f"{source.path}: several folders hold CK+ ({', '.join(sorted(roots))}); name one of them")
    emotions = [frame["emotion"].lower() for frame in frames]
    class_names = CLASS_NAMES + ("neutral",) * ("neutral" in emotions)
    groups = {group: [frame[group].upper() for frame in frames] for group in ("subject", "sequence")}
    return {"all": read_set(source, names, image_shape, emotions, class_names, groups)}


def _match(source, name):
    frame = FRAME.fullmatch(name)
    if frame is None:
        raise DataError(f"{source.describe(name)}: the name does not tell its film as others do; expected "
                        "<emotion>/<subject>_<sequence>_<frame>, such as anger/S010_004_00000017.png")
    if frame["emotion"].lower() not in (*CLASS_NAMES, "neutral"):
        raise DataError(f"{source.describe(name)}: unknown emotion folder {frame['emotion']!r}; expected "
                        f"{', '.join(CLASS_NAMES)} or neutral")
    return frame
