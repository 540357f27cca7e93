"""`load`: one call for every data set, whatever form it comes in."""
from typing import Callable, NamedTuple

from nanoemo.data import cache, faces, fer2013
from nanoemo.data.imageset import ImageSet
from nanoemo.data.source import DataError, open_source

__all__ = ["READERS", "Reader", "load"]


class Reader(NamedTuple):
    """One form of one data set.

    `find(source)` returns the names of the files that `read` needs, none where the source is something else.
    `read(source, names)` returns ({split: (uint8 images (N, H, W, C), int64 labels (N,))}, note).
    """
    name: str
    expects: str
    class_names: tuple
    find: Callable
    read: Callable


# Asked in this order; the first that finds files reads them. A new data set is a new line here.
READERS = [
    Reader("fer2013-csv", "a CSV file with the header emotion,pixels,Usage (FER2013 from Kaggle)",
           fer2013.CLASS_NAMES, fer2013.find_csv, fer2013.read_csv),
    Reader("fer2013-folders", "a folder with train/<emotion>/*.jpg and test/<emotion>/*.jpg (FER2013)",
           fer2013.CLASS_NAMES, fer2013.find_folders, fer2013.read_folders),
]


def load(path=None, limit=None, seed=0):
    """The splits of a data set: `{"train": ImageSet, "validation": ImageSet, "test": ImageSet}`.

    Parameters
    ----------
    path : None for faces drawn by formula; else FER2013 as a CSV file, a folder, or a zip of either
    limit : keep at most this many images of each split, the classes in turn (`ImageSet.take`)
    seed : of the drawn faces, and of what `limit` keeps

    What is read from `path` is cached (`nanoemo.data.cache`), so that the next call takes a moment.
    Raises DataError where the data cannot be read; the message names the file and the row.

    >>> splits = load(limit=70)
    >>> {name: len(faces) for name, faces in splits.items()}
    {'train': 70, 'validation': 70, 'test': 70}
    >>> splits["train"].drawn, splits["train"].image_shape
    (True, (48, 48, 1))
    """
    if limit is not None and limit < 1:
        raise ValueError(f"load: limit is {limit}; expected at least 1 image a split")
    splits = faces.drawn_splits(seed) if path is None else _read(path)
    return splits if limit is None else {name: images.take(limit, seed) for name, images in splits.items()}


def _read(path):
    with open_source(path) as source:
        reader, names = _find_reader(source)

        def build():
            splits, note = reader.read(source, names)
            arrays = {f"{split}-{kind}": array for split, pair in splits.items()
                      for kind, array in zip(("images", "labels"), pair)}
            return arrays, {"note": note}

        try:
            arrays, facts = cache.remember(reader.name, path, source.files(names), build)
        except OSError as error:
            raise DataError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from error
    return {split: ImageSet(arrays[f"{split}-images"], arrays[f"{split}-labels"], reader.class_names,
                            name=f"{reader.name.split('-')[0]} {split}", note=facts["note"])
            for split in ("train", "validation", "test")}


def _find_reader(source):
    for reader in READERS:
        names = reader.find(source)
        if names:
            return reader, names
    some = ", ".join(source.names[:3])
    found = f"{len(source.names)} files, such as {some}" if some else "no files"
    raise DataError(f"{source.path}: no data set found in it: {found}. Expected "
                    f"{' or '.join(reader.expects for reader in READERS)}, or a zip of one")
