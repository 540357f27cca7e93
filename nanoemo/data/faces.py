"""Faces drawn by formula: seven expressions on people who do not exist, for when no data set is at hand.

Each face is a set of numbers: where brows, lids and lips stand (EXPRESSIONS), how this person is built
(PERSON), and how the picture was taken (SCENE). `drawing.py` turns the numbers into pixels. What each
expression does follows the facial action coding system (Ekman and Friesen 1978), whose action units (AU) are
named beside the numbers. They stand in for real faces in examples and tests: results on them are to be
labelled as drawn.
"""
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from nanoemo.data import drawing
from nanoemo.data.checks import require_whole
from nanoemo.data.fer2013 import CLASS_NAMES
from nanoemo.data.imageset import ImageSet
from nanoemo.data.made import labels_in_turn, made_splits

__all__ = ["EXPRESSIONS", "drawn_faces", "drawn_splits"]

# Lengths are in pixels of a 48 x 48 picture. The neutral face, and how far each number strays by chance:
NEUTRAL = {
    "brow_inner": (0.0, 0.35),     # how far the inner end of the brows is raised (AU 1; lowered: AU 4)
    "brow_outer": (0.0, 0.35),     # how far the outer end is raised (AU 2)
    "brow_arch": (1.0, 0.30),      # height of the bow between the ends
    "brow_pinch": (0.0, 0.25),     # how far the inner ends are drawn together (AU 4)
    "frown": (0.05, 0.05),         # depth of the upright folds between the brows (AU 4)
    "lid_upper": (2.2, 0.20),      # height of the upper lid above the eye's middle (more: AU 5)
    "lid_lower": (1.5, 0.15),      # depth of the lower lid below it (less: AU 6, 7)
    "lid_droop": (0.2, 0.15),      # how far the outer corner of the eye hangs
    "nose_wrinkle": (0.0, 0.05),   # depth of the folds across the bridge of the nose (AU 9)
    "cheek_fold": (0.1, 0.10),     # depth of the fold from nostril to mouth corner (AU 6, 10, 12)
    "mouth_width": (6.6, 0.40),    # half the width (more: AU 12, 20; less: AU 18)
    "mouth_corner": (0.0, 0.40),   # how far the corners stand above the middle (AU 12; below: AU 15)
    "lip_raise": (0.0, 0.15),      # opening above the line of the lips (AU 10)
    "jaw_drop": (0.0, 0.20),       # opening below it (AU 25, 26, 27)
    "mouth_round": (0.3, 0.10),    # 0 opens like a lens, 1 like an oval
    "lip_thickness": (1.3, 0.20),  # of each lip (less: AU 23, 24, pressed together)
    "teeth": (0.4, 0.15),          # share of the opening that shows teeth
    "chin_boss": (0.0, 0.08),      # the chin pushed up and dimpled (AU 17)
}

# What each expression adds to it.
EXPRESSIONS = {
    "angry": dict(
        brow_inner=-2.6, brow_outer=0.8, brow_arch=-0.6, brow_pinch=1.5, frown=0.8,         # AU 4
        lid_upper=-0.5, lid_lower=-0.6,                                                     # AU 7
        lip_thickness=-0.6, mouth_corner=-0.9, mouth_width=-0.5, chin_boss=0.4),            # AU 17, 23, 24
    "disgust": dict(
        nose_wrinkle=0.9, brow_inner=-1.6, brow_outer=-0.9, frown=0.3,                      # AU 9
        lid_upper=-0.8, lid_lower=-0.7, cheek_fold=0.7,                                     # AU 6, 7
        lip_raise=1.9, mouth_corner=-1.7, jaw_drop=0.5, teeth=0.4),                         # AU 10, 15
    "fear": dict(
        brow_inner=2.9, brow_outer=0.7, brow_arch=-0.8, brow_pinch=1.0, frown=0.3,          # AU 1, 2, 4
        lid_upper=1.2, lid_lower=0.1,                                                       # AU 5
        mouth_width=1.7, mouth_corner=-0.9, lip_raise=0.6, jaw_drop=1.9, teeth=0.3),        # AU 20, 25
    "happy": dict(
        lid_upper=-0.4, lid_lower=-0.8, cheek_fold=0.8,                                     # AU 6
        mouth_corner=3.6, mouth_width=2.1, jaw_drop=2.2, teeth=0.4, lip_thickness=-0.2),    # AU 12, 25
    "sad": dict(
        brow_inner=2.3, brow_outer=-1.5, brow_arch=-0.7, brow_pinch=0.6, frown=0.2,         # AU 1, 4
        lid_upper=-0.8, lid_droop=1.0,                                                      # AU 43
        mouth_corner=-2.9, mouth_width=-0.6, chin_boss=0.8, lip_thickness=0.1),             # AU 15, 17
    "surprise": dict(
        brow_inner=2.9, brow_outer=2.7, brow_arch=0.9,                                      # AU 1, 2
        lid_upper=1.3, lid_lower=0.5,                                                       # AU 5
        mouth_width=-2.0, lip_raise=1.9, jaw_drop=4.6, mouth_round=0.7, teeth=-0.3),        # AU 26, 27
    "neutral": {},
}
STRENGTH = (0.7, 1.15)             # an expression is shown weakly or strongly

