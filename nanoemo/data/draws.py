"""What random transforms share: amounts that are checked, and numbers and boxes drawn for each image of a batch."""
import numbers

import numpy as np

from nanoemo.hints import type_of

__all__ = ["batch_of_images", "boxes", "checked", "must_be_called", "symmetric"]


def checked(name, argument, value, least, most):
    """`value`, or ValueError where it is no number from `least` to `most`."""
    if not isinstance(value, numbers.Real) or not least <= value <= most:
        raise ValueError(f"{name}: {argument} is {value!r}; expected a number from {least} to {most}")
    return value


def must_be_called(where, change, arguments="(images, rng)", such_as="Scale()"):
    """Raise TypeError where `change`, a transform or a mixing, is none that can be called with `arguments`."""
    if isinstance(change, type) or not callable(change):
        raise TypeError(f"{where}: expected what is called with {arguments}, such as nanoemo.data.{such_as}; "
                        f"got {type_of(change)}")


def batch_of_images(transform, images):
    """Raise ValueError where `images` are none (B, H, W, C)."""
    if np.ndim(images) != 4:
        one = "; images[None] makes a batch of one" if np.ndim(images) == 3 else ""
        raise ValueError(f"{type(transform).__name__}: expected images (B, H, W, C), got shape {np.shape(images)}{one}")


def symmetric(rng, count, amount):
    """`count` numbers from -amount to +amount, all equally likely; float32 (count,)."""
    return rng.uniform(-amount, amount, count).astype(np.float32)


def boxes(rng, image_size, box_heights, box_widths):
    """Where each image's box lies: bool (B, H, W), true inside it.

    image_size: (H, W); box_heights, box_widths: int (B,), in pixels
    Any pixel may be the centre, so a box near the edge is cut off there.
    """
    rows, columns = (_spans(rng, size, lengths) for size, lengths in zip(image_size, (box_heights, box_widths)))
    return rows[:, :, None] & columns[:, None, :]


def _spans(rng, size, lengths):
    """bool (B, size): for each image the `lengths` places around one drawn at random."""
    starts = rng.integers(0, size, len(lengths)) - lengths // 2
    place = np.arange(size)
    return (place >= starts[:, None]) & (place < (starts + lengths)[:, None])
