"""Pictures of your own: a folder for each class, with pictures of any size and colour in it."""
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from nanoemo.data import fer2013
from nanoemo.data.division import HELD_OUT, held_out
from nanoemo.data.pictures import is_picture, read_set
from nanoemo.data.source import DataError

__all__ = ["find", "read"]

SPLIT_FOLDERS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation",
                 "val": "validation", "test": "test"}
EXPECTED = ("expected a folder for each class with its pictures in it, <class>/*.jpg, "
            "or the same in train/ and test/ (and validation/)")


def find(source):
    """All pictures in `source`."""
    return [name for name in source.names if is_picture(name)]


def read(source, names, image_shape):
    """The pictures, labelled with the name of the folder each lies in, as {"all": ImageSet}.

    Where the folders of the classes lie in train/ and test/, the splits are returned, ImageSets by name; without a
    folder validation/ it is a share of each class of train/ (`nanoemo.data.division.held_out`). Classes that FER2013
    has come in its order, others after them by name. Raises DataError naming the file and what was expected.
    """
    bases, splits, classes = zip(*map(_place, names))
    _check(source, names, bases, splits, classes)
    class_names = _in_order(set(classes))
    everything = read_set(source, names, image_shape, classes, class_names)
    split_of = np.array(splits, dtype=object)
    if "test" in splits and "validation" not in splits:
        train = np.flatnonzero(split_of == "train")
        chosen = train[held_out(everything.labels[train])]
        if not len(chosen):
            raise DataError(f"{source.path}: {len(train)} pictures in train/ are too few to take some for validation")
        split_of[chosen] = "validation"
        everything = replace(everything, note=f"{everything.note} There is no folder validation: {HELD_OUT}".strip())
    return {split: everything.subset(split_of == split) for split in dict.fromkeys(split_of.tolist())}


def _place(name):
    """(folder of the whole, split or "all", class) of a picture in base/class/ or base/train/class/."""
    folder = PurePosixPath(name).parent
    split = SPLIT_FOLDERS.get(folder.parent.name.lower(), "all")
    base = folder.parent if split == "all" else folder.parent.parent
    return str(base), split, folder.name


def _check(source, names, bases, splits, classes):
    """Raise DataError where the pictures do not lie as `read` expects."""
    (base, _), = Counter(bases).most_common(1)
    for name, own_base, class_name in zip(names, bases, classes):
        if own_base != base or not class_name or class_name.lower() in SPLIT_FOLDERS:
            raise DataError(f"{source.describe(name)}: does not lie in the folder of a class; {EXPECTED}")
    if len(set(classes)) < 2:
        raise DataError(f"{source.path}: one class only, {classes[0]!r}, and nothing to tell it from; {EXPECTED}")
    found = set(splits)
    if found != {"all"} and not {"train", "test"} <= found <= set(SPLIT_FOLDERS.values()):
        raise DataError(f"{source.path}: pictures in {', '.join(sorted(found))}, but not as they should be; {EXPECTED}")
    trained = {class_name for split, class_name in zip(splits, classes) if split in ("all", "train")}
    for name, class_name in zip(names, classes):
        if class_name not in trained:
            raise DataError(f"{source.describe(name)}: there is no class {class_name!r} in train/, which has "
                            f"{', '.join(sorted(trained))}")


def _in_order(names):
    known = fer2013.CLASS_NAMES
    return tuple(sorted(names, key=lambda name: (known.index(name.lower()) if name.lower() in known else len(known), name)))
