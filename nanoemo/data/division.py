"""Dividing a data set into training, validation and test: at random, or keeping together what belongs together.

Two frames of one film hardly differ. Where one of them is trained on and the other is in the test set, the test
asks whether a network remembers; how well it reads a face it has never seen is asked by a division that keeps all
images of a person on one side.
"""
import warnings
from dataclasses import replace

import numpy as np

from nanoemo.data.checks import require_whole
from nanoemo.data.source import DataError, Undividable

__all__ = ["HELD_OUT", "divide", "held_out", "leave_one_out", "unseen", "warn_of_untrained"]

SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
GROUPS = ("subject", "sequence")
HELD_OUT_SHARE, HELD_OUT_SEED = 0.1, 2013
HELD_OUT = f"validation is {HELD_OUT_SHARE:.0%} of each class of the folder train, drawn with a fixed seed."


def divide(images, split_by="", seed=0, limit=None):
    """The splits of an ImageSet, `SHARES` of the images of each class as nearly as can be; or of a ClipSet, of the clips.

    split_by:
        "random", each image on its own, but equal ones together;
        "sequence" or "subject", a key of `images.groups`: images of one group fall to one split;
        "subject=KA": subject KA is the test set, the others are divided by subject into training and validation;
        "": by subject, where the set does not tell that by sequence, where not that either at random
    limit: how many each split is cut down to, the classes in turn (`ImageSet.take`); None for all

    Warns where a random division puts images of one sequence on both sides, and the splits' note says so. Raises
    ValueError for a `split_by` that is none of these and a seed below 0, DataError where the set has no such group, and where
    it is too small (Undividable).

    >>> from nanoemo.data import ImageSet
    >>> images = ImageSet(np.zeros((40, 8, 8, 1), np.uint8), np.arange(40) % 2, ("sad", "happy"),
    ...                   groups={"subject": np.repeat(["A", "B", "C", "D"], 10)})
    >>> {name: (len(split), sorted(set(split.groups["subject"].tolist()))) for name, split in divide(images).items()}
    {'train': (20, ['C', 'D']), 'validation': (10, ['A']), 'test': (10, ['B'])}
    """
    require_whole("divide: seed", seed, least=0)
    group, one_out, name = _parsed(split_by, images)
    units = images.originals() if group == "random" else images.groups[group]
    if one_out and name not in units:
        names = sorted(set(units.tolist()))
        raise DataError(f"there is no {group} {name!r}; there are {len(names)}, such as {', '.join(names[:5])}")
    shares = {split: SHARES[split] for split in ("train", "validation")} if one_out else SHARES
    rest = units != name if one_out else np.ones(len(images), bool)
    places = np.full(len(images), "test", dtype="U10")
    places[rest] = _share_out(units[rest], images.labels[rest], shares, seed)
    splits = {split: images.subset(places == split) for split in SHARES}
    empty = [split for split, part in splits.items() if not len(part)]
    if empty:
        many = len(images) if group == "random" else len(set(units))
        what = images.NOUN if group == "random" else f"{group}s"
        remedy = "" if group == "random" else "; divide by something else: --split-by random"
        raise Undividable(f"{many} {what if many > 1 else what[:-1]} cannot be divided into {', '.join(SHARES)}: none would be "
                          f"left for {empty[0]}{remedy}")
    if limit is not None:
        splits = {split: part.take(limit, seed) for split, part in splits.items()}
    notes = images.note, _described(splits, group, one_out, seed), _on_both_sides(splits, group)
    note = " ".join(filter(None, notes))
    return {split: replace(part, note=note, name=f"{images.name} {split}".strip()) for split, part in splits.items()}


def _parsed(split_by, images):
    """(group or "random", whether one group is left out, its name)."""
    group, one_out, name = split_by.partition("=")
    if not group:
        group = next((group for group in GROUPS if group in images.groups), "random")
    if group not in ("random", *GROUPS) or (one_out and (group == "random" or not name)):
        raise ValueError(f"split_by is {split_by!r}; expected random, {', '.join(GROUPS)}, or one group to be tested "
                         "on, such as subject=KA")
    if group not in ("random", *images.groups):
        raise DataError(f"nothing tells the {group} of the {images.NOUN}, so the data cannot be divided by it; "
                        f"expected {' or '.join(('random', *images.groups))}")
    return group, bool(one_out), name


