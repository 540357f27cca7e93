"""`load_clips`: one call for every data set of speech; `combine`: several of them as one."""
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from nanoemo.data import cache, voices
from nanoemo.data.changes import with_copies
from nanoemo.data.checks import require_whole
from nanoemo.data.classnames import common_name, in_order
from nanoemo.data.clipset import ClipSet
from nanoemo.data.division import divide, warn_of_untrained
from nanoemo.data.recordings import is_recording, read_recordings, say_left_out
from nanoemo.data.source import DataError, folders_without, open_source, say_lost, say_unread
from nanoemo.data.speech import find_scheme, label_by_folder, recordings_in

__all__ = ["combine", "holds_recordings", "load_clips", "read_clips", "read_sets"]

COPIES_FIRST = "copies"         # a way to divide


def load_clips(path=None, limit=None, seed=0, split_by="", changes=()):
    """The splits of a data set of speech: `{"train": ClipSet, "validation": ClipSet, "test": ClipSet}`.

    path: None for voices made by formula; else a folder or a zip of EMO-DB, SAVEE, CREMA-D, RAVDESS
        (`nanoemo.data.speech` says how they are recognised), or of a folder for each class; several of them joined by
        "+", as "savee+emodb", are combined
    limit: keep at most this many clips of each split, the classes in turn
    seed: of the made voices, of what `limit` keeps, and of the division
    split_by: "random", "subject" (a speaker's clips on one side), "subject=KL" (test on that one); by default by
        subject where the data tell it (`nanoemo.data.divide`). "copies" is a mistake, to see what it does to a figure:
        at random after all clips were copied, so that copies of one clip are trained on and tested on
    changes: copies of the clips to train on, as `nanoemo.data.parse_changes` gives them; made after the division, so
        that no copy of a clip is on another side, but for that mistake

    Raises DataError where the data cannot be read, ValueError where "copies" has none. Files that cannot be used are left
    out, which a warning and the set's note say.

    >>> splits = load_clips(limit=14)
    >>> {name: len(clips) for name, clips in splits.items()}, splits["train"].drawn
    ({'train': 14, 'validation': 14, 'test': 14}, True)
    """
    if limit is not None:
        require_whole("load_clips: limit", limit, least=1)
    copies_first = split_by == COPIES_FIRST
    if copies_first and not changes:
        raise ValueError(f"split_by is {COPIES_FIRST!r}, but no copies are made; name some, such as noise, or divide otherwise")
    if path is None:
        if split_by:
            raise DataError(f"made voices come divided, so they are not divided by {split_by}; only undivided ones are")
        splits = voices.drawn_voice_splits(seed)
    else:
        try:
            clips = _read_all(path)
            splits = (divide(with_copies(clips, changes), "random", seed, limit) if copies_first
                      else divide(clips, split_by, seed, limit))
        except DataError as error:
            raise type(error)(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    warn_of_untrained(splits)
    if limit is not None:
        splits = {name: clips.take(limit, seed) for name, clips in splits.items()}
    if changes and not copies_first:
        splits["train"] = with_copies(splits["train"], changes)
    if changes:
        whose = "each clip, before the clips were divided" if copies_first else "each clip that is trained on"
        said = f"Copies of {whose}: changed by {', '.join(changes)}."
        splits = {name: replace(clips, note=f"{clips.note} {said}".strip()) for name, clips in splits.items()}
    return splits


def holds_recordings(path):
    """Whether `path`, or the first of several that "+" joins, holds recordings. DataError where there is nothing."""
    with open_source(_paths(path)[0]) as source:
        return any(map(is_recording, source.names))


def read_sets(path):
    """The data sets in `path`, or in all the paths that "+" joins, before they are combined: ClipSets by name, or by path where
    two have one name. Raises as `read_clips`."""
    paths = _paths(path)
    sets = [read_clips(one) for one in paths]
    names = [clips.name for clips in sets]
    return {str(one) if names.count(name) > 1 else name: clips for one, name, clips in zip(paths, names, sets)}


def _read_all(path):
    """The clips in `path`, or in all the paths that "+" joins."""
    sets = list(read_sets(path).values())
    return sets[0] if len(sets) == 1 else combine(sets)


def _paths(path):
    if Path(path).exists():
        return [path]
    paths = str(path).split("+")
    if not all(map(str.strip, paths)):
        raise DataError(f"{str(path)!r}: expected a path on both sides of each +")
    return paths


def read_clips(path):
    """All clips of the data set in `path`, undivided, as a ClipSet; cached (`nanoemo.data.cache`).

    Raises DataError where nothing in it can be used; warns of files that are left out.
    """
    with open_source(path) as source:
        names = recordings_in(source)
        scheme, entries, misnamed = find_scheme(names)
        if scheme is None:
            entries = label_by_folder(source, names)
        try:
            arrays, facts = cache.remember(f"clips-{scheme.name if scheme else 'folders'}-", path,
                                           source.files([entry.name for entry in entries]),
                                           lambda: _read(source, entries, misnamed))
        except OSError as error:
            raise DataError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from error
        lost, unread = [], ""
        if scheme is None:
            unread = say_unread(source, names)
            wanted = {entry.emotion for entry in entries} | set(map(common_name, folders_without(source, names)))
            lost = sorted(wanted.difference(facts["classes"]))
    title = scheme.title if scheme else Path(path).resolve().name.removesuffix(".zip")
    left_out = " ".join(filter(None, (say_left_out({**misnamed, **facts["left_out"]}), say_lost(lost), unread)))
    if lost and len(facts["classes"]) < 2:
        raise DataError(f"{path}: one class only, {facts['classes'][0]!r}, and nothing to tell it from. {left_out}")
    if left_out:
        warnings.warn(f"{title}: {left_out}", stacklevel=2)
    class_names = in_order(scheme.emotions.values()) if scheme else tuple(facts["classes"])
    labels = np.array([class_names.index(emotion) for emotion in facts["emotions"]], np.int64)
    groups = {"subject": np.array(facts["subjects"])} if scheme else {}
    note = " ".join(filter(None, [facts["note"], left_out]))
    return ClipSet(arrays["samples"], arrays["spans"], labels, class_names, name=title, note=note, groups=groups)


def _read(source, entries, misnamed):
    """The arrays and the facts that the cache keeps of the recordings that `entries` name."""
    recordings, unusable, note = read_recordings(source, [entry.name for entry in entries])
    if not recordings:
        raise DataError(f"{source.path}: no clip in it can be used. {say_left_out({**misnamed, **unusable})}")
    kept = [entry for entry in entries if entry.name in recordings]
    waves = [recordings[entry.name].samples for entry in kept]
    ends = np.cumsum([0, *map(len, waves)], dtype=np.int64)
    arrays = {"samples": np.concatenate([np.empty(0, np.int16), *waves]), "spans": np.stack([ends[:-1], ends[1:]], axis=1)}
    return arrays, {"emotions": [entry.emotion for entry in kept], "subjects": [entry.subject for entry in kept],
                    "classes": in_order(entry.emotion for entry in kept), "left_out": unusable, "note": note}


def combine(sets, names=None):
    """Several ClipSets as one, their classes brought to common names.

    sets: of ClipSet, each with a name
    names: {class: common name, or None to leave its clips out}, such as {"calm": "neutral", "boredom": None}; classes
        that it does not name go by `nanoemo.data.classnames.common_name`

    The classes are those that any of the sets has. A subject's name begins with that of its set. Raises ValueError where
    there is no set, and for a name that is none of the classes.

    >>> one, other = voices.drawn_voices(7), voices.drawn_voices(7, seed=1)
    >>> both = combine([one, other], {"neutral": None})
    >>> len(both), both.counts()["fear"], "neutral" in both.class_names
    (12, 2, False)
    """
    if not len(sets):
        raise ValueError("combine: there is no set to combine; expected ClipSets, as nanoemo.data.read_clips gives them")
    names = names or {}
    known = {name for clips in sets for name in clips.class_names}
    if unknown := sorted(set(names) - known):
        raise ValueError(f"combine: no class {', '.join(unknown)}; there are {', '.join(in_order(known))}")
    meant = {name: names.get(name, common_name(name)) for name in known}
    class_names = in_order(name for name in meant.values() if name)
    sets = [clips.subset(np.array([meant[name] is not None for name in clips.class_names])[clips.labels]) for clips in sets]
    starts = np.cumsum([0, *(len(clips.samples) for clips in sets)])
    labels = [class_names.index(meant[clips.class_names[label]]) for clips in sets for label in clips.labels]
    return ClipSet(
        np.concatenate([clips.samples for clips in sets]),
        np.concatenate([clips.spans + start for clips, start in zip(sets, starts)]),
        np.array(labels, np.int64), class_names, name=" + ".join(dict.fromkeys(clips.name for clips in sets)),
        drawn=any(clips.drawn for clips in sets),
        note=" ".join(f"{clips.name}: {len(clips)} clips. {clips.note}".strip() for clips in sets),
        groups=_combined_groups(sets))


def _combined_groups(sets):
    """{"subject": names}, where every set tells the subject."""
    telling, silent = ([clips.name for clips in sets if ("subject" in clips.groups) == tells] for tells in (True, False))
    if telling and silent:
        warnings.warn(f"{', '.join(telling)} tells who speaks, {', '.join(silent)} does not, so the clips cannot be divided by "
                      "speaker; at random, speakers of the test set are also trained on, and the accuracy will be too good",
                      stacklevel=3)
    if silent:
        return {}
    return {"subject": np.concatenate([[f"{clips.name} {name}" for name in clips.groups["subject"]] for clips in sets])}
