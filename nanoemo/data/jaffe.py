"""JAFFE, the Japanese Female Facial Expression data set: 213 pictures of ten women, 256 x 256 gray.

Lyons et al., "Coding facial expressions with Gabor wavelets", 1998. A name says all: KA.AN1.39.tiff is subject KA,
angry, the first of the series, picture 39 of the data set.
"""
import re

import numpy as np

from nanoemo.data import fer2013
from nanoemo.data.imageset import ImageSet
from nanoemo.data.pictures import is_picture, read_pictures
from nanoemo.data.source import DataError

__all__ = ["find", "read"]

CLASS_NAMES = fer2013.CLASS_NAMES               # the same seven, so that a network trained on one can judge the other
CODES = {"AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy", "SA": "sad", "SU": "surprise", "NE": "neutral"}
NAME = re.compile(r"(?:.*/)?(?P<series>(?P<subject>[A-Z]{2})\.(?P<code>[A-Z]{2}))\d+\.\d+\.\w+", re.IGNORECASE)


def find(source):
    """The pictures in `source`, where one of them has a name as KA.AN1.39.tiff."""
    names = [name for name in source.names if is_picture(name)]
    return names if any(map(NAME.fullmatch, names)) else []


def read(source, names, image_shape):
    """All pictures as {"all": ImageSet}, resized. A sequence is the pictures of one subject in one expression.

    Raises DataError naming the file and what was expected.
    """
    matches = [_match(source, name) for name in names]
    images, note = read_pictures(source, names, image_shape)
    labels = np.array([CLASS_NAMES.index(CODES[match["code"].upper()]) for match in matches], np.int64)
    groups = {"subject": np.array([match["subject"].upper() for match in matches]),
              "sequence": np.array([match["series"].upper() for match in matches])}
    return {"all": ImageSet(images, labels, CLASS_NAMES, note=note, groups=groups)}


def _match(source, name):
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{source.describe(name)}: the name does not tell what it shows as others do; expected "
                        "<subject>.<expression><number>.<picture>, such as KA.AN1.39.tiff")
    if match["code"].upper() not in CODES:
        raise DataError(f"{source.describe(name)}: unknown expression {match['code']!r}; expected one of "
                        f"{', '.join(CODES)}")
    return match
