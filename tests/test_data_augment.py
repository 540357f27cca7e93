"""Augmentation by name: what a text stands for, and the samples that show it."""
import re

import numpy as np
import pytest

from nanoemo.data import augmented_samples, drawn_faces, parse_augment

ALL = "flip,vflip,rotate,zoom,shift,brightness,contrast,noise,cutout,mixup,cutmix"


def test_what_the_names_stand_for():
    assert repr(parse_augment("flip,rotate=10,zoom=0.1,shift=0.1")) == (
        "([RandomHorizontalFlip(0.5), RandomRotation(10), RandomZoom(0.1), RandomShift(0.1)], None)")
    assert repr(parse_augment(" rotate , flip=0.25 ")) == "([RandomRotation(10), RandomHorizontalFlip(0.25)], None)"
    assert repr(parse_augment(ALL)) == (
        "([RandomHorizontalFlip(0.5), RandomVerticalFlip(0.5), RandomRotation(10), RandomZoom(0.1), RandomShift(0.1), "
        "RandomBrightness(0.2), RandomContrast(0.2), RandomNoise(5), CutOut(12)], MixOneOf([MixUp(0.2), CutMix(1)]))")
    assert repr(parse_augment("cutmix=0.5,flip")) == "([RandomHorizontalFlip(0.5)], CutMix(0.5))"
    assert parse_augment("") == ([], None)


@pytest.mark.parametrize("text, message", [
    ("rotat=10", "unknown 'rotat'; did you mean rotate? There are flip, vflip, rotate, zoom, shift, brightness, contrast"),
    ("flip;zoom", "unknown 'flip;zoom'; did you mean"),
    ("blur", "unknown 'blur'; there are"),
    ("mixu", "did you mean mixup?"),
    ("flip,zoom,flip=0.1", "'flip' is given twice"),
    ("rotate=ten", "'rotate=ten': expected a number after =, as in rotate=10"),
    ("zoom=", "'zoom=': expected a number after ="),
    ("flip=2", "RandomHorizontalFlip: p is 2.0; expected a number from 0 to 1"),
    ("vflip=2", "RandomVerticalFlip: p is 2.0"),
    ("rotate=-5", "RandomRotation: degrees is -5.0; expected a number from 0 to 180"),
    ("zoom=1", "RandomZoom: amount is 1.0; expected a number from 0 to 0.99"),
    ("shift=nan", "RandomShift: fraction is nan"),
    ("brightness=2", "RandomBrightness: amount is 2.0"),
    ("contrast=-1", "RandomContrast: amount is -1.0"),
    ("noise=300", "RandomNoise: deviation is 300.0; expected a number from 0 to 255"),
    ("cutout=2.5", "CutOut: side is 2.5; expected a whole number of pixels"),
    ("cutout=0", "CutOut: side is 0.0; expected a number from 1"),
    ("mixup=0", "MixUp: alpha is 0.0; expected a number from 0.01 to 100"),
    ("cutmix=inf", "CutMix: alpha is inf"),
])
def test_errors(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_augment(text)


def test_samples_are_of_the_images_beside_them_and_differ():
    faces = drawn_faces(30)
    images, samples, labels = augmented_samples(faces, "brightness", rows=4, columns=5)
    assert images.dtype == np.uint8 and samples.shape == (4, 5, 48, 48, 1) and labels is None
    assert len({sample.tobytes() for sample in samples.reshape(20, -1)}) == 20
    for image, row in zip(images, samples):
        for sample in row:
            assert np.corrcoef(image.ravel(), sample.ravel())[0, 1] > 0.98
    again, = augmented_samples(faces, "brightness", rows=4, columns=5)[1:2]
    np.testing.assert_array_equal(samples, again)


def test_samples_of_fewer_images_than_asked_for():
    images, samples, labels = augmented_samples(drawn_faces(2), ALL, rows=4, columns=3)
    assert len(images) == len(samples) == len(labels) == 2 and labels.shape == (2, 3, 7)
