"""A trained network that is shown photographs: find the faces, cut them out, prepare them as the run's own validation
images were prepared, classify."""
from dataclasses import dataclass

import numpy as np

from nanoemo import data, features
from nanoemo.data.detection import LONGEST
from nanoemo.data.photo import gray
from nanoemo.data.pictures import fitted
from nanoemo.recognition.trained import Trained
from nanoemo.training.preparation import input_shape, preparation

__all__ = ["FINER_SEARCH", "Recognized", "Recognizer"]

FINER_SEARCH = 1000     # pixels of the longer side in which faces are searched for where a quick search finds none


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
                             "square; train one with a square --image-shape, or judge this one's pictures by `nanoemo evaluate`")
        extract = features.BY_NAME[settings.features] if settings.features else None
        self.prepare = data.Compose(preparation(folder.mean_image() if settings.subtract_mean else None, extract))
        return input_shape(self.example_shape, extract)

    def __call__(self, picture, whole=False, **search):
        """The faces in a picture, largest first, as a list of `Recognized`.

        picture: a path, or uint8 (H, W, 3) as `nanoemo.data.read_photo` gives it, or gray (H, W) or (H, W, 1)
        whole: the picture is a face already: take the largest square about its centre, and search for nothing
        search: as for `nanoemo.data.find_faces`; without any, where no face is found, larger pictures are searched once more,
            at `FINER_SEARCH`
        Raises ValueError for an array of another shape or dtype, and as `nanoemo.data.read_photo` does.
        """
        return self.recognize(picture, whole, **search)[0]

    def recognize(self, picture, whole=False, **search):
        """(What calling it returns, the pixels of the longer side in which faces were searched for, None if `whole`)."""
        faces, crops, searched = self.crops(picture, whole, **search)
        rows = self.probabilities(crops) if faces else ()
        return [Recognized(face, dict(zip(self.classes, row.tolist()))) for face, row in zip(faces, rows)], searched

    def crops(self, picture, whole=False, **search):
        """The faces in a picture, largest first, as a list of `nanoemo.data.Face`; cut out for `probabilities`, uint8
        (N, *example_shape); and the pixels of the longer side in which they were searched for, None if `whole`.

        Arguments and errors are those of a call.
        """
        picture = _in_colour(picture) if isinstance(picture, np.ndarray) else data.read_photo(picture)
        faces, searched = ([_whole(picture)], None) if whole else _searched(picture, search)
        if not faces:
            return [], np.empty((0, *self.example_shape), np.uint8), searched
        size, _, channels = self.example_shape
        if whole:                               # as pictures to train on and to be judged by are read
            crops = fitted(np.ascontiguousarray(picture), self.example_shape)[None]
        else:
            tones = gray(picture) if channels == 1 else picture
            crops = np.stack([data.crop_face(tones, face, size) for face in faces])
        return faces, crops, searched

    def probabilities(self, images):
        """float32 (N, K), the softmax of the network's scores, for images uint8 (N, *example_shape).

        Raises ValueError for another shape or dtype.
        """
        return self._ask(images)

    def _inputs(self, images):
        if images.dtype != np.uint8 or images.shape[1:] != self.example_shape:
            raise ValueError(f"probabilities: expected images of dtype uint8 and shape (N, {str(self.example_shape)[1:]}, got "
                             f"{images.dtype} {images.shape}{_remedy(images)}")
        inputs = self.prepare(images.astype(np.float32), None)
        return inputs if isinstance(inputs, tuple) else (inputs,)


def _in_colour(picture):
    """A picture uint8 (H, W, 3), of such or of gray (H, W) or (H, W, 1)."""
    shape = picture.shape
    if picture.dtype != np.uint8 or not picture.size or not (len(shape) == 2 or len(shape) == 3 and shape[2] in (1, 3)):
        raise ValueError("recognizer: expected a picture of dtype uint8 and shape (H, W, 3), or gray (H, W), got "
                         f"{picture.dtype} {shape}{_remedy(picture)}")
    return np.broadcast_to(picture.reshape(*shape[:2], -1), (*shape[:2], 3))


def _remedy(pixels):
    """What to do about pixels that are no bytes; of floats the network, which scales for itself, would see black."""
    return "" if pixels.dtype == np.uint8 else "; (255 * pixels).astype(np.uint8) makes bytes of those in 0 … 1"


def _searched(picture, search):
    """The faces in a picture, and the pixels of the longer side in which they were searched for."""
    faces = data.find_faces(picture, **search)
    if faces or search or max(picture.shape) <= LONGEST:
        return faces, search.get("longest", LONGEST)
    return data.find_faces(picture, longest=FINER_SEARCH), FINER_SEARCH


def _whole(picture):
    height, width, _ = picture.shape
    return data.Face(width / 2, height / 2, float(min(width, height)), 0.0)
