"""What all labelled sets share, whatever is labelled: counting classes, choosing some, keeping groups in step."""
import hashlib
from dataclasses import replace

import numpy as np

from nanoemo.data.checks import require_array, require_whole

__all__ = ["Labelled"]


class Labelled:
    """Base of frozen dataclasses with `labels` int64 (N,), `class_names` and `groups`, such as `ImageSet`.

    A subclass names in `ARRAYS` its other arrays of N rows, the first of which holds the things that are labelled, and
    in `NOUN` what people call them.
    """
    ARRAYS = ()
    NOUN = "examples"

    def _require_arrays(self, *names):
        """TypeError where one of these attributes, the labels or the names of a group are no NumPy array."""
        kind = type(self).__name__
        for name in (*names, "labels"):
            require_array(f"{kind}: {name}", getattr(self, name))
        for group, names in self.groups.items():
            require_array(f"{kind}: groups[{group!r}]", names)

    def _check(self):
        """ValueError where labels or groups do not fit the things, or labels the names of the classes."""
        kind, count = type(self).__name__, len(getattr(self, self.ARRAYS[0]))
        if isinstance(self.class_names, str) or not all(isinstance(name, str) for name in self.class_names):
            raise TypeError(f"{kind}: class_names: expected a tuple of texts, got {self.class_names!r}")
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError(f"{kind}: class_names: {', '.join(self.class_names)}: two classes have the same name")
        if self.labels.shape != (count,) or self.labels.dtype != np.int64:
            raise ValueError(f"{kind}: expected labels of dtype int64 and shape ({count},), one for each of the "
                             f"{self.NOUN}, got {self.labels.dtype} {self.labels.shape}; see astype(np.int64), argmax(axis=1) "
                             "for one-hot rows, np.unique(names, return_inverse=True) for names")
        if count and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(f"{kind}: labels run from {self.labels.min()} to {self.labels.max()}, but "
                             f"there are {len(self.class_names)} classes (0 to {len(self.class_names) - 1})")
        for group, names in self.groups.items():
            if names.shape != self.labels.shape:
                raise ValueError(f"{kind}: expected a {group} for each of {count} {self.NOUN}, got an array of "
                                 f"shape {names.shape}")
        object.__setattr__(self, "groups", {group: names if names.dtype.kind == "U" else names.astype(str)
                                            for group, names in self.groups.items()})

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        name, shape = f"{self.name}: " if self.name else "", getattr(self, self.ARRAYS[0]).shape[1:]
        things = f"{len(self)} {self.NOUN}{f' {shape}' if shape else ''}"
        return f"{type(self).__name__}({name}{things}, {len(self.class_names)} classes)"

    @classmethod
    def joined(cls, parts):
        """One set of all `parts`, in their order, with the groups that all of them have; in all else it is as the first."""
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in (*cls.ARRAYS, "labels")}
        groups = {kind: np.concatenate([part.groups[kind] for part in parts]) for kind in parts[0].groups
                  if all(kind in part.groups for part in parts)}
        return replace(parts[0], **arrays, groups=groups)

    def __getitem__(self, index):
        """`(things, labels)` at an integer, a slice or an array of indices, as NumPy indexes."""
        return getattr(self, self.ARRAYS[0])[index], self.labels[index]

    def things(self):
        """Each labelled thing in turn, as an array."""
        return iter(getattr(self, self.ARRAYS[0]))

    def digests(self):
        """A hash of each labelled thing: equal things have equal ones."""
        return [hashlib.blake2b(np.ascontiguousarray(thing), digest_size=16).digest() for thing in self.things()]

    def originals(self):
        """For each labelled thing the index of the first that is equal to it, int64 (N,).

        >>> from nanoemo.data import ImageSet
        >>> grays = np.array([5, 7, 5, 9], np.uint8).reshape(4, 1, 1, 1)
        >>> ImageSet(grays, np.array([0, 1, 0, 1]), ("sad", "happy")).originals()
        array([0, 1, 0, 3])
        """
        first = {}
        return np.array([first.setdefault(digest, index) for index, digest in enumerate(self.digests())], np.int64)

    def counts(self):
        """How many there are of each class, by name, in the order of the labels."""
        numbers = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, numbers.tolist()))

    def subset(self, indices):
        """The set of only these: a view for a slice, a copy for an array of indices or of truth values.

        >>> from nanoemo.data import ImageSet
        >>> faces = ImageSet(np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 1, 1, 0]), ("sad", "happy"))
        >>> faces.subset([0, 3]).counts()
        {'sad': 2, 'happy': 0}
        """
        if np.ndim(indices) == 0 and not isinstance(indices, slice):
            raise TypeError(f"subset: expected a list of numbers or a slice, got {indices!r}; [{indices!r}] for one of them")
        chosen = {name: getattr(self, name)[indices] for name in (*self.ARRAYS, "labels")}
        groups = {group: names[indices] for group, names in self.groups.items()}
        return replace(self, **chosen, groups=groups)

    def take(self, n, seed=0):
        """At most `n` of them, the classes in turn, so that even a small handful shows every class.

        Each class is shuffled by `seed`; a larger `n` adds to what a smaller one gives.

        >>> from nanoemo.data import ImageSet
        >>> faces = ImageSet(np.zeros((9, 8, 8, 1), np.uint8), np.arange(9) // 6, ("sad", "happy"))
        >>> faces.take(4).counts(), faces.take(100).counts()
        ({'sad': 2, 'happy': 2}, {'sad': 6, 'happy': 3})
        """
        require_whole(f"{type(self).__name__}.take: n", n, least=1)
        if n >= len(self):
            return self
        shuffled = np.random.default_rng(seed).permutation(len(self))
        turn = np.empty(len(self), np.int64)         # place of each within its class
        for label in range(len(self.class_names)):
            of_class = self.labels[shuffled] == label
            turn[of_class] = np.arange(of_class.sum())
        chosen = shuffled[np.argsort(turn, kind="stable")[:n]]
        return self.subset(chosen)
