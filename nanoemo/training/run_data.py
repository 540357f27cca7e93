"""The data that settings name: to load it, to know it again, and to take other data in its place."""
import contextlib
import hashlib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from nanoemo import data, models
from nanoemo.data.labelled import Labelled
from nanoemo.data.source import NotThere
from nanoemo.nn import shapes_of_inputs
from nanoemo.training import listening
from nanoemo.training.settings import Settings

__all__ = ["about", "check_splits", "fingerprint", "load_divided", "load_splits", "moved_data_explained", "settings_on"]


def check_splits(splits, *names):
    """Raise ValueError unless `splits` has a labelled set for each of `names`."""
    sets = splits if isinstance(splits, dict) else {}
    if not all(isinstance(sets.get(name), Labelled) for name in names):
        got = ", ".join(map(str, sets)) or type(splits).__name__
        raise ValueError(f"splits: expected a dictionary of labelled sets for {', '.join(names)}, got {got}; "
                         "nanoemo.data.divide makes one of a set")


def load_splits(settings, image_shape=None):
    """{"train", "validation", "test"}: the images, or features of clips, that `settings` name. Raises DataError.

    image_shape: (H, W, C) that pictures of any size are resized to; None for what the settings say, else the paper's
    """
    if settings.listens:
        return listening.load_features(settings, data.parse_changes(settings.augment))
    asked = data.parse_image_shape(settings.image_shape) if settings.image_shape else None
    splits = data.load(settings.data, limit=settings.limit, seed=settings.seed, split_by=settings.split_by,
                       image_shape=image_shape or asked or shapes_of_inputs(models.recipe(settings.model).input_shape)[0])
    made = splits["train"].image_shape
    if image_shape is None and asked not in (None, made):
        raise data.DataError(f"{settings.data or 'drawn faces'}: its images are and stay {'×'.join(map(str, made))}; image_shape "
                             "is for pictures in files; leave it out")
    return splits


def load_divided(settings):
    """As `load_splits`, but of voices the clips themselves, without copies: to see whom a division puts where.

    Nothing is said about how good the division is. Raises DataError where it cannot be made.
    """
    with warnings.catch_warnings(action="ignore"):
        return listening.load_clips(settings, []) if settings.listens else load_splits(settings)


@contextlib.contextmanager
def moved_data_explained(folder, path=None):
    """Inside the `with` block, an error that the data of the run in `folder` are not where they were says that they are its own.

    path: of other data, which the user has just named; None for the run's
    """
    try:
        yield
    except NotThere as error:
        if path is not None:
            raise
        raise data.DataError(f"{error}; {folder.path} was trained on it: say where it lies now, with --data") from None


def settings_on(folder, path=None, **changed):
    """The settings of the run in `folder` (a `RunFolder`) on the data at `path`, and whether those are known to be its own.

    path: None for the data that the run was trained on, which is loaded as it was then
    changed: settings to replace, where they are not None

    How the run's own data was divided, say subject=KA, means nothing to other data. A copy of its own, wherever it lies,
    must be divided as before, or images that were trained on would be tested on. Of other voices no changed copies are
    made: nothing is trained on them.
    """
    config = folder.config()
    settings = Settings.from_config(config, folder.config_path)
    changed = {name: value for name, value in changed.items() if value is not None}
    if path is None:
        if settings.data is None and not config["data"].get("drawn", True):
            raise ValueError(f"{folder.path} was trained on arrays given in Python ({config['data']['name']}); name the data to "
                             "judge it on (in Python Experiment(settings, splits) takes the same arrays)")
        return replace(settings, **changed), True
    same = settings.data is not None and Path(path).resolve() == Path(settings.data).resolve()
    settings = replace(settings, data=str(path))
    copies = settings.augment if settings.listens else ""
    if settings.split_by or settings.limit or changed.get("limit") or copies:       # else loaded in one way, copy or not
        same = same or is_copy(settings, config["data"])
        settings = replace(settings, split_by=settings.split_by if same else "", limit=None)
    if copies and not same:
        settings = replace(settings, augment="")
    return replace(settings, **changed), same


def is_copy(settings, of_run):
    """Whether the data that `settings` name, divided as they say, are those that `of_run` tells of (`about`)."""
    try:
        with warnings.catch_warnings(action="ignore"):
            if settings.listens and listening.sizes(settings, data.parse_changes(settings.augment)) != of_run["images"]:
                return False
            return fingerprint(load_splits(settings, of_run["image_shape"])) == of_run["fingerprint"]
    except data.DataError:          # they cannot even be divided so
        return False


def about(splits):
    """What {split: examples} are, as plain data, with a fingerprint of every image or clip."""
    train = splits["train"]
    return {"name": train.name.removesuffix(" train"), "drawn": train.drawn, "note": train.note, "noun": train.NOUN,
            "classes": list(train.class_names), "image_shape": list(train[:1][0].shape[1:]),
            "images": {name: len(split) for name, split in splits.items()},
            "fingerprint": fingerprint(splits)}


def fingerprint(splits):
    """SHA-256 over every image (or features of a clip) and label of every split, in order: equal for equal data, whatever file it
    came in."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        digest.update(name.encode())
        for array in splits[name][:]:
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
