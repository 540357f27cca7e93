"""Contact sheets: a row of example images for each class."""
import numpy as np

from nanoemo.viz.style import TICK_SIZE, as_pictures, new_figure

__all__ = ["contact_sheet"]

GAP, WHITE = 4, 255             # pixels between two images


def contact_sheet(images, labels, classes, columns=12, title="Contact sheet", seed=0):
    """Figure with `columns` images of each class, drawn by `seed`, and how many images the class has.

    images: (N, H, W, 1) or (N, H, W, 3), uint8 or floats in 0 … 1; labels: int (N,); classes: names in the order of the labels.
    A class with fewer images leaves the rest of its row white. Raises ValueError where shapes or ranges do not fit.

    >>> images = np.zeros((5, 8, 8, 1), np.uint8)
    >>> figure = contact_sheet(images, [0, 1, 1, 1, 1], ["sad", "happy"], columns=3)
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['sad\\n1', 'happy\\n4']
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or labels.shape != images.shape[:1]:
        raise ValueError("contact_sheet: expected images (N, H, W, 1) or (N, H, W, 3) and labels (N,), got "
                         f"{images.shape} and {labels.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < len(classes):
        raise ValueError(f"contact_sheet: labels go from {labels.min()} to {labels.max()}, but there are {len(classes)} classes")
    images = as_pictures("contact_sheet", images)
    if images.dtype != np.uint8:
        images = np.rint(255 * images)
    height, width = images.shape[1] + GAP, images.shape[2] + GAP
    sheet = np.full((len(classes) * height, columns * width, images.shape[-1]), WHITE, np.uint8)
    counts = np.bincount(labels, minlength=len(classes))
    for row in range(len(classes)):
        chosen = np.random.default_rng([seed, row]).permutation(np.flatnonzero(labels == row))[:columns]
        for column, image in enumerate(images[chosen]):
            top, left = row * height + GAP // 2, column * width + GAP // 2
            sheet[top:top + height - GAP, left:left + width - GAP] = image

    row_inches = 10.5 / columns * height / width
    figure = new_figure(title, (12, 0.6 + row_inches * len(classes)))
    figure.get_layout_engine().set(w_pad=0.15)      # inches; the labels of the rows would touch the edge
    axes = figure.subplots()
    axes.imshow(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet, cmap="gray", vmin=0, vmax=255)
    middles = [(row + 0.5) * height - 0.5 for row in range(len(classes))]
    axes.set_yticks(middles, [f"{name}\n{count:,}" for name, count in zip(classes, counts)], fontsize=TICK_SIZE)
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    return figure
