"""What augmentation makes of images, beside the images."""
import numpy as np

from nanoemo.viz.style import TICK_SIZE, new_figure, shortened

__all__ = ["augmented"]

INCHES = 1.4            # width of an image
LONGEST_NAME = 10       # letters of a class that fit below it, with the share
LEAST_SHARE = 0.005     # of a class in a label; less would be written as 0 %


def augmented(images, samples, labels=None, classes=None, title="Augmentation"):
    """Figure with a row an image: the image, and after it samples of what augmentation makes of it.

    images: (R, H, W, C), 0 to 255, gray or RGB; samples: (R, S, H, W, C)
    labels: probabilities (R, S, K), written below the samples with the names `classes`; None where they are not mixed
    Raises ValueError where shapes do not fit, and for floats in 0 … 1. `nanoemo.data.augmented_samples` makes the first three.

    >>> from nanoemo.data import augmented_samples, drawn_faces
    >>> figure = augmented(*augmented_samples(drawn_faces(20), "flip,rotate", rows=2, columns=4))
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['original', 'augmented', '']
    """
    images, samples = np.asarray(images), np.asarray(samples)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or samples.ndim != 5 or samples[:, 0].shape != images.shape:
        raise ValueError("augmented: expected images (R, H, W, C), gray or RGB, and samples (R, S, H, W, C), got shapes "
                         f"{images.shape} and {samples.shape}")
    if _of_unit_range(images) or _of_unit_range(samples) and images.max() > 1:
        raise ValueError(f"augmented: expected images and samples in 0 … 255, got them up to {images.max():g} and "
                         f"{samples.max():g}; multiply those in 0 … 1 by 255")
    wanted = None if labels is None else (*samples.shape[:2], len(classes or ()))
    if labels is not None and np.shape(labels) != wanted:
        raise ValueError(f"augmented: expected labels of shape {wanted}, (R, S, names in classes), got {np.shape(labels)}")

    count, height, width, _ = images.shape
    words = [] if labels is None else [[_in_words(label, classes) for label in row] for row in labels]
    lines = max((1 + text.count("\n") for row in words for text in row), default=0)
    row_inches = INCHES * height / width + 0.25 * lines
    figure = new_figure(title, (INCHES * (1 + samples.shape[1]), 0.9 + row_inches * count))
    for row, line in enumerate(figure.subplots(count, 1 + samples.shape[1], squeeze=False)):
        for axes, picture in zip(line, [images[row], *samples[row]]):
            picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
            axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=255,
                        interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        if labels is not None:
            for axes, text in zip(line[1:], words[row]):
                axes.set_xlabel(text, fontsize=TICK_SIZE - 2)
        if row == 0:
            line[0].set_title("original", fontsize=TICK_SIZE)
            line[1].set_title("augmented", fontsize=TICK_SIZE)
    return figure


def _of_unit_range(images):
    """Whether they are floats in 0 … 1, and not black altogether."""
    return images.dtype.kind == "f" and 0 < images.max() <= 1


def _in_words(label, classes):
    """The classes in a label and their shares, the largest first, a line each."""
    order = [k for k in np.argsort(-label, kind="stable") if label[k] > LEAST_SHARE]
    return "\n".join(f"{shortened(classes[k], LONGEST_NAME)} {100 * label[k]:.0f} %" for k in order)
