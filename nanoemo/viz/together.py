"""A photograph and a recording judged together: what was seen, what was heard, and what each way of judging says of it."""
import math

import numpy as np

from nanoemo.viz.photo import draw_bars, draw_square
from nanoemo.viz.style import BLUE, LABEL_SIZE, TICK_SIZE, check_shares, new_figure, remove_box

__all__ = ["face_and_voice"]

MOST_POINTS = 2000          # of the wave's outline: more than the picture has pixels for it
A_CHART = 2.6               # inches


def face_and_voice(picture, face, outline, seconds, probabilities, classes, title="", seen="", heard=""):
    """Figure of a picture with a square around the face that was judged, beside it the wave; below, a bar chart for each way.

    picture: uint8 (H, W, 3); face: (x, y, side, tilt, ...), pixels and degrees clockwise, as `nanoemo.data.Face`
    outline: the lowest and the highest sample, (low (n,), high (n,)), of n pieces of equal length of the recording, which is
        `seconds` long
    probabilities: {way: (K,)}; classes: the K names
    seen, heard: what is to be said of the picture and of the wave
    Raises ValueError where the numbers of probabilities and classes do not fit, and for what are no probabilities.

    >>> shares = {"face": [0.3, 0.7], "voice": [0.9, 0.1], "weighted": [0.6, 0.4]}
    >>> figure = face_and_voice(np.zeros((60, 80, 3), np.uint8), (40, 30, 20, 0), ([-1, 0], [1, 0]), 2, shares, ["sad", "happy"])
    >>> [axes.get_title() for axes in figure.axes[2:]]
    ['face\\nhappy 70 %', 'voice\\nsad 90 %', 'weighted\\nsad 60 %']
    """
    rows = check_shares("face_and_voice", list(probabilities.values()))
    if not len(rows) or rows.shape[1:] != (len(classes),):
        raise ValueError(f"face_and_voice: probabilities of shape {rows.shape} for {len(probabilities)} ways and {len(classes)} "
                         "classes")
    height, width, _ = picture.shape
    tall, a_chart = 4.2, 1.4 + 0.3 * len(classes)
    figure = new_figure(title, (max(12, A_CHART * len(rows)), tall + a_chart + 0.6))
    above, below = figure.subfigures(2, 1, height_ratios=[tall, a_chart])
    photo, wave = above.subplots(1, 2, width_ratios=[np.clip(width / height, 0.6, 1.6), 2])
    photo.imshow(picture, extent=(0, width, height, 0))             # faces are measured from the picture's edges
    photo.set(xticks=[], yticks=[])
    names = {way: f"{classes[row.argmax()]} {100 * row.max():.0f} %" for way, row in zip(probabilities, rows)}
    draw_square(photo, face, next(iter(names.values())), picture.shape)
    photo.set_title(seen, fontsize=LABEL_SIZE)
    _draw_outline(wave, outline, seconds)
    wave.set_title(heard, fontsize=LABEL_SIZE)
    for place, (axes, way, row) in enumerate(zip(below.subplots(1, len(rows), squeeze=False)[0], probabilities, rows)):
        draw_bars(axes, row, classes, f"{way}\n{names[way]}", label_classes=place == 0)
    return figure


def _draw_outline(axes, outline, seconds):
    low, high = (np.asarray(half, float) for half in outline)
    starts = np.arange(0, len(low), math.ceil(len(low) / MOST_POINTS))
    low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    unit, size = ("s", 1) if seconds <= 600 else ("min", 60)
    axes.fill_between(np.linspace(0, seconds / size, len(low)), low, high, color=BLUE, linewidth=0.8)
    axes.set_xlim(0, seconds / size)
    axes.set_xlabel(f"time ({unit})", fontsize=LABEL_SIZE)
    axes.set_ylabel("wave", fontsize=LABEL_SIZE)
    axes.tick_params(labelsize=TICK_SIZE)
    remove_box(axes)
