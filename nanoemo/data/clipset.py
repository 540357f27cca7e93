"""A set of labelled clips of voices: what the readers of speech return, as `ImageSet` is for faces."""
from dataclasses import dataclass, field

import numpy as np

from nanoemo.data.labelled import Labelled

__all__ = ["RATE", "ClipSet"]

RATE = 22050        # samples a second of every clip here: librosa's usual rate, which the papers' features are made at


@dataclass(frozen=True, eq=False, repr=False)
class ClipSet(Labelled):
    """Clips of any length, mono, at `RATE`; their labels, and the names of the classes.

    samples: int16 (S,), all recordings one after the other, -32768 to 32767 as a WAV file holds them
    spans: int64 (N, 2), where each clip begins and ends in `samples`
    labels: int64 (N,), each from 0 to len(class_names) - 1
    class_names: the name of each label, in order
    name: what the set is called where its results are shown
    drawn: True where the voices are made by formula and are nobody's
    note: anything a reader of the results should know about how the set was made
    groups: what clips have in common besides their class: {"subject": who speaks, "sequence": which recording it is or
        is a copy of}, names as an array (N,) of str
    changes: for each clip the change that makes it another one, such as "noise=0.035" (`nanoemo.data.with_copies`), ""
        for none, as an array (N,) of str

    Raises TypeError for what is no array, ValueError where the shapes, dtypes or labels do not fit together.

    >>> clips = ClipSet(np.zeros(3 * RATE, np.int16), np.array([[0, RATE], [RATE, 3 * RATE]]), np.array([0, 1]),
    ...                 ("sad", "happy"))
    >>> len(clips), clips.seconds.tolist(), clips.counts()
    (2, [1.0, 2.0], {'sad': 1, 'happy': 1})
    >>> clips.wave(1).dtype, clips.wave(1).shape
    (dtype('float32'), (44100,))
    """
    samples: np.ndarray
    spans: np.ndarray
    labels: np.ndarray
    class_names: tuple
    name: str = ""
    drawn: bool = False
    note: str = ""
    groups: dict = field(default_factory=dict)
    changes: np.ndarray = None

    ARRAYS = ("spans", "changes")
    NOUN = "clips"

    def __post_init__(self):
        self._require_arrays("samples", "spans")
        if self.samples.ndim != 1 or self.samples.dtype != np.int16:
            raise ValueError("ClipSet: expected samples of dtype int16 and shape (S,), "
                             f"got {self.samples.dtype} {self.samples.shape}")
        if self.spans.ndim != 2 or self.spans.shape[1] != 2 or self.spans.dtype != np.int64:
            raise ValueError("ClipSet: expected spans of dtype int64 and shape (N, 2), "
                             f"got {self.spans.dtype} {self.spans.shape}")
        if len(self.spans) and not 0 <= self.spans.min() <= self.spans.max() <= len(self.samples):
            raise ValueError(f"ClipSet: spans run from {self.spans.min()} to {self.spans.max()}, but there are "
                             f"{len(self.samples)} samples")
        if self.changes is None:
            object.__setattr__(self, "changes", np.full(len(self.spans), ""))
        self._check()

    def wave(self, index):
        """The recording of one clip as it is, before its change: float32 (samples,), -1 to 1."""
        start, stop = self.spans[index]
        return self.samples[start:stop] / np.float32(32768)

    def things(self):
        """Each recording in turn, int16 (samples,)."""
        return (self.samples[start:stop] for start, stop in self.spans)

    def digests(self):
        """As of other sets; a copy that is to be changed is not equal to its clip."""
        return [digest + change.encode() for digest, change in zip(super().digests(), self.changes.tolist())]

    @property
    def seconds(self):
        """How long each recording is, (N,)."""
        return (self.spans[:, 1] - self.spans[:, 0]) / RATE
