"""A photograph with its faces: a square around each, and how probable the network holds each emotion to be."""
import math

import numpy as np

from nanoemo.viz.style import BLUE, LABEL_SIZE, ORANGE, TICK_SIZE, check_shares, new_figure, tick_names

__all__ = ["faces_in_photo"]

A_ROW = 4               # bar charts beside one another
MOST_CHARTS = 24        # more would not be read


def faces_in_photo(picture, faces, probabilities, classes, title=""):
    """Figure of a picture with a square, a number and the likeliest class for each face; a bar chart a face below it.

    picture: uint8 (H, W, 3)
    faces: sequence of (x, y, side, tilt, ...), pixels and degrees clockwise, as `nanoemo.data.Face`
    probabilities: (N, K), a row a face; classes: the K names
    Of more than 24 faces the charts of the first 24 are drawn, and the figure says so. Of more than four, a face that is
    narrower than its label has the number alone, lest labels cover each other.
    Raises ValueError where the numbers of faces, rows and classes do not fit, and for what are no probabilities.

    >>> figure = faces_in_photo(np.zeros((60, 80, 3), np.uint8), [(40, 30, 20, 10)], [[0.2, 0.8]], ["sad", "happy"])
    >>> [text.get_text() for text in figure.axes[0].texts], figure.axes[1].get_title()
    (['1  happy 80 %'], '1  happy 80 %')
    """
    probabilities = np.reshape(check_shares("faces_in_photo", probabilities), (-1, len(classes)))
    if len(faces) != len(probabilities):
        raise ValueError(f"faces_in_photo: {len(faces)} faces, but probabilities for {len(probabilities)}")
    charts = min(len(faces), MOST_CHARTS)
    columns, rows, width = min(max(charts, 1), A_ROW), math.ceil(charts / A_ROW), 12
    tall = width * min(max(picture.shape[0] / picture.shape[1], 0.3), 0.75)
    a_chart = 0.9 + 0.27 * len(classes)

    if len(faces) > charts:
        title += f"\nbars of the first {MOST_CHARTS} of {len(faces)} faces"
    figure = new_figure(title, (width, tall + rows * a_chart + 0.6))
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[tall, *[a_chart] * rows])
    axes = figure.add_subplot(grid[0, :])
    axes.imshow(picture, extent=(0, picture.shape[1], picture.shape[0], 0))         # faces are measured from the picture's edges
    axes.set_axis_off()
    names = [f"{number}  {classes[row.argmax()]} {100 * row.max():.0f} %" for number, row in enumerate(probabilities, 1)]
    inches = min(width / picture.shape[1], tall / picture.shape[0])        # a pixel's size
    for number, (face, name) in enumerate(zip(faces, names), 1):
        crowded = len(faces) > A_ROW and face[2] * inches < len(name) * 0.6 * TICK_SIZE / 72
        draw_square(axes, face, str(number) if crowded else name, picture.shape)
    for number in range(charts):
        row, column = divmod(number, columns)
        draw_bars(figure.add_subplot(grid[1 + row, column]), probabilities[number], classes, names[number],
                   label_classes=column == 0)
    return figure


def draw_square(axes, face, name, shape):
    from matplotlib.patches import Polygon

    x, y, side, tilt = face[:4]
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ [[cos, sin], [-sin, cos]] * side / 2 + (x, y)
    for colour, line in (("white", 5), (ORANGE, 2.5)):      # seen on dark and on light
        axes.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=line, clip_on=False))
    above = corners[:, 1].min() > 0.06 * shape[0]
    axes.annotate(name, (np.clip(x, 0, shape[1]), corners[:, 1].min() if above else corners[:, 1].max()), (0, 6 if above else -6),
                  textcoords="offset points", ha="center", va="bottom" if above else "top", fontsize=TICK_SIZE, color="white",
                  bbox={"boxstyle": "round,pad=0.25", "facecolor": ORANGE, "edgecolor": "none"}, annotation_clip=False)


def draw_bars(axes, values, classes, name, label_classes):
    axes.barh(range(len(classes)), 100 * values, color=[ORANGE if value == values.max() else BLUE for value in values])
    axes.set_yticks(range(len(classes)), tick_names(classes) if label_classes else [""] * len(classes), fontsize=TICK_SIZE)
    axes.invert_yaxis()                                     # the first class on top
    axes.set_xlim(0, 118)
    axes.set_xticks([0, 50, 100])
    axes.tick_params(axis="x", labelsize=TICK_SIZE)
    axes.set_xlabel("probability (%)", fontsize=LABEL_SIZE - 2)
    axes.set_title(name, fontsize=LABEL_SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    for row, value in enumerate(values):
        axes.text(100 * value + 2, row, f"{100 * value:.0f}", va="center", fontsize=TICK_SIZE - 2)
