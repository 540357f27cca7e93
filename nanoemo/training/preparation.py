"""What is done to an image before a network sees it, in training, in validation and in a photograph alike."""
import numpy as np

from nanoemo import data

__all__ = ["input_shape", "preparation"]


def preparation(mean_image=None, extract=None):
    """The transforms that make an image (float32, 0 to 255) a network's input, in order.

    mean_image: (H, W, C) to take from every image, or None
    extract: function of `nanoemo.features` that makes the second input of the image, or None

    >>> preparation(np.zeros((48, 48, 1), np.float32))
    [SubtractMean(mean 0.00), Scale()]
    """
    centre = [] if mean_image is None else [data.SubtractMean(mean_image)]
    prepare = [*centre, data.Scale()]
    return [data.WithFeatures(extract, data.Compose(prepare))] if extract else prepare


def input_shape(image_shape, extract=None):
    """Of one example for the model: the image's (H, W, C), or with features those of both.

    >>> from nanoemo import features
    >>> input_shape((48, 48, 1), features.hog_features)
    ((48, 48, 1), (900,))
    """
    image_shape = tuple(image_shape)
    return image_shape if extract is None else (image_shape, extract(np.zeros((1, *image_shape))).shape[1:])
