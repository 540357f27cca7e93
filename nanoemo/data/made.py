"""What the data made by formula have in common, faces and voices: labels in turn, three splits of three seeds, kept in the cache.

Making them takes seconds. So they are kept as data from files are (`nanoemo.data.cache`), and made anew when the code changes.
"""
import numpy as np

from nanoemo.data.cache import remember
from nanoemo.data.checks import require_whole
from nanoemo.data.fer2013 import CLASS_NAMES

__all__ = ["labels_in_turn", "made_splits"]


def labels_in_turn(n):
    """int64 (n,): the expressions one after the other, again and again.

    >>> labels_in_turn(9).tolist()
    [0, 1, 2, 3, 4, 5, 6, 0, 1]
    """
    return np.arange(n, dtype=np.int64) % len(CLASS_NAMES)


def made_splits(name, make, sizes, seed, code):
    """What `make` gives for each split, a dict of arrays by name, from the cache or made now.

    name: str, what is made
    make: function (n, seed) -> arrays by name
    sizes: {split: n}
    code: list of paths, the files of Python that make it
    Raises ValueError for a seed below 0.
    """
    require_whole(f"{name}: seed", seed, least=0)

    def build():
        made = {split: make(n, 3 * seed + place) for place, (split, n) in enumerate(sizes.items())}
        return {f"{split}-{kind}": array for split, arrays in made.items() for kind, array in arrays.items()}, {}

    arrays, _ = remember(f"{name}-{seed}-", code[0], code, build)
    return {split: {key.removeprefix(f"{split}-"): array for key, array in arrays.items() if key.startswith(f"{split}-")}
            for split in sizes}
