"""JAFFE, the Japanese Female Facial Expression data set: 213 pictures of ten women, 256 x 256 gray.

Lyons et al., "Coding facial expressions with Gabor wavelets", 1998. A name says all: KA.AN1.39.tiff is subject KA,
angry, the first of the series, picture 39 of the data set.
"""
import re

from nanoemo.data import fer2013
from nanoemo.data.pictures import is_picture, read_set
from nanoemo.data.source import DataError

__all__ = ["find", "read"]

CLASS_NAMES = fer2013.CLASS_NAMES               # the same seven, so that a network trained on one can judge the other
CODES = {"AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy", "SA": "sad", "SU": "surprise", "NE": "neutral"}
NAME = re.compile(r"(?:.*/)?(?P<sequence>(?P<subject>[A-Z]{2})\.(?P<code>[A-Z]{2}))\d+\.\d+\.\w+", re.IGNORECASE)


def find(source):
    """The pictures in `source`, where one of them has a name as KA.AN1.39.tiff."""
    names = [name for name in source.names if is_picture(name)]
    return names if any(map(NAME.fullmatch, names)) else []


def read(source, names, image_shape):
    """All pictures as {"all": ImageSet}, resized. A sequence is the pictures of one subject in one expression.

    Raises DataError naming the file and what was expected.
    """
    matches = [_match(source, name) for name in names]
    emotions = [CODES[match["code"].upper()] for match in matches]
    groups = {group: [match[group].upper() for match in matches] for group in ("subject", "sequence")}
    return {"all": read_set(source, names, image_shape, emotions, CLASS_NAMES, groups)}


def _match(source, name):
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{source.describe(name)}: the name does not tell what it shows as others do; expected "
                        "<subject>.<expression><number>.<picture>, such as KA.AN1.39.tiff")
    if match["code"].upper() not in CODES:
        raise DataError(f"{source.describe(name)}: unknown expression {match['code']!r}; expected one of "
                        f"{', '.join(CODES)}")
    return match
