"""A trained network that is shown photographs: find the faces, cut them out, prepare them as the run's own validation
images were prepared, classify."""
from dataclasses import dataclass

import numpy as np

from nanoemo import data, features
from nanoemo.data.photo import gray
from nanoemo.recognition.trained import Trained
from nanoemo.training.preparation import input_shape, preparation

__all__ = ["Recognized", "Recognizer"]


@dataclass(frozen=True)
class Recognized:
    """A face (`nanoemo.data.Face`), and the probability of each class by name, in the order of the labels."""
    face: data.Face
    probabilities: dict

    @property
    def label(self):
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.get)

    def as_json(self):
        """Plain data: where the face is, in pixels of the picture, and what was read in it."""
        x, y, side, tilt = (round(value, 1) for value in self.face[:4])
        return {"x": x, "y": y, "side": side, "tilt": tilt, "support": self.face.support, "label": self.label,
                "probabilities": {name: round(value, 4) for name, value in self.probabilities.items()}}


class Recognizer(Trained):
    """The network of the run in folder `run`, trained on faces, with the weights of its best epoch.

    device: where to compute, wherever it was trained

    Raises RunFolderError where `run` is no run, ValueError where it has no finished epoch or its network is no
    classifier of square images, CheckpointError for damaged weights.

        from nanoemo.recognition import Recognizer
        recognizer = Recognizer("runs/njoku.cnn-1")
        for found in recognizer("photo.jpg"):
            print(found.label, found.probabilities, found.face)
    """

    def _check(self, folder, settings):
        super()._check(folder, settings)
        if settings.listens:
            raise ValueError(f"{folder.path}: {settings.model} was trained on voices and sees no faces; `nanoemo predict "
                             f"{folder.path} clip.wav` lets it hear a recording")

    def _prepare_for(self, folder, settings):
        height, width, _ = self.example_shape
        if height != width:
            raise ValueError(f"{folder.path}: its network reads images of {height}×{width} pixels, but a face is cut out as a "
                             "square")
        extract = features.BY_NAME[settings.features] if settings.features else None
        self.prepare = data.Compose(preparation(folder.mean_image() if settings.subtract_mean else None, extract))
        return input_shape(self.example_shape, extract)

    def __call__(self, picture, whole=False, **search):
        """The faces in a picture, largest first, as a list of `Recognized`.

        picture: a path, or uint8 (H, W, 3) as `nanoemo.data.read_photo` gives it
        whole: the picture is a face already: take the largest square about its centre, and search for nothing
        search: as for `nanoemo.data.find_faces`
        """
        picture = picture if isinstance(picture, np.ndarray) else data.read_photo(picture)
        faces = [_whole(picture)] if whole else data.find_faces(picture, **search)
        if not faces:
            return []
        size, _, channels = self.example_shape
        tones = gray(picture) if channels == 1 else picture
        crops = np.stack([data.crop_face(tones, face, size) for face in faces])
        return [Recognized(face, dict(zip(self.classes, row.tolist())))
                for face, row in zip(faces, self.probabilities(crops))]

    def probabilities(self, images):
        """float32 (N, K), the softmax of the network's scores, for images uint8 (N, *example_shape)."""
        inputs = self.prepare(images.astype(np.float32), None)
        return self._ask(*(inputs if isinstance(inputs, tuple) else (inputs,)))


def _whole(picture):
    height, width, _ = picture.shape
    return data.Face(width / 2, height / 2, float(min(width, height)), 0.0)
