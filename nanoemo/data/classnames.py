"""One emotion, many names: CK+ says anger, FER2013 angry, EMO-DB W for Wut. What a class is called is brought to one name.

So a face and a voice can be told alike, and a network that was trained on one data set can be judged on another, on the
classes that both know.
"""
from dataclasses import replace

import numpy as np

from nanoemo.data import fer2013
from nanoemo.data.source import DataError

__all__ = ["COMMON_NAMES", "common_classes", "common_name", "in_order", "match", "match_splits"]

COMMON_NAMES = (*fer2013.CLASS_NAMES, "boredom", "calm")          # those of FER2013 first
ALIASES = {"anger": "angry", "disgusted": "disgust", "fearful": "fear", "happiness": "happy", "joy": "happy",
           "sadness": "sad", "surprised": "surprise", "pleasant_surprise": "surprise", "bored": "boredom"}


def common_name(name):
    """The one of `COMMON_NAMES` that a class of that name means, else the name itself.

    >>> common_name("Anger"), common_name("happy"), common_name("laughter")
    ('angry', 'happy', 'laughter')
    """
    name = name.lower()
    return ALIASES.get(name, name)


def in_order(names):
    """Names of classes as a tuple, the common ones first and in their order, others after them by name."""
    return tuple(sorted(set(names), key=lambda name: (
        COMMON_NAMES.index(name) if name in COMMON_NAMES else len(COMMON_NAMES), name)))


def common_classes(one, other):
    """The classes that two lists of names share, whatever each calls them, in the usual order.

    Raises ValueError where there are fewer than two.

    >>> common_classes(["anger", "contempt", "happiness"], ["happy", "angry", "calm"])
    ('angry', 'happy')
    """
    common = in_order(set(map(common_name, one)) & set(map(common_name, other)))
    if len(common) < 2:
        raise ValueError(f"the classes {', '.join(one)} and {', '.join(other)} have {len(common)} in common; there must be two "
                         "at least to choose from")
    return common


def match(examples, class_names):
    """The examples of a labelled set whose class is one of `class_names`, whatever the set calls it, labelled in their order.

    >>> from nanoemo.data import ImageSet
    >>> faces = ImageSet(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 2]), ("anger", "contempt", "sadness"))
    >>> match(faces, ("happy", "sad", "angry")).counts()
    {'happy': 0, 'sad': 1, 'angry': 1}
    """
    class_names = tuple(class_names)
    if examples.class_names == class_names:
        return examples
    place = {common_name(name): number for number, name in reversed(list(enumerate(class_names)))}
    place.update((name, number) for number, name in enumerate(class_names))         # a class of just this name comes first
    places = np.array([place.get(name, place.get(common_name(name), -1)) for name in examples.class_names], np.int64)
    labels = places[examples.labels]
    return replace(examples.subset(labels >= 0), labels=labels[labels >= 0], class_names=class_names)


def match_splits(splits, class_names):
    """Each split as `match` gives it; which of `class_names` the data set knows too; and what that leaves out, in words.

    Returns (splits, names as a tuple, text). Raises DataError where fewer than two classes are in common, or a split has no
    example of them.
    """
    first = splits["train"]
    name, theirs = first.name.removesuffix(" train"), first.class_names
    try:
        common = common_classes(theirs, class_names)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None
    matched = {split: match(examples, class_names) for split, examples in splits.items()}
    for split, examples in matched.items():
        if not len(examples):
            raise DataError(f"{name}: none of its {len(splits[split])} {split} {first.NOUN} is of a class that the network "
                            f"knows, which are {', '.join(class_names)}")
    strange = [each for each in theirs if common_name(each) not in common]
    absent = [each for each in class_names if common_name(each) not in common]
    counts = {each: sum(examples.counts()[each] for examples in splits.values()) for each in strange}
    told = []
    if strange or absent:
        told.append(f"{name} is judged on the {len(common)} classes that it and the network both know.")
    if strange:
        told.append(f"Left out: {sum(counts.values()):,} of its {sum(map(len, splits.values())):,} {first.NOUN}, of classes that "
                    f"the network does not know ({', '.join(f'{number:,} {each}' for each, number in counts.items())}).")
    if absent:
        told.append(f"It has no {' and no '.join(absent)}, so that is not counted among the network's answers.")
    return matched, tuple(each for each in class_names if each not in absent), " ".join(told)
