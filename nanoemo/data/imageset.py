"""A set of labelled images: the one thing every reader of this package returns."""
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["ImageSet"]


@dataclass(frozen=True)
class ImageSet:
    """Images, their labels, and the names of the classes.

    Parameters
    ----------
    images : uint8 (N, H, W, C), an array or a memory-mapped file, values 0 to 255
    labels : int64 (N,), each from 0 to len(class_names) - 1
    class_names : the name of each label, in order
    name : what the set is called where its results are shown
    drawn : True where the images are drawn by formula and show nobody
    note : anything a reader of the results should know about how the set was made
    groups : what images have in common besides their class, where it is known: {"subject": who each image shows,
        "sequence": the film or series it is from}, names as an array (N,) of str

    Raises ValueError where the shapes, dtypes or labels do not fit together.

    >>> faces = ImageSet(np.zeros((4, 48, 48, 1), np.uint8), np.array([0, 1, 1, 0]), ("sad", "happy"))
    >>> len(faces), faces.image_shape, faces.counts()
    (4, (48, 48, 1), {'sad': 2, 'happy': 2})
    >>> image, label = faces[2]
    >>> image.shape, int(label)
    ((48, 48, 1), 1)
    """
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple
    name: str = ""
    drawn: bool = False
    note: str = ""
    groups: dict = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError("ImageSet: expected images of dtype uint8 and shape (N, H, W, C), "
                             f"got {self.images.dtype} {self.images.shape}")
        if self.labels.shape != (len(self.images),) or self.labels.dtype != np.int64:
            raise ValueError(f"ImageSet: expected labels of dtype int64 and shape ({len(self.images)},), one "
                             f"an image, got {self.labels.dtype} {self.labels.shape}")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(f"ImageSet: labels run from {self.labels.min()} to {self.labels.max()}, but "
                             f"there are {len(self.class_names)} classes (0 to {len(self.class_names) - 1})")
        for group, names in self.groups.items():
            if names.shape != self.labels.shape:
                raise ValueError(f"ImageSet: expected a {group} for each of {len(self.labels)} images, got an array of "
                                 f"shape {names.shape}")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """`(images, labels)` at an integer, a slice or an array of indices, as NumPy indexes."""
        return self.images[index], self.labels[index]

    @property
    def image_shape(self):
        """(H, W, C) of one image."""
        return self.images.shape[1:]

    def counts(self):
        """Number of images of each class, by name, in the order of the labels."""
        numbers = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, numbers.tolist()))

    def subset(self, indices):
        """The set of only these images: a view for a slice, a copy for an array of indices.

        >>> faces = ImageSet(np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 1, 1, 0]), ("sad", "happy"))
        >>> faces.subset([0, 3]).counts()
        {'sad': 2, 'happy': 0}
        """
        images, labels = self[indices]
        groups = {group: names[indices] for group, names in self.groups.items()}
        return replace(self, images=images, labels=labels, groups=groups)

    def take(self, n, seed=0):
        """At most `n` images, the classes in turn, so that even a small handful shows every class.

        Each class is shuffled by `seed`; a larger `n` adds images to those of a smaller one.

        >>> faces = ImageSet(np.zeros((9, 8, 8, 1), np.uint8), np.arange(9) // 6, ("sad", "happy"))
        >>> faces.take(4).counts(), faces.take(100).counts()
        ({'sad': 2, 'happy': 2}, {'sad': 6, 'happy': 3})
        """
        if n < 1:
            raise ValueError(f"ImageSet.take: expected at least 1 image, got {n}")
        if n >= len(self):
            return self
        shuffled = np.random.default_rng(seed).permutation(len(self))
        turn = np.empty(len(self), np.int64)         # place of each image within its class
        for label in range(len(self.class_names)):
            of_class = self.labels[shuffled] == label
            turn[of_class] = np.arange(of_class.sum())
        chosen = shuffled[np.argsort(turn, kind="stable")[:n]]
        return self.subset(chosen)
