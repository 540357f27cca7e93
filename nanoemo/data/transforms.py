"""Changes made to a batch of images on its way into a network: the protocol, and what prepares the images.

A transform is called as `transform(images, rng)` with float32 images (B, H, W, C) in pixel units (0 to 255)
and a NumPy Generator, and returns new float32 images of the same shape. The random ones, in geometry.py and
pixels.py, draw new numbers for each image. What changes labels too is in mixing.py.
"""
from collections.abc import Iterable

import numpy as np

from nanoemo.data.draws import must_be_called
from nanoemo.data.geometry import RandomAffine, resample
from nanoemo.data.imageset import ImageSet
from nanoemo.hints import type_of

__all__ = ["Compose", "Scale", "SubtractMean", "WithFeatures"]


class Scale:
    """Divide by 255, so that pixels run from 0 to 1, as the marrugat paper does.

    >>> Scale()(np.full((1, 1, 1, 1), 255, np.float32), None).item()
    1.0
    """

    def __call__(self, images, rng):
        return images / np.float32(255)

    def __repr__(self):
        return "Scale()"


class SubtractMean:
    """Subtract the mean image of the training set, in pixel units, as the alizadeh paper does.

    It comes before `Scale`, and after augmentation.

    >>> from nanoemo.data import drawn_faces
    >>> faces = drawn_faces(20)
    >>> centred = SubtractMean.fit(faces)(faces.images.astype(np.float32), None)
    >>> bool(abs(centred.mean(axis=0)).max() < 1e-3)
    True
    """

    def __init__(self, mean_image):
        self.mean_image = np.asarray(mean_image, np.float32)

    @classmethod
    def fit(cls, dataset):
        """The transform for the mean image of `dataset`, an `ImageSet`. TypeError for another kind of it."""
        if not isinstance(dataset, ImageSet):
            raise TypeError(f"SubtractMean.fit: expected an ImageSet, got {type_of(dataset)}; of an array of images "
                            "SubtractMean(images.mean(axis=0)) takes the mean")
        return cls(dataset.images.mean(axis=0, dtype=np.float64))

    def __call__(self, images, rng):
        if images.shape[1:] != self.mean_image.shape:
            raise ValueError(f"SubtractMean: images have shape {images.shape[1:]} but the mean image has "
                             f"{self.mean_image.shape}; fit it on images of the same size")
        return images - self.mean_image

    def __repr__(self):
        return f"SubtractMean(mean {self.mean_image.mean():.2f})"


class WithFeatures:
    """Features of the images as a second input: gives (images, features), for a model of two inputs.

    extract: function of float32 images (B, H, W, C) in pixel units -> (B, F), as in nanoemo.features
    prepare: transform for the images alone, such as a `Compose` of `SubtractMean` and `Scale`
    It comes last: what goes before it, augmentation, changes features and images alike.

    >>> images, means = WithFeatures(lambda x: x.mean(axis=(1, 2)), Scale())(np.full((2, 4, 4, 1), 255.0), None)
    >>> images.shape, images.max(), means.tolist()
    ((2, 4, 4, 1), np.float64(1.0), [[255.0], [255.0]])
    """

    def __init__(self, extract, prepare):
        self.extract = extract
        self.prepare = prepare

    def __call__(self, images, rng):
        return self.prepare(images, rng), self.extract(images)

    def __repr__(self):
        return f"WithFeatures({self.extract.__name__}, {self.prepare})"


class Compose:
    """Apply transforms in order, neighbouring affine ones in a single resampling.

    >>> from nanoemo.data import RandomHorizontalFlip, RandomRotation, RandomShift
    >>> Compose([RandomHorizontalFlip(), RandomRotation(10), RandomShift(0.1), Scale()])
    Compose([RandomHorizontalFlip(0.5), RandomRotation(10), RandomShift(0.1), Scale()])
    """

    def __init__(self, transforms):
        if isinstance(transforms, str) or not isinstance(transforms, Iterable):
            raise TypeError(f"Compose: expected a list of transforms, got {type(transforms).__name__}")
        self.transforms = list(transforms)
        for transform in self.transforms:
            must_be_called("Compose", transform)

    def __call__(self, images, rng):
        matrices = None                              # of the affine transforms not yet carried out
        for transform in self.transforms:
            if isinstance(transform, RandomAffine):
                new = transform.drawn_for(images, rng)
                matrices = new if matrices is None else matrices @ new
                continue
            if matrices is not None:
                images, matrices = resample(images, matrices), None
            images = transform(images, rng)
        return images if matrices is None else resample(images, matrices)

    def __repr__(self):
        return f"Compose({self.transforms})"
