"""Random changes of where things lie in an image: mirroring, rotation, zoom and shift.

Rotation, zoom and shift are affine maps, as 3×3 matrices: a `Compose` multiplies neighbouring ones together and
resamples the images once, which is faster and blurs less than one after the other.
"""
import numpy as np

from nanoemo.data.draws import batch_of_images, checked, symmetric

__all__ = ["RandomAffine", "RandomHorizontalFlip", "RandomRotation", "RandomShift", "RandomVerticalFlip", "RandomZoom",
           "resample"]


BLOCK = 2 ** 15         # pixels resampled at a time: what is computed on the way then stays in the cache


class RandomFlip:
    """Mirror each image with probability `p`, along the axis that a subclass names."""

    def __init__(self, p=0.5):
        self.p = checked(type(self).__name__, "p", p, 0, 1)

    def __call__(self, images, rng):
        batch_of_images(self, images)
        mirrored = rng.random(len(images)) < self.p
        images = images.copy()
        images[mirrored] = np.flip(images[mirrored], self.axis)
        return images

    def __repr__(self):
        return f"{type(self).__name__}({self.p:g})"


class RandomHorizontalFlip(RandomFlip):
    """Mirror each image left to right with probability `p`."""
    axis = 2


class RandomVerticalFlip(RandomFlip):
    """Turn each image upside down, as a mirror below it does, with probability `p`."""
    axis = 1


class RandomAffine:
    """What rotation, zoom and shift share: a subclass says which affine map, this resamples the images.

    `matrices(count, height, width, rng)` returns float32 (count, 3, 3), which take (row, column, 1) of a
    pixel of the result, measured from the image's centre, to the place in the original that it shows.
    """

    def __call__(self, images, rng):
        return resample(images, self.drawn_for(images, rng))

    def drawn_for(self, images, rng):
        """A map for each of `images`. ValueError where they are no batch (B, H, W, C)."""
        batch_of_images(self, images)
        return self.matrices(*images.shape[:3], rng)

    def __repr__(self):
        return f"{type(self).__name__}({self.amount:g})"


class RandomRotation(RandomAffine):
    """Turn each image about its centre by an angle from -degrees to +degrees, counter-clockwise."""

    def __init__(self, degrees):
        self.amount = checked("RandomRotation", "degrees", degrees, 0, 180)

    def matrices(self, count, height, width, rng):
        angle = np.radians(symmetric(rng, count, self.amount))
        matrices = _identities(count)
        matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angle)
        matrices[:, 0, 1] = np.sin(angle)
        matrices[:, 1, 0] = -matrices[:, 0, 1]
        return matrices


class RandomZoom(RandomAffine):
    """Enlarge each image about its centre by a factor from 1 - amount to 1 + amount."""

    def __init__(self, amount):
        self.amount = checked("RandomZoom", "amount", amount, 0, 0.99)

    def matrices(self, count, height, width, rng):
        matrices = _identities(count)
        matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / (1 + symmetric(rng, count, self.amount))
        return matrices


class RandomShift(RandomAffine):
    """Move each image up or down, and left or right, by up to `fraction` of its height and width."""

    def __init__(self, fraction):
        self.amount = checked("RandomShift", "fraction", fraction, 0, 1)

    def matrices(self, count, height, width, rng):
        matrices = _identities(count)
        matrices[:, 0, 2] = -height * symmetric(rng, count, self.amount)
        matrices[:, 1, 2] = -width * symmetric(rng, count, self.amount)
        return matrices


def resample(images, matrices):
    """Draw each image anew through its affine map, between pixels by bilinear interpolation.

    images: float32 (B, H, W, C)
    matrices: float32 (B, 3, 3), from (row, column, 1) of the result, seen from the centre, to the original

    Places outside the original show its nearest edge pixel. Returns float32 (B, H, W, C). TypeError for images that are not
    of floats.
    """
    if images.dtype.kind != "f":
        raise TypeError(f"resample: images are {images.dtype}, but what lies between pixels is no whole number; "
                        "images.astype(np.float32) converts them")
    result = np.empty_like(images)
    step = max(1, BLOCK // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), step):
        block = slice(start, start + step)
        result[block] = _resample_block(images[block], matrices[block])
    return result


def _resample_block(images, matrices):
    count, height, width, channels = images.shape
    row = np.arange(height, dtype=np.float32)[:, None] - np.float32((height - 1) / 2)
    column = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    top, below = _cells(matrices[:, 0], row, column, height)
    left, right = _cells(matrices[:, 1], row, column, width)
    pixels = images.reshape(-1, channels)
    first = (np.arange(count) * (height * width))[:, None, None]     # index of each image's first pixel

    def pixel(down, across):
        return np.take(pixels, first + down * width + across, axis=0)

    def mix(a, b, share):
        b -= a
        b *= share
        b += a
        return b

    (y0, y1), (x0, x1) = top, left
    return mix(mix(pixel(y0, x0), pixel(y0, x1), right), mix(pixel(y1, x0), pixel(y1, x1), right), below)


def _cells(coefficients, row, column, size):
    """((pixel before, pixel after), share of the one after) along one axis, for every pixel of the result."""
    by_row, by_column, offset = (coefficients[:, i, None, None] for i in range(3))
    place = by_row * row + by_column * column
    place += offset + np.float32((size - 1) / 2)
    np.clip(place, 0, size - 1, out=place)
    before = place.astype(np.int32)                  # no place is negative, so this rounds down
    share = place - before.astype(np.float32)
    return (before, np.minimum(before + 1, size - 1)), share[..., None]


def _identities(count):
    return np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
