"""Images beside what a network makes of them: where it looks, what it would like to see, what it answers."""
import textwrap

import numpy as np

from nanoemo.viz.style import (BLUE, GREY, ORANGE, TICK_SIZE, check_images, check_shares, largest, new_grid, remove_box,
                               shortened, show_image)

__all__ = ["dreams", "grad_cam", "saliency", "samples"]

ACROSS = 8              # images in a row
NAME = 14               # letters of a class's name beside its bar


def saliency(images, maps, captions, title="Saliency"):
    """Figure with a column an image; below it how much each pixel moves the score (`nanoemo.interpret.saliency`).

    images: (N, H, W, 1) or (N, H, W, 3), uint8 or floats in 0 … 1; maps: (N, H, W); captions: a text an image
    Each map is drawn from 0 (black) to its own largest value (pale yellow); what is not finite is white. Raises ValueError where
    shapes do not fit together.

    >>> figure = saliency(np.zeros((2, 8, 8, 1)), np.ones((2, 8, 8)), ["sad", "happy"])
    >>> [axes.get_title() for axes in figure.axes]
    ['sad', 'happy', '', '']
    """
    images, maps = _checked("saliency", images, maps, captions)
    figure, below = _beside(images, captions, ("image", "saliency"), title)
    for axes, found in zip(below, maps):
        axes.imshow(found, cmap="magma", vmin=0, vmax=largest(found))
    return figure


def grad_cam(images, maps, captions, title="Grad-CAM"):
    """Figure with a column an image; below it the image under a map of what speaks for a class (`nanoemo.interpret.grad_cam`).

    images, captions: as for `saliency`; maps: (N, h, w), of a layer: stretched over the image
    Each map is drawn from 0 (blue) to its own largest value (red). Raises ValueError where shapes do not fit together.

    >>> figure = grad_cam(np.zeros((2, 48, 48, 1)), np.ones((2, 4, 4)), ["sad", "happy"])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['image', '', 'Grad-CAM', '']
    """
    images, maps = _checked("grad_cam", images, maps, captions)
    figure, below = _beside(images, captions, ("image", "Grad-CAM"), title)
    height, width = images.shape[1:3]
    for axes, image, found in zip(below, images, maps):
        show_image(axes, image)
        axes.imshow(found, cmap="turbo", alpha=0.5, vmin=0, vmax=largest(found), interpolation="bilinear",
                    extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    return figure


def dreams(images, dreamt, captions, title="DeepDream"):
    """Figure with a column a dream: the image it began with, and below it what became of it (`nanoemo.interpret.dream`).

    images, dreamt: (N, H, W, 1) or (N, H, W, 3), uint8 or floats in 0 … 1; captions: a text a column
    Raises ValueError where shapes do not fit together.

    >>> figure = dreams(np.zeros((2, 8, 8, 1)), np.ones((2, 8, 8, 1)), ["sad", "happy"])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['image', '', 'dream', '']
    """
    images, dreamt = _checked("dreams", images, dreamt, captions)
    figure, below = _beside(images, captions, ("image", "dream"), title)
    for axes, picture in zip(below, check_images("dreams", dreamt)):
        show_image(axes, picture)
    return figure


def samples(images, probabilities, labels, classes, title="Predictions"):
    """Figure of images, each beside the probability of every class, as bars.

    images: (N, H, W, 1) or (N, H, W, 3); probabilities: (N, K); labels: int (N,), the true classes, or None where unknown
    The bar of the true class is blue; where another is the longest, that is orange. Raises ValueError where shapes do not fit,
    and for what are no probabilities or no classes.

    >>> figure = samples(np.zeros((1, 8, 8, 1)), [[0.2, 0.8]], [1], ["sad", "happy"])
    >>> figure.axes[0].get_title(), [label.get_text() for label in figure.axes[1].get_yticklabels()]
    ('happy', ['sad', 'happy'])
    """
    images, probabilities = check_images("samples", images), check_shares("samples", probabilities)
    if probabilities.shape != (len(images), len(classes)) or labels is not None and np.shape(labels) != (len(images),):
        raise ValueError(f"samples: {len(images)} images and {len(classes)} classes, but probabilities {probabilities.shape} "
                         f"and labels {np.shape(labels)}")
    unknown = [] if labels is None else [label for label in labels if label not in range(len(classes))]
    if unknown:
        raise ValueError(f"samples: there is no class number {unknown[0]}; labels run from 0 to {len(classes) - 1}")
    across = min(3, len(images))
    rows = -(-len(images) // across)
    figure, grid = new_grid(rows, 2 * across, title, cell=max(2.2, 0.2 * len(classes)))
    for axes in grid.flat[2 * len(images):]:
        axes.set_visible(False)
    for number, (image, shares) in enumerate(zip(images, probabilities)):
        picture, bars = grid.flat[2 * number:2 * number + 2]
        truth = None if labels is None else labels[number]
        show_image(picture, image)
        picture.set_title("" if truth is None else shortened(classes[truth], NAME), fontsize=TICK_SIZE)
        _draw_bars(bars, shares, classes, truth)
    if labels is not None:
        legend = "blue: the true class; orange: the network's answer where it is another"
        figure.supxlabel(textwrap.fill(legend, int(9 * figure.get_figwidth())), fontsize=TICK_SIZE)
    return figure


def _draw_bars(axes, shares, classes, truth):
    answer = int(np.argmax(shares))
    colors = [BLUE if k == (answer if truth is None else truth) else ORANGE if k == answer else GREY for k in range(len(classes))]
    axes.barh(range(len(classes)), 100 * shares, color=colors, height=0.75)
    axes.set_yticks(range(len(classes)), [shortened(name, NAME) for name in classes], fontsize=TICK_SIZE - 2)
    axes.invert_yaxis()
    for row, share in enumerate(shares):
        axes.text(100 * share + 2, row, f"{100 * share:.0f}", va="center", fontsize=TICK_SIZE - 3)
    axes.set_xlim(0, 122)                   # room for the number behind the longest bar
    axes.set_xticks([0, 50, 100], ["0", "50", "100 %"], fontsize=TICK_SIZE - 2)
    remove_box(axes)
    axes.grid(False, axis="y")


def _beside(images, captions, labels, title):
    """(a figure of the images with captions above them, the empty axes below each); in pairs of rows, where there are many."""
    across = min(ACROSS, len(images))
    figure, grid = new_grid(2 * -(-len(images) // across), across, title, cell=1.9, below=0.2)
    above, below = grid[::2].ravel(), grid[1::2].ravel()
    for axes, image, caption in zip(above, images, captions):
        show_image(axes, image)
        axes.set_title(caption, fontsize=TICK_SIZE)
    for row, axes in enumerate(grid[:, 0]):
        axes.set_ylabel(labels[row % 2], fontsize=TICK_SIZE)
    for axes in (*above[len(images):], *below[len(images):]):
        axes.set_visible(False)
    return figure, below[:len(images)]


def _checked(name, images, others, captions):
    images, others = check_images(name, images), np.asarray(others)
    if len(others) != len(images) or len(captions) != len(images):
        raise ValueError(f"{name}: {len(images)} images, but {len(others)} to go with them and {len(captions)} captions")
    if others.ndim < 3:
        raise ValueError(f"{name}: expected a map (h, w) for each image, got shape {others.shape}")
    return images, others
