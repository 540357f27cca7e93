"""`load`: one call for every data set, whatever form it comes in."""
import re
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

from nanoemo.data import cache, ckplus, faces, fer2013, folders, jaffe
from nanoemo.data.checks import require_whole
from nanoemo.data.division import divide, warn_of_untrained
from nanoemo.data.imageset import ImageSet
from nanoemo.data.recordings import is_recording
from nanoemo.data.source import DataError, folders_without, open_source, say_lost, say_unread

__all__ = ["READERS", "Reader", "load", "parse_image_shape"]


class Reader(NamedTuple):
    """One form of one data set.

    `find(source)` returns the names of the files that `read` needs, none where the source is something else.
    `read(source, names)` returns ImageSets by split, or {"all": ImageSet} where the data set comes undivided.
    With `resizes` it takes the shape to resize to, `read(source, names, image_shape)`. With `class_folders` the names of the
    folders are the classes, so that an empty one is a class that is lost.
    `title` is what the data set is called; "" for the name of its file or folder.
    """
    name: str
    title: str
    expects: str
    find: Callable
    read: Callable
    resizes: bool = False
    class_folders: bool = False


# Asked in this order; the first that finds files reads them. A new data set is a new line here.
READERS = [
    Reader("ckplus-csv", "CK+", "a CSV file with the header emotion,pixels,Usage and a name that begins with ck (CK+)",
           ckplus.find_csv, ckplus.read_csv),
    Reader("fer2013-csv", "fer2013", "a CSV file with that header (FER2013 from Kaggle)",
           fer2013.find_csv, fer2013.read_csv),
    Reader("fer2013-folders", "fer2013", "a folder with train/<emotion>/*.jpg and test/<emotion>/*.jpg (FER2013)",
           fer2013.find_folders, fer2013.read_folders),
    Reader("ckplus-folders", "CK+", "a folder with <emotion>/S010_004_00000017.png (CK+)",
           ckplus.find_folders, ckplus.read_folders, resizes=True),
    Reader("jaffe", "JAFFE", "pictures called KA.AN1.39.tiff (JAFFE)", jaffe.find, jaffe.read, resizes=True),
    Reader("folders", "", "a folder for each class with pictures in it (yours)",
           folders.find, folders.read, resizes=True, class_folders=True),
]


def load(path=None, limit=None, seed=0, split_by="", image_shape=(48, 48, 1)):
    """The splits of a data set: `{"train": ImageSet, "validation": ImageSet, "test": ImageSet}`.

    path: None for faces drawn by formula; else a data set as a CSV file, a folder, or a zip of either; what
        is known is listed in `READERS` and docs/data.md
    limit: keep at most this many images of each split, the classes in turn (`ImageSet.take`)
    seed: of the drawn faces, of what `limit` keeps, and of how a data set is divided that comes undivided
    split_by: how to divide it: "random", "sequence", "subject", "subject=KA" (test on that one); by default by
        subject where the data tell it (`nanoemo.data.division.divide`)
    image_shape: (H, W, C) that pictures of any size and colour are resized to; drawn faces, FER2013 and CSV files
        are and stay 48 x 48 gray

    What is read from `path` is cached (`nanoemo.data.cache`), so that the next call takes a moment.
    Warns of a class without an example to train on; where folders are the classes, of an empty one and of files of other kinds.
    Raises DataError where the data cannot be read; the message names the file and the row.

    >>> splits = load(limit=70)
    >>> {name: len(faces) for name, faces in splits.items()}
    {'train': 70, 'validation': 70, 'test': 70}
    >>> splits["train"].drawn, splits["train"].image_shape
    (True, (48, 48, 1))
    """
    if limit is not None:
        require_whole("load: limit", limit, least=1)
    splits = faces.drawn_splits(seed) if path is None else _read(path, tuple(image_shape))
    if "all" in splits:
        try:
            splits = divide(splits["all"], split_by, seed, limit)
        except DataError as error:
            raise type(error)(f"{path}: {error}") from error
    elif split_by:
        raise DataError(f"{path or 'drawn faces'}: comes divided into {', '.join(splits)}, so it is not divided by "
                        f"{split_by}; only data that come undivided are")
    warn_of_untrained(splits)
    return splits if limit is None else {name: images.take(limit, seed) for name, images in splits.items()}


def parse_image_shape(text):
    """(height, width, channels) of "64x64x3", or of "64x64", which is gray. Raises ValueError for anything else.

    >>> parse_image_shape("96x64x3"), parse_image_shape("64x64")
    ((96, 64, 3), (64, 64, 1))
    """
    found = re.fullmatch(r"([1-9]\d{0,3})[x×]([1-9]\d{0,3})(?:[x×]([13]))?", text.strip())
    if not found:
        raise ValueError(f"image_shape is {text!r}; expected height x width, as 64x64, or 64x64x3 in colour")
    return tuple(int(size or 1) for size in found.groups())


def _read(path, image_shape):
    """The sets in `path` by split, or {"all": ImageSet}, from the cache or from the files."""
    with open_source(path) as source:
        reader, names = _find_reader(source)
        read, entry = reader.read, reader.name
        if reader.resizes:
            read = partial(read, image_shape=image_shape)
            entry = f"{entry}-{'x'.join(map(str, image_shape))}-"
        try:
            arrays, facts = cache.remember(entry, path, source.files(names), lambda: _taken_apart(read(source, names)))
        except OSError as error:
            raise DataError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from error
        lost = ""                                                                           # the cache knows nothing of them
        if reader.class_folders:
            lost = " ".join(filter(None, (say_lost(folders_without(source, names)), say_unread(source, names))))
    sets = _put_together(arrays, facts, reader.title or Path(path).resolve().name.removesuffix(".zip"))
    if lost:
        warnings.warn(f"{path}: {lost}", stacklevel=3)
    return {split: replace(images, note=f"{images.note} {lost}".strip()) for split, images in sets.items()}


def _taken_apart(splits):
    """Sets by split as the arrays and the facts that the cache keeps."""
    arrays = {f"{split}-{kind}": getattr(images, kind) for split, images in splits.items()
              for kind in ("images", "labels")}
    facts = {split: {"class_names": images.class_names, "note": images.note,
                     "groups": {group: names.tolist() for group, names in images.groups.items()}}
             for split, images in splits.items()}
    return arrays, facts


def _put_together(arrays, facts, title):
    sets = {}
    for split, told in facts.items():
        groups = {group: np.array(names) for group, names in told["groups"].items()}
        sets[split] = ImageSet(arrays[f"{split}-images"], arrays[f"{split}-labels"], told["class_names"],
                               name=f"{title} {split}".removesuffix(" all"), note=told["note"], groups=groups)
    return {split: sets[split] for split in ("all", "train", "validation", "test") if split in sets}


def _find_reader(source):
    for reader in READERS:
        names = reader.find(source)
        if names:
            return reader, names
    some = ", ".join(source.names[:3])
    found = f"{len(source.names)} files, such as {some}" if some else "no files"
    hint = ("; these are recordings: models that listen are chater.conv1d, chater.lstm and series.speech, others read "
            "clips as pictures with the features log_mel" if any(map(is_recording, source.names)) else "")
    raise DataError(f"{source.path}: no data set found in it: {found}. Expected "
                    f"{', or '.join(reader.expects for reader in READERS)}, or a zip of one{hint}")
