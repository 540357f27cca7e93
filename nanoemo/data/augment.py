"""Augmentation by name: from the text of a setting to transforms and a mixing, and samples of what they do."""

import numpy as np

from nanoemo.data.geometry import RandomHorizontalFlip, RandomRotation, RandomShift, RandomVerticalFlip, RandomZoom
from nanoemo.data.loader import DataLoader
from nanoemo.data.mixing import CutMix, MixOneOf, MixUp
from nanoemo.data.pixels import CutOut, RandomBrightness, RandomContrast, RandomNoise
from nanoemo.data.transforms import Compose
from nanoemo.hints import named_values

__all__ = ["augmented_samples", "parse_augment"]

# name -> what is made of it, and its usual amount
TRANSFORMS = {"flip": (RandomHorizontalFlip, 0.5), "vflip": (RandomVerticalFlip, 0.5), "rotate": (RandomRotation, 10),
              "zoom": (RandomZoom, 0.1), "shift": (RandomShift, 0.1), "brightness": (RandomBrightness, 0.2),
              "contrast": (RandomContrast, 0.2), "noise": (RandomNoise, 5), "cutout": (CutOut, 12)}
MIXINGS = {"mixup": (MixUp, 0.2), "cutmix": (CutMix, 1)}
KNOWN = {**TRANSFORMS, **MIXINGS}


def parse_augment(text):
    """What a text such as "flip,rotate=10,mixup=0.2" names: (list of transforms, mixing or None).

    The transforms are in the order given; of two mixings each batch gets one. A name alone stands for its usual
    amount:

        flip=0.5  vflip=0.5   mirrored left to right, upside down: the probability
        rotate=10             degrees, at most, either way
        zoom=0.1  shift=0.1   share of the size, at most, either way
        brightness=0.2  contrast=0.2   share of what it is, at most, either way
        noise=5               standard deviation, of 255
        cutout=12             side of the square, in pixels
        mixup=0.2  cutmix=1   alpha of the Beta distribution

    Raises ValueError for an unknown name, one given twice, or an amount that is no number or cannot be.

    >>> parse_augment("flip,rotate=15")
    ([RandomHorizontalFlip(0.5), RandomRotation(15)], None)
    >>> parse_augment("noise,mixup,cutmix")
    ([RandomNoise(5)], MixOneOf([MixUp(0.2), CutMix(1)]))
    >>> parse_augment("flp")            # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: augment: unknown 'flp'; did you mean flip? There are flip, vflip, rotate, ...
    """
    named = {}
    for name, amount in named_values(text, KNOWN, "augment").items():
        make, usual = KNOWN[name]
        try:
            number = usual if amount is None else float(amount)
        except ValueError:
            raise ValueError(f"augment: '{name}={amount}': expected a number after =, as in {name}={usual}") from None
        named[name] = make(number)
    mixings = [made for name, made in named.items() if name in MIXINGS]
    mix = MixOneOf(mixings) if len(mixings) > 1 else mixings[0] if mixings else None
    return [made for name, made in named.items() if name in TRANSFORMS], mix


def augmented_samples(dataset, text, rows=4, columns=6, seed=0):
    """What augmentation makes of a few images, as `nanoemo.viz.augmented` draws it: (images, samples, labels).

    dataset: an `ImageSet`, of which the first images are taken, the classes in turn; text: as for `parse_augment`
    images: uint8 (rows, H, W, C); samples: float32 (rows, columns, H, W, C); labels: float32 (rows, columns, K) where
    they are mixed, else None

    >>> from nanoemo.data import drawn_faces
    >>> images, samples, labels = augmented_samples(drawn_faces(20), "flip,mixup", rows=3, columns=5)
    >>> images.shape, samples.shape, labels.shape
    ((3, 48, 48, 1), (3, 5, 48, 48, 1), (3, 5, 7))
    """
    few = dataset.take(rows, seed)
    transforms, mix = parse_augment(text)
    loader = DataLoader(few, len(few), seed=seed, transform=Compose(transforms), mix=mix, prefetch=0)
    batches = [next(loader.epoch(column)) for column in range(columns)]
    samples, labels = (np.stack(parts, axis=1) for parts in zip(*batches))
    return few.images, samples, None if mix is None else labels
