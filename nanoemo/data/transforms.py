"""Changes made to a batch of images on its way into a network: scaling, mean subtraction, augmentation.

A transform is called as `transform(images, rng)` with float32 images (B, H, W, C) in pixel units (0 to 255)
and a NumPy Generator, and returns new float32 images of the same shape. Each image of a batch draws its own
random numbers. Rotation, zoom and shift are affine maps: a `Compose` multiplies neighbouring ones together
and resamples the images once, which is faster and blurs less than one after the other.
"""
import difflib

import numpy as np

__all__ = ["Compose", "RandomHorizontalFlip", "RandomRotation", "RandomShift", "RandomZoom", "Scale",
           "SubtractMean", "WithFeatures", "parse_augment", "resample"]


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
        """The transform for the mean image of `dataset`, summed exactly and a block at a time."""
        total = np.zeros(dataset.image_shape, np.int64)
        for start in range(0, len(dataset), 1024):
            total += dataset.images[start:start + 1024].sum(axis=0, dtype=np.int64)
        return cls(total / len(dataset))

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


class RandomHorizontalFlip:
    """Mirror each image left to right with probability `p`."""

    def __init__(self, p=0.5):
        self.p = _checked("RandomHorizontalFlip", "p", p, 1)

    def __call__(self, images, rng):
        mirrored = rng.random(len(images)) < self.p
        images = images.copy()
        images[mirrored] = images[mirrored, :, ::-1]
        return images

    def __repr__(self):
        return f"RandomHorizontalFlip({self.p:g})"


class RandomAffine:
    """What rotation, zoom and shift share: a subclass says which affine map, this resamples the images.

    `matrices(count, height, width, rng)` returns float32 (count, 3, 3), which take (row, column, 1) of a
    pixel of the result, measured from the image's centre, to the place in the original that it shows.
    """

    def __call__(self, images, rng):
        return resample(images, self.matrices(*images.shape[:3], rng))

    def __repr__(self):
        return f"{type(self).__name__}({self.amount:g})"


class RandomRotation(RandomAffine):
    """Turn each image about its centre by an angle from -degrees to +degrees, counter-clockwise."""

    def __init__(self, degrees):
        self.amount = _checked("RandomRotation", "degrees", degrees, 180)

    def matrices(self, count, height, width, rng):
        angle = np.radians(_symmetric(rng, count, self.amount))
        matrices = _identities(count)
        matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angle)
        matrices[:, 0, 1] = np.sin(angle)
        matrices[:, 1, 0] = -matrices[:, 0, 1]
        return matrices


class RandomZoom(RandomAffine):
    """Enlarge each image about its centre by a factor from 1 - amount to 1 + amount."""

    def __init__(self, amount):
        self.amount = _checked("RandomZoom", "amount", amount, 0.99)

    def matrices(self, count, height, width, rng):
        matrices = _identities(count)
        matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / (1 + _symmetric(rng, count, self.amount))
        return matrices


class RandomShift(RandomAffine):
    """Move each image up or down, and left or right, by up to `fraction` of its height and width."""

    def __init__(self, fraction):
        self.amount = _checked("RandomShift", "fraction", fraction, 1)

    def matrices(self, count, height, width, rng):
        matrices = _identities(count)
        matrices[:, 0, 2] = -height * _symmetric(rng, count, self.amount)
        matrices[:, 1, 2] = -width * _symmetric(rng, count, self.amount)
        return matrices


class Compose:
    """Apply transforms in order, neighbouring affine ones in a single resampling.

    >>> Compose([RandomHorizontalFlip(), RandomRotation(10), RandomShift(0.1), Scale()])
    Compose([RandomHorizontalFlip(0.5), RandomRotation(10), RandomShift(0.1), Scale()])
    """

    def __init__(self, transforms):
        self.transforms = list(transforms)

    def __call__(self, images, rng):
        matrices = None                              # of the affine transforms not yet carried out
        for transform in self.transforms:
            if isinstance(transform, RandomAffine):
                new = transform.matrices(*images.shape[:3], rng)
                matrices = new if matrices is None else matrices @ new
                continue
            if matrices is not None:
                images, matrices = resample(images, matrices), None
            images = transform(images, rng)
        return images if matrices is None else resample(images, matrices)

    def __repr__(self):
        return f"Compose({self.transforms})"


def resample(images, matrices):
    """Draw each image anew through its affine map, between pixels by bilinear interpolation.

    Parameters
    ----------
    images : float32 (B, H, W, C)
    matrices : float32 (B, 3, 3), from (row, column, 1) of the result, seen from the centre, to the original

    Places outside the original show its nearest edge pixel. Returns float32 (B, H, W, C).
    """
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


def _symmetric(rng, count, amount):
    return rng.uniform(-amount, amount, count).astype(np.float32)


def _checked(name, argument, value, most):
    if not 0 <= value <= most:
        raise ValueError(f"{name}: {argument} is {value}; expected a number from 0 to {most}")
    return value


AUGMENTATIONS = {"flip": RandomHorizontalFlip, "rotate": RandomRotation, "zoom": RandomZoom,
                 "shift": RandomShift}
USUAL = {"flip": 0.5, "rotate": 10, "zoom": 0.1, "shift": 0.1}


def parse_augment(text):
    """The transforms that a text such as "flip,rotate=10,zoom=0.1,shift=0.1" names, as a list.

    A name alone stands for its usual amount: flip=0.5 (probability), rotate=10 (degrees), zoom=0.1 (share),
    shift=0.1 (share of the size). Raises ValueError for an unknown name or an amount that is no number.

    >>> parse_augment("flip,rotate=15")
    [RandomHorizontalFlip(0.5), RandomRotation(15)]
    >>> parse_augment("flp")
    Traceback (most recent call last):
        ...
    ValueError: augment: unknown 'flp'; did you mean 'flip'? There are flip, rotate, zoom, shift
    """
    transforms = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, given, amount = (piece.strip() for piece in part.partition("="))
        if name not in AUGMENTATIONS:
            near = difflib.get_close_matches(name, AUGMENTATIONS, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"augment: unknown {name!r}; {hint}There are {', '.join(AUGMENTATIONS)}")
        try:
            amount = float(amount) if given else USUAL[name]
        except ValueError:
            raise ValueError(f"augment: {part!r}: expected a number after =, "
                             f"as in {name}={USUAL[name]}") from None
        transforms.append(AUGMENTATIONS[name](amount))
    return transforms
