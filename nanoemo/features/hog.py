"""Histograms of oriented gradients (Dalal & Triggs 2005): which way the edges run, in each part of an image.

    gradient     (g_row, g_col) at each pixel: the difference of its neighbours
    cell         8×8 pixels: a histogram of the angles of their gradients in 9 bins over 180 degrees, each pixel
                 counting as much as its gradient is long
    block        2×2 cells, at every cell: the 4 histograms as one vector v, scaled to v / √(|v|² + ε²), clipped
                 at 0.2 and scaled again ("L2-Hys"), so that contrast and lighting matter little

A 48×48 image has 6×6 cells, so 5×5 blocks of 36 numbers: 900. Alizadeh & Fazel, who feed them to their hybrid
networks, do not give their settings; these are those of Dalal & Triggs.
"""
import numpy as np

__all__ = ["hog_features"]

ORIENTATIONS = 9
CELL = 8            # pixels
BLOCK = 2           # cells


def hog_features(images):
    """The HOG vector of each image, by scikit-image's `hog`.

    images: (N, H, W, C), uint8 or float; the scale of its values hardly matters. Of several channels each pixel takes
        the one with the longest gradient.
    Returns float32 (N, F): F = 36 · (H // 8 − 1) · (W // 8 − 1). Raises ValueError for other shapes and for images
    with fewer than 16 rows or columns.

    >>> hog_features(np.zeros((2, 48, 48, 1), np.uint8)).shape
    (2, 900)
    """
    from skimage.feature import hog

    least = CELL * BLOCK
    if images.ndim != 4 or min(images.shape[1:3]) < least:
        raise ValueError(f"hog_features: expected images of shape (N, H, W, C) with H and W of at least {least} "
                         f"pixels, a block of {BLOCK}×{BLOCK} cells; got {images.shape}")
    count, height, width, _ = images.shape
    length = ORIENTATIONS * BLOCK ** 2 * (height // CELL + 1 - BLOCK) * (width // CELL + 1 - BLOCK)
    features = np.empty((count, length), np.float32)
    for image, row in zip(images, features):
        row[:] = hog(image, ORIENTATIONS, (CELL, CELL), (BLOCK, BLOCK), channel_axis=-1)
    return features
