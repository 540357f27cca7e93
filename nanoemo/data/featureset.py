"""Features as a labelled set, and their standardisation."""
from dataclasses import dataclass, field

import numpy as np

from nanoemo.data.labelled import Labelled

__all__ = ["FeatureSet", "Standardise"]


@dataclass(frozen=True, eq=False, repr=False)
class FeatureSet(Labelled):
    """What was made of a set of clips, to train on: as `ImageSet`, with numbers of any shape in place of pictures.

    features: float32 (N, ...)
    labels, class_names, name, drawn, note, groups: as of the clips (`ClipSet`)

    Raises TypeError for what is no array, ValueError where the shapes, dtypes or labels do not fit together.

    >>> vectors = FeatureSet(np.zeros((4, 162, 1), np.float32), np.array([0, 1, 1, 0]), ("sad", "happy"))
    >>> len(vectors), vectors.features[0].shape
    (4, (162, 1))
    """
    ARRAYS = ("features",)
    NOUN = "clips"

    features: np.ndarray
    labels: np.ndarray
    class_names: tuple
    name: str = ""
    drawn: bool = False
    note: str = ""
    groups: dict = field(default_factory=dict)

    def __post_init__(self):
        self._require_arrays("features")
        if self.features.ndim < 2 or self.features.dtype != np.float32:
            raise ValueError("FeatureSet: expected features of dtype float32 and shape (N, ...), "
                             f"got {self.features.dtype} {self.features.shape}")
        self._check()


class Standardise:
    """Bring each feature to mean 0 and standard deviation 1, as they are in the training set: z = (x − μ) / σ.

    mean, std: float32, of a shape that goes with the features'

    A feature that is constant in the training set is only centred. It is fitted on the training set alone: with the
    test set's own mean it would know something of the clips it is to judge.

    >>> train = np.array([[[1.0], [5.0]], [[3.0], [5.0]]], np.float32)
    >>> Standardise.fit(train)(train, None)[:, :, 0].tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """

    def __init__(self, mean, std):
        self.mean, self.std = np.asarray(mean, np.float32), np.asarray(std, np.float32)

    @classmethod
    def fit(cls, features, axes=(0,)):
        """The transform for features (N, ...); numbers along `axes` share a mean and a standard deviation."""
        mean = features.mean(axis=axes, dtype=np.float64, keepdims=True)
        std = features.std(axis=axes, dtype=np.float64, keepdims=True)
        tiny = np.abs(mean) * 1e-6 + 1e-12                         # what rounding makes of a constant
        return cls(mean[0], np.where(std > tiny, std, 1)[0])

    def __call__(self, features, rng):
        return (features - self.mean) / self.std

    def __repr__(self):
        return f"Standardise{self.mean.shape}"
