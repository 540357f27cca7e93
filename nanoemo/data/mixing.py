"""Mixing the images of a batch, two and two, and their labels with them: MixUp and CutMix.

A mixing is called as `mix(inputs, labels, rng)`, after all transforms, with a tuple of arrays (B, ...), the inputs
of the model, with labels as rows of probabilities, float32 (B, K), and a NumPy Generator. It returns both, mixed.
Each image's partner is the one in its place after the batch was shuffled, which may be the image itself.
"""
import numpy as np

from nanoemo.data.draws import boxes, checked

__all__ = ["CutMix", "MixOneOf", "MixUp", "one_hot"]


def one_hot(labels, num_classes):
    """Class numbers (B,) as probabilities, float32 (B, num_classes). ValueError for a number that is no class.

    >>> one_hot([2, 0], 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    labels = np.asarray(labels)
    if labels.size and not (labels.dtype.kind in "iu" and 0 <= labels.min() and labels.max() < num_classes):
        raise ValueError(f"one_hot: expected classes 0 … {num_classes - 1}, got {labels.dtype} from {labels.min()} to "
                         f"{labels.max()}")
    return np.eye(num_classes, dtype=np.float32)[labels.astype(int)]


class MixUp:
    """The mean of an image and its partner, weighted with λ and 1 − λ, and of their labels (Zhang et al. 2018).

        x = λ x_a + (1 − λ) x_b        y = λ y_a + (1 − λ) y_b        λ ~ Beta(alpha, alpha), for each pair

    A small alpha draws λ near 0 or 1, alpha = 1 any λ alike, a large alpha λ near one half.

    >>> images, labels = np.array([[0.0], [100.0]], np.float32), one_hot([0, 1], 2)
    >>> (mixed,), mixed_labels = MixUp(1)((images,), labels, np.random.default_rng(0))
    >>> bool(np.allclose(mixed, 100 * mixed_labels[:, 1:]))         # as much of an image as of its label
    True
    """

    def __init__(self, alpha):
        self.alpha = _checked_alpha(self, alpha)

    def __call__(self, inputs, labels, rng):
        partner, share = _pairs(rng, labels, self.alpha)
        return tuple(_mean(x, x[partner], share) for x in inputs), _mean(labels, labels[partner], share)

    def __repr__(self):
        return f"MixUp({self.alpha:g})"


class CutMix:
    """A box of each image shows its partner; the labels are mixed by area (Yun et al. 2019).

    The box has the image's proportions and covers 1 − λ of it, with λ ~ Beta(alpha, alpha) for each pair. Any pixel
    may be its centre; where an edge cuts it off, the labels' λ is the share of the image that is still its own. An input
    that is not of images (B, H, W, C), features, cannot be cut: it is mixed as in `MixUp`, with that λ.

    >>> images, labels = np.repeat(np.array([0, 100], np.float32), 64).reshape(2, 8, 8, 1), one_hot([0, 1], 2)
    >>> (mixed,), mixed_labels = CutMix(1)((images,), labels, np.random.default_rng(0))
    >>> bool(np.allclose(mixed.mean(axis=(1, 2)), 100 * mixed_labels[:, 1:]))
    True
    """

    def __init__(self, alpha):
        self.alpha = _checked_alpha(self, alpha)

    def __call__(self, inputs, labels, rng):
        partner, share = _pairs(rng, labels, self.alpha)
        height, width = inputs[0].shape[1:3]
        lengths = (np.rint(size * np.sqrt(1 - share)).astype(int) for size in (height, width))
        inside = boxes(rng, (height, width), *lengths)
        own = 1 - inside.mean(axis=(1, 2), dtype=np.float32)

        def mixed(x):
            if x.ndim == 4:
                return np.where(inside[..., None], x[partner], x)
            return _mean(x, x[partner], own)

        return tuple(map(mixed, inputs)), _mean(labels, labels[partner], own)

    def __repr__(self):
        return f"CutMix({self.alpha:g})"


class MixOneOf:
    """For each batch one of several mixings, all equally likely."""

    def __init__(self, mixings):
        self.mixings = list(mixings)

    def __call__(self, inputs, labels, rng):
        return self.mixings[rng.integers(len(self.mixings))](inputs, labels, rng)

    def __repr__(self):
        return f"MixOneOf({self.mixings})"


def _checked_alpha(mixing, alpha):
    return checked(type(mixing).__name__, "alpha", alpha, 0.01, 100)


def _pairs(rng, labels, alpha):
    """(the partner of each image (B,), the share λ of the image itself, float32 (B,)). ValueError for labels that cannot be
    mixed."""
    if np.ndim(labels) != 2:
        raise ValueError(f"only probabilities (B, K) can be mixed, got labels of shape {np.shape(labels)}; "
                         "nanoemo.data.one_hot(labels, classes) makes them")
    return rng.permutation(len(labels)), rng.beta(alpha, alpha, len(labels)).astype(np.float32)


def _mean(a, b, share):
    """share·a + (1 − share)·b, with a share for each row."""
    share = share.reshape(-1, *[1] * (a.ndim - 1))
    return share * a + (1 - share) * b
