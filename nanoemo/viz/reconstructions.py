"""What an auto-encoder makes of its input, beside that input."""
import numpy as np

from nanoemo.viz.style import TICK_SIZE, new_figure

__all__ = ["reconstructions"]

CHANNELS = 3            # of features: those that differ most between the images; a code of hundreds would fill the page
CELL = 1.6              # inches a picture is wide and high; the label beside it needs as much
GRAY = {"cmap": "gray", "vmin": 0, "vmax": 1}


def reconstructions(images, targets, outputs, title="Reconstructions"):
    """Figure with a column an image: the image, and below it, for channels of the features, target and reconstruction.

    images: (N, H, W, C), uint8 or floats in 0 … 1; others, such as images less their mean or features of voices, are drawn from
        the least (black) to the largest value (white)
    targets, outputs: (N, h, w, c), in 0 … 1. Where the targets have one channel and the images' size they are the images,
        which are not drawn twice. A feature and its reconstruction are drawn from 0 (black) to the largest value of either
        (pale yellow).
    Raises ValueError where shapes do not fit together.

    >>> faces = np.zeros((4, 48, 48, 1), np.float32)
    >>> [axes.get_ylabel() for axes in reconstructions(faces, faces, faces).axes[::4]]
    ['image', 'reconstruction']
    """
    images, targets, outputs = map(np.asarray, (images, targets, outputs))
    if images.ndim != 4 or targets.ndim != 4 or targets.shape != outputs.shape or len(images) != len(targets):
        raise ValueError(f"reconstructions: expected images (N, H, W, C) and targets and outputs of one shape (N, h, w, c), "
                         f"got shapes {images.shape}, {targets.shape} and {outputs.shape}")
    if targets.shape == images.shape:
        rows = [("image", _gray(images), GRAY), ("reconstruction", _gray(outputs), GRAY)]
    else:
        rows = [("image", _gray(images), GRAY)]
        for channel in _liveliest(targets):
            pair = targets[..., [channel]], outputs[..., [channel]]
            most = max(1e-12, *(features.max() for features in pair))           # few features come near 1
            colors = {"cmap": "magma", "vmin": 0, "vmax": most}
            rows += [(f"feature {channel}", pair[0], colors), ("reconstruction", pair[1], colors)]
    return _grid(rows, title)


def _gray(images):
    """The same in 0 … 1."""
    if images.dtype == np.uint8:
        return images / 255
    least, most = images.min(), images.max()
    return images if 0 <= least and most <= 1 else (images - least) / max(1e-12, most - least)


def _liveliest(targets):
    """The channels whose values differ most from image to image."""
    spread = targets.std(axis=0).mean(axis=(0, 1))
    return sorted(np.argsort(-spread, kind="stable")[:CHANNELS].tolist())


def _grid(rows, title):
    columns = len(rows[0][1])
    figure = new_figure(title, (1.5 + CELL * columns, 0.7 + CELL * len(rows)))
    for (label, pictures, colors), line in zip(rows, figure.subplots(len(rows), columns, squeeze=False)):
        for picture, axes in zip(pictures, line):
            # Pooling by rows alone makes features far wider than high; stretched, they lie on the face above.
            axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, aspect="auto", **colors)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, fontsize=TICK_SIZE)
    return figure
