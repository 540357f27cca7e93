"""A set of labelled images: the one thing every reader of this package returns."""
from dataclasses import dataclass, field

import numpy as np

from nanoemo.data.labelled import Labelled

__all__ = ["ImageSet"]


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Labelled):
    """Images, their labels, and the names of the classes.

    images: uint8 (N, H, W, C), an array or a memory-mapped file, values 0 to 255
    labels: int64 (N,), each from 0 to len(class_names) - 1
    class_names: the name of each label, in order
    name: what the set is called where its results are shown
    drawn: True where the images are drawn by formula and show nobody
    note: anything a reader of the results should know about how the set was made
    groups: what images have in common besides their class, where it is known: {"subject": who each image shows,
        "sequence": the film or series it is from}, names as an array (N,) of str

    Raises TypeError for what is no array, ValueError where the shapes, dtypes or labels do not fit together.

    >>> faces = ImageSet(np.zeros((4, 48, 48, 1), np.uint8), np.array([0, 1, 1, 0]), ("sad", "happy"))
    >>> len(faces), faces.image_shape, faces.counts()
    (4, (48, 48, 1), {'sad': 2, 'happy': 2})
    >>> image, label = faces[2]
    >>> image.shape, int(label)
    ((48, 48, 1), 1)
    """
    ARRAYS = ("images",)
    NOUN = "images"

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple
    name: str = ""
    drawn: bool = False
    note: str = ""
    groups: dict = field(default_factory=dict)

    def __post_init__(self):
        self._require_arrays("images")
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError("ImageSet: expected images of dtype uint8 and shape (N, H, W, C), "
                             f"got {self.images.dtype} {self.images.shape}; see np.rint(255 * images).astype(np.uint8) for "
                             "floats from 0 to 1, images[..., None] for (N, H, W), transpose(0, 2, 3, 1) for (N, C, H, W)")
        self._check()

    @property
    def image_shape(self):
        """(H, W, C) of one image."""
        return self.images.shape[1:]
