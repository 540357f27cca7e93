"""What a data set holds, before anything is learnt from it: numbers, duplicates, empty pictures.

An image that stands in training and test is a question whose answer was given away, and one that stands there twice
with two labels has no right answer. FER2013 has both.
"""
from collections import defaultdict
from itertools import combinations

import numpy as np

from nanoemo.data.clips import combine
from nanoemo.data.clipset import ClipSet
from nanoemo.data.division import unseen

__all__ = ["describe", "inspect"]

EXAMPLES = 4        # of what was found, and of each the places, that are printed; inspection.json holds all


def inspect(splits, sets=None):
    """Facts about the sets by split, ImageSets or ClipSets, as plain data (ready for JSON).

    sets: ClipSets by name, as `nanoemo.data.clips.read_sets` gives them, where several were combined and then divided

    Returns a dictionary:
    classes: {class: {split: images}}
    sets: {class: {set: clips}}, empty where there were not several
    image_shape: (H, W, C), after resizing; of clips seconds: the shortest, the mean, the longest
    groups: {"subject": {split: how many}}, where the data tell them
    shared_groups: {"subject": {split: images of it whose subject is in train}}, of the other splits
    duplicates: images that are an exact copy, pixel for pixel, of an earlier one
    equal: which images those are, in groups of equal ones, [split, index, class] of each; first those with several labels
    conflicting: groups of equal images that have more than one label
    across: {"train, test": images of the second that stand in the first too}, of each pair of splits
    constant: {split: images of one gray value}; not of clips, whose silent ones are left out when they are read
    constant_at: {split: their indices}

    >>> from nanoemo.data import ImageSet
    >>> grays = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) * np.ones((8, 8, 1), np.uint8)
    >>> faces = ImageSet(grays, np.arange(6) % 2, ("sad", "happy"))
    >>> facts = inspect({"train": faces, "test": faces.subset([5, 0])})
    >>> facts["across"], facts["duplicates"], facts["constant"]
    ({'train, test': 2}, 2, {'train': 6, 'test': 2})
    >>> facts["equal"][0]
    [['train', 0, 'sad'], ['test', 1, 'sad']]
    """
    first = next(iter(splits.values()))
    hashes = {split: images.digests() for split, images in splits.items()}
    places = defaultdict(list)
    for split, images in splits.items():
        for index, (digest, label) in enumerate(zip(hashes[split], images.labels.tolist())):
            places[digest].append([split, index, images.class_names[label]])
    equal = sorted(filter(lambda group: len(group) > 1, places.values()), key=lambda group: not _conflicting(group))
    counts = {split: images.counts() for split, images in splits.items()}
    by_set = {name: combine([clips]).counts() for name, clips in (sets or {}).items()}
    return {
        "name": first.name.removesuffix(" train"),
        "note": first.note,
        "noun": first.NOUN,
        "classes": {name: {split: counts[split][name] for split in splits} for name in first.class_names},
        "sets": {name: {title: count.get(name, 0) for title, count in by_set.items()} for name in first.class_names
                 if len(by_set) > 1},
        "groups": {group: {split: len(set(images.groups[group])) for split, images in splits.items()}
                   for group in first.groups},
        "shared_groups": {group: {split: int((~unseen(splits["train"], images)[group]).sum())
                                  for split, images in splits.items() if split != "train"} for group in first.groups},
        "duplicates": sum(map(len, hashes.values())) - len(places),
        "equal": equal,
        "conflicting": sum(map(_conflicting, equal)),
        "across": {f"{one}, {other}": sum(map(set(hashes[one]).__contains__, hashes[other]))
                   for one, other in combinations(splits, 2)},
        **(_of_clips(splits) if isinstance(first, ClipSet) else _of_images(splits)),
    }


def _conflicting(group):
    """Whether equal images have different labels."""
    return len({name for _, _, name in group}) > 1


def _of_images(splits):
    at = {split: [index for index, image in enumerate(images.images) if (image == image[:1, :1]).all()]
          for split, images in splits.items()}
    return {"image_shape": list(splits["train"].image_shape), "constant": {split: len(found) for split, found in at.items()},
            "constant_at": at}


def _of_clips(splits):
    seconds = np.concatenate([clips.seconds for clips in splits.values()])
    return {"seconds": [round(float(value), 2) for value in (seconds.min(), seconds.mean(), seconds.max())]}


def _table(counts, noun):
    """Lines for {class: {column: number}}, with the sums of both."""
    columns = list(next(iter(counts.values())))
    table = np.array([[row[column] for column in columns] for row in counts.values()])
    table = np.vstack([table, table.sum(axis=0)])
    width, wide = max(map(len, [*counts, noun])), max(12, *(len(column) + 2 for column in columns))
    yield " " * width + "".join(f"{head:>{wide}}" for head in [*columns, "together"])
    for name, row in zip([*counts, noun], table.tolist()):
        yield f"{name:{width}}" + "".join(f"{number:>{wide},}" for number in [*row, sum(row)])


def describe(facts):
    """What `inspect` returns, as text for people."""
    noun = facts["noun"]
    if "seconds" in facts:
        form = "{} to {} s, {} s on average".format(*(facts["seconds"][place] for place in (0, 2, 1)))
    else:
        form = f"{' × '.join(map(str, facts['image_shape']))} (height, width, channels)"
    lines = [f"{facts['name']}: {form}",
             *filter(None, [facts["note"]]), "", *_table(facts["classes"], noun), ""]
    if facts["sets"]:
        lines += [*_table(facts["sets"], noun), ""]
    for group, count in facts["groups"].items():
        known = ", ".join(f"{number:,} of {split}" for split, number in facts["shared_groups"][group].items())
        lines.append(f"{group}s: {', '.join(f'{number:,} in {split}' for split, number in count.items())}; "
                     f"{noun} whose {group} is trained on: {known}")
    lines.append(f"exact duplicates: {facts['duplicates']:,}; equal {noun} with different labels: "
                 f"{facts['conflicting']:,} groups")
    lines += ["  " + " = ".join(f"{split}[{index}] {name}" for split, index, name in group[:EXAMPLES])
              for group in facts["equal"][:EXAMPLES]]
    for pair, number in facts["across"].items():
        one, other = pair.split(", ")
        lines.append(f"{noun} of {other} that stand in {one} too: {number:,}")
    if "constant" in facts:
        constant = ", ".join(f"{number:,} in {split}" for split, number in facts["constant"].items())
        lines.append(f"constant images, of one gray value: {constant}")
        places = [f"{split}[{index}]" for split, found in facts["constant_at"].items() for index in found]
        lines += ["  " + ", ".join(places[:2 * EXAMPLES])] if places else []
    return "\n".join(lines)