def _share_out(units, labels, shares, seed):
    """The name of the share that each image falls to, images of one unit together; array (N,) of str.

    The units come in random order, and each goes to the share that most lacks its images: where the sum over them of
    (images of their class still missing there) / (images of the class wanted there) is largest.
    """
    names, unit_of = np.unique(units, return_inverse=True)
    counts = np.zeros((len(names), labels.max(initial=0) + 1))
    np.add.at(counts, (unit_of, labels), 1)                      # images of each class in each unit
    wanted = np.outer(list(shares.values()), counts.sum(axis=0)) / sum(shares.values())
    missing = wanted.copy()
    weights = 1 / np.maximum(wanted, 1e-9)
    place = np.empty(len(names), np.int64)
    for unit in np.random.default_rng(seed).permutation(len(names)):
        place[unit] = ((missing * weights) @ counts[unit]).argmax()
        missing[place[unit]] -= counts[unit]
    return np.array(list(shares))[place[unit_of]]


def _described(splits, group, one_out, seed):
    if group == "random":
        return f"Divided at random (seed {seed})."
    counts = ", ".join(f"{len(set(part.groups[group]))} for {split}" for split, part in splits.items())
    only = f"; the test is {group} {splits['test'].groups[group][0]} alone" if one_out else ""
    return f"Divided by {group} (seed {seed}): {group}s: {counts}{only}."


def _on_both_sides(splits, group):
    """What to note, after a warning, where a division at random has put images of one sequence on both sides."""
    train, test = splits["train"], splits["test"]
    if group != "random" or not test.groups:
        return ""
    finest = "sequence" if "sequence" in test.groups else "subject"
    known = len(test) - int(unseen(train, test)[finest].sum())
    if not known:
        return ""
    able = [group for group in GROUPS if group in test.groups and len({*train.groups[group], *test.groups[group]}) >= len(SHARES)]
    remedy = f"; dividing by {able[0]} does not" if able else ""
    warnings.warn(f"the random division puts {test.NOUN} of one {finest} on both sides, so the accuracy will be too good{remedy}",
                  stacklevel=3)
    return (f"Of {len(test)} test {test.NOUN} {known} are of a {finest} that is also trained on: the accuracy over all of "
            f"them says little about a new {finest}.")


def warn_of_untrained(splits):
    """Warn where classes have no example to train on: a network cannot learn them."""
    train = splits["train"]
    lacking = [name for name, count in train.counts().items() if not count]
    if lacking:
        warnings.warn(f"{train.name.removesuffix(' train')}: the training part has no example of {', '.join(lacking)}, so a "
                      "network cannot learn that", stacklevel=3)


def unseen(train, other):
    """For each group that `other` knows: which of its images are of a group without any image in `train`.

    Returns {group: bool (N,)}, empty where the sets know no groups.
    """
    return {group: ~np.isin(names, train.groups[group]) for group, names in other.groups.items()
            if group in train.groups}


def leave_one_out(splits, group="subject", seed=0):
    """Divide once for every subject, who is then the test set; iterator over (name, splits).

    splits: as from `nanoemo.data.load`, put together again first

    Raises DataError where nothing tells the subjects, and of clips where copies were made, which would be tested on.

    >>> from nanoemo.data import ImageSet
    >>> images = ImageSet(np.zeros((40, 8, 8, 1), np.uint8), np.arange(40) % 2, ("sad", "happy"),
    ...                   groups={"subject": np.repeat(["KA", "KL", "KM", "KR"], 10)})
    >>> [(name, len(splits["train"])) for name, splits in leave_one_out(divide(images))]
    [('KA', 20), ('KL', 20), ('KM', 20), ('KR', 20)]
    """
    parts = list(splits.values())
    first = parts[0]
    if group not in first.groups:
        raise DataError(f"{first.name or 'the data'}: nothing tells the {group} of the {first.NOUN}, so none can be left out")
    if any(change for part in parts for change in getattr(part, "changes", ())):
        raise DataError(f"{first.name or 'the data'}: copies of clips would be tested on; leave one out first, copy afterwards")
    images = replace(first.joined(parts), name=first.name.removesuffix(" train"), note="")
    for name in sorted(set(images.groups[group].tolist())):
        yield name, divide(images, f"{group}={name}", seed)


def held_out(labels):
    """Which images to take for validation where a data set has none: bool (N,), True for HELD_OUT_SHARE of each class.

    At least one of each class of two or more, and always the same ones, so that runs can be compared.

    >>> np.flatnonzero(held_out(np.array([0] * 20 + [1] * 10 + [2] * 2))).tolist()
    [3, 10, 22, 31]
    """
    rng = np.random.default_rng(HELD_OUT_SEED)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = rng.permutation(np.flatnonzero(labels == label))
        chosen[of_class[:max(round(HELD_OUT_SHARE * len(of_class)), int(len(of_class) > 1))]] = True
    return chosen