# The person, each number drawn evenly between two bounds.
PERSON = {
    "head_width": (17.0, 20.5), "head_height": (22.0, 25.0), "jaw": (0.08, 0.34),
    "eye_apart": (8.0, 9.4), "eye_line": (-5.5, -4.0), "eye_width": (3.5, 4.4), "iris": (1.6, 2.0),
    "iris_tone": (10, 90), "brow_line": (-10.6, -9.4), "brow_thickness": (0.6, 1.4),
    "brow_length": (6.0, 8.0), "nose_length": (7.5, 10.0), "nose_width": (2.4, 3.8),
    "mouth_line": (11.0, 13.0), "skin": (95, 225), "lip_shade": (0.62, 0.9), "hair": (8, 130),
    "hairline": (-19.0, -15.0), "hair_curve": (0.004, 0.03), "hair_volume": (0.5, 5.0), "beard": (-2.0, 1.0),
}
# The picture: tilt in radians, shift in pixels, scale; direction and strength of the light; background;
# where the eyes look; the camera's noise. Tones are gray values from 0 to 255.
SCENE = {
    "tilt": (-0.17, 0.17), "turn": (-2.2, 2.2), "shift_x": (-2.5, 2.5), "shift_y": (-2.0, 2.0),
    "scale": (0.88, 1.12), "light_x": (-0.45, 0.45), "light_y": (-0.35, 0.12), "ambient": (0.85, 1.1),
    "roundness": (0.1, 0.4), "background": (10, 235), "background_slope": (-1.2, 1.2),
    "asymmetry": (-0.18, 0.18), "gaze_x": (-0.9, 0.9), "gaze_y": (-0.4, 0.5), "grain": (1.0, 9.0),
}
BLOCK = 32                         # faces drawn at once: their arrays stay in the processor's cache


def drawn_faces(n, seed=0, size=48):
    """`n` drawn gray faces (n, size, size, 1) in the seven expressions, in turn, as an ImageSet.

    It is marked as drawn. Face `i` is a function of (seed, i, size) alone, so a larger set begins with a
    smaller one. Raises ValueError for n below 1, seed below 0 or size below 8.

    >>> faces = drawn_faces(14)
    >>> faces.images.shape, faces.drawn, faces.class_names[faces.labels[3]]
    ((14, 48, 48, 1), True, 'happy')
    >>> bool((drawn_faces(5).images == faces.images[:5]).all())
    True
    """
    require_whole("drawn_faces: n", n, least=1)
    require_whole("drawn_faces: seed", seed, least=0)
    require_whole("drawn_faces: size", size, least=8)
    return _as_set(**_draw(n, seed, size))


def _draw(n, seed, size=48):
    """{"images": uint8 (n, size, size, 1)}."""
    labels = labels_in_turn(n)
    images = np.empty((n, size, size, 1), np.uint8)
    for start in range(0, n, BLOCK):
        block = slice(start, min(start + BLOCK, n))
        rngs = [np.random.default_rng([seed, index]) for index in range(block.start, block.stop)]
        numbers = _numbers(labels[block], rngs)
        grain = np.stack([rng.standard_normal((size, size), np.float32) for rng in rngs])
        picture = drawing.draw(numbers, size) + numbers.grain * grain
        images[block, :, :, 0] = np.clip(np.rint(picture), 0, 255)
    return {"images": images}


def _as_set(images):
    return ImageSet(images, labels_in_turn(len(images)), CLASS_NAMES, name="drawn faces", drawn=True,
                    note="Faces drawn by formula: they show nobody, and say nothing about real faces.")


def _numbers(labels, rngs):
    """Every number of each face, by name, as float32 (n, 1, 1) to go with pictures (n, size, size)."""
    even = np.stack([rng.random(1 + len(PERSON) + len(SCENE), np.float32) for rng in rngs])
    chance = np.stack([rng.standard_normal(len(NEUTRAL), np.float32) for rng in rngs])
    low, high = np.array([STRENGTH, *PERSON.values(), *SCENE.values()], np.float32).T
    strength, *fixed = (low + (high - low) * even).T
    added = [[EXPRESSIONS[name].get(key, 0) for key in NEUTRAL] for name in CLASS_NAMES]
    added = np.array(added, np.float32)
    mean, spread = np.array(list(NEUTRAL.values()), np.float32).T
    moved = (mean + spread * chance + strength[:, None] * added[labels]).T
    named = zip([*PERSON, *SCENE, *NEUTRAL], [*fixed, *moved])
    return SimpleNamespace(**{name: values[:, None, None] for name, values in named})


def drawn_splits(seed=0):
    """The drawn data set: 4,200 faces to train on, 700 for validation, 700 for testing, of three seeds.

    Drawing takes seconds, so they are cached as data from files are, 13 MB a seed, and drawn anew when the code changes.
    """
    sizes = {"train": 4200, "validation": 700, "test": 700}
    splits = made_splits("drawn-faces", _draw, sizes, seed, [Path(__file__), Path(drawing.__file__)])
    return {split: _as_set(**arrays) for split, arrays in splits.items()}
