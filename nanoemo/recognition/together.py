"""A photograph and a recording judged together, by a fusion that `nanoemo fuse` has learned and kept."""
from dataclasses import dataclass

import numpy as np

from nanoemo import data
from nanoemo.recognition.listener import Listener
from nanoemo.recognition.recognizer import Recognizer
from nanoemo.training import fusion, ways

__all__ = ["Judged", "NoFace", "Together"]


class NoFace(data.DataError):
    """No face is found in a picture."""


@dataclass(frozen=True)
class Judged:
    """What was seen and heard at once.

    face: the `nanoemo.data.Face` that was judged, the largest; faces: how many there are in the picture
    spans: float (W, 2), where each piece of the recording begins and ends, in seconds
    rows: {way: (W, C)}, the probability of each class in each piece; where the piece is silent NaN, but for the face alone
    classes: the C names; clipped: bool (W,), whether the piece was recorded too loud
    """
    face: data.Face
    faces: int
    spans: np.ndarray
    rows: dict
    classes: tuple
    clipped: np.ndarray

    @property
    def silent(self):
        """bool (W,), whether the piece is silent, so that no way judges it."""
        return np.isnan(self.rows["voice"]).any(axis=1)

    @property
    def seconds(self):
        """How long the recording is."""
        return float(self.spans[-1, 1])

    @property
    def probabilities(self):
        """{way: {class: its mean probability over the pieces that are not silent}}."""
        return {way: dict(zip(self.classes, np.nanmean(rows, axis=0, dtype=np.float64).tolist()))
                for way, rows in self.rows.items()}

    @property
    def labels(self):
        """{way: the class of the highest mean probability}."""
        return {way: max(shares, key=shares.get) for way, shares in self.probabilities.items()}

    def as_json(self):
        """Plain data: where the face is, in pixels of the picture, how long the recording is, and the answer of each way."""
        x, y, side, tilt = (round(value, 1) for value in self.face[:4])
        return {"faces": self.faces, "face": {"x": x, "y": y, "side": side, "tilt": tilt, "support": self.face.support},
                "seconds": round(self.seconds, 2), "windows": len(self.spans), "silent": int(self.silent.sum()),
                "clipped": int(self.clipped.sum()),
                "answers": {way: {"label": self.labels[way], "probabilities": {name: round(share, 4)
                                                                               for name, share in shares.items()}}
                            for way, shares in self.probabilities.items()}}


class Together:
    """The fusion in `folder`, as `nanoemo fuse` wrote it, with the networks of its two runs.

    device: where to compute, wherever they were trained

    classes: the C names that both networks know; note: what it was learned from, in words

    Raises RunFolderError where `folder` is no fusion, was written before what is learned was kept, is damaged, or a run that it
    was made of is gone or has other weights by now; and what `Recognizer` and `Listener` raise.

        from nanoemo.recognition import Together
        together = Together("runs/fusion-1")
        judged = together("photo.jpg", "clip.wav")
        print(judged.labels, judged.probabilities["learned"])
    """

    def __init__(self, folder, device="cpu"):
        self.ways, face, voice, self.note = ways.load(folder)
        self.recognizer, self.listener = Recognizer(face, device), Listener(voice, device)
        self.classes = self.ways.classes
        self.drawn = self.recognizer.drawn or self.listener.drawn
        self.title = f"{self.recognizer.title}, and {self.listener.title}"

    def __call__(self, picture, recording, whole=False, each=iter, **search):
        """The largest face in a picture and the voice in a recording, as `Judged`.

        A recording of more than 10 s is heard through windows (`nanoemo.data.windows`). The face is judged with each of
        them, and what a way says of the whole is the mean over them.

        picture, whole, search: as for a call of `Recognizer`; recording, each: as file and each of `Listener`
        Raises NoFace (a DataError) where no face is found in the picture, and what those two raise.
        """
        faces, crops, _ = self.recognizer.crops(picture, whole, **search)
        if not faces:
            raise NoFace("no face found in the picture")
        spans, told, clipped = self.listener.heard(recording, lambda waves: np.hstack(self.listener.answers_and_features(waves)),
                                                   each)
        heard = np.split(told, [len(self.listener.classes)], axis=1)
        seen = (np.broadcast_to(one, (len(told), one.shape[1])) for one in self.recognizer.answers_and_features(crops[:1]))
        return Judged(faces[0], len(faces), spans, self._judged(seen, heard), self.classes, clipped)

    def probabilities(self, images, waves):
        """{way: (N, C)} for N faces and as many voices: the first with the first, and so on.

        images: uint8 (N, *recognizer.example_shape), as `crop_face` makes them; waves: N times float32 (samples,), -1 to 1, at
            22,050 samples a second
        The ways are face, voice, weighted, learned and joint. Raises ValueError for another shape or dtype.
        """
        if len(images) != len(waves):
            raise ValueError(f"together: {len(images)} faces, but {len(waves)} voices; each face is judged with one voice")
        return self._judged(self.recognizer.answers_and_features(images), self.listener.answers_and_features(waves))

    def _judged(self, seen, heard):
        """{way: (N, C)} of (answers, features) of the faces and of the voices."""
        (face, features_of_face), (voice, features_of_voice) = seen, heard
        answers = fusion.Pairs(fusion.on_common(face, self.recognizer.classes, self.classes),
                               fusion.on_common(voice, self.listener.classes, self.classes), None)
        return self.ways(answers, fusion.Pairs(features_of_face, features_of_voice, None))
