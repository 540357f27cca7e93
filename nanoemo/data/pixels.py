"""Random changes of an image's pixels where they are: noise, brightness, contrast and cut-out.

What these make darker than black or brighter than white becomes black (0) or white (255), as in a camera.
"""
import numpy as np

from nanoemo.data.draws import batch_of_images, boxes, checked, symmetric

__all__ = ["CutOut", "RandomBrightness", "RandomContrast", "RandomNoise"]


class RandomNoise:
    """Add to each pixel and channel a number drawn from a normal distribution with standard deviation `deviation`."""

    def __init__(self, deviation):
        self.deviation = checked("RandomNoise", "deviation", deviation, 0, 255)

    def __call__(self, images, rng):
        batch_of_images(self, images)
        noisy = rng.standard_normal(images.shape, np.float32)
        noisy *= np.float32(self.deviation)
        noisy += images
        return _between_black_and_white(noisy)

    def __repr__(self):
        return f"RandomNoise({self.deviation:g})"


class RandomBrightness:
    """Multiply each image by a factor from 1 - amount to 1 + amount, as less or more light does."""

    def __init__(self, amount):
        self.amount = checked("RandomBrightness", "amount", amount, 0, 1)

    def __call__(self, images, rng):
        batch_of_images(self, images)
        return _between_black_and_white(images * _factors(rng, images, self.amount))

    def __repr__(self):
        return f"RandomBrightness({self.amount:g})"


class RandomContrast:
    """Multiply each pixel's distance from the image's mean by a factor from 1 - amount to 1 + amount."""

    def __init__(self, amount):
        self.amount = checked("RandomContrast", "amount", amount, 0, 1)

    def __call__(self, images, rng):
        batch_of_images(self, images)
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        changed = images - mean
        changed *= _factors(rng, images, self.amount)
        changed += mean
        return _between_black_and_white(changed)

    def __repr__(self):
        return f"RandomContrast({self.amount:g})"


class CutOut:
    """Paint over a square of `side` pixels in each image with the mean of the image's channels.

    Any pixel may be the square's centre, so part of the square may lie outside (DeVries & Taylor 2017;
    their grey is the mean of the training set). Raises ValueError for images whose height or width is `side` or less.
    """

    def __init__(self, side):
        self.side = checked("CutOut", "side", side, 1, 10_000)
        if side != int(side):
            raise ValueError(f"CutOut: side is {side}; expected a whole number of pixels")

    def __call__(self, images, rng):
        batch_of_images(self, images)
        if self.side >= min(images.shape[1:3]):
            raise ValueError(f"CutOut: a square of {self.side:g} pixels may cover all of an image of "
                             f"{images.shape[1]}×{images.shape[2]}; take a smaller one")
        sides = np.full(len(images), int(self.side))
        inside = boxes(rng, images.shape[1:3], sides, sides)
        return np.where(inside[..., None], images.mean(axis=(1, 2), keepdims=True), images)

    def __repr__(self):
        return f"CutOut({self.side:g})"


def _factors(rng, images, amount):
    """A factor for each image, (B, 1, 1, 1)."""
    return 1 + symmetric(rng, len(images), amount)[:, None, None, None]


def _between_black_and_white(images):
    return np.clip(images, 0, 255, out=images)
