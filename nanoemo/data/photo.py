"""A photograph, from whatever file it is in to one kind of array: upright, 8 bits, red, green and blue."""
import os

import numpy as np

from nanoemo.data.pictures import decoded, upright

__all__ = ["gray", "read_photo", "shrunk"]


def read_photo(file, name="the picture"):
    """The picture in `file` as uint8 (H, W, 3), turned as its EXIF data say, on white where it is transparent.

    file: a path, or a binary file object such as `io.BytesIO(content)`; any format that Pillow reads, and of several
        pictures in one file (GIF, TIFF) the first
    name: what an error calls a file object; a path is called by itself
    Raises DataError where that is no picture, damaged, or of more than 80 million pixels, OSError where the file cannot be
    opened.

    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("LA", (40, 30)).save(file, "png")         # gray, and transparent throughout
    >>> photo = read_photo(file)
    >>> photo.shape, photo.dtype, int(photo.min())
    ((30, 40, 3), dtype('uint8'), 255)
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as content:
            return read_photo(content, os.fspath(file))
    with decoded(file, name) as picture:
        return np.asarray(upright(picture).convert("RGB"))


def gray(picture):
    """uint8 (H, W, 3) to (H, W, 1): 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601, as in JPEG).

    >>> gray(np.full((1, 1, 3), (255, 0, 0), np.uint8)).tolist()
    [[[76]]]
    """
    from PIL import Image

    return np.asarray(Image.fromarray(picture).convert("L"))[..., None]


def shrunk(picture, longest):
    """(the uint8 picture (H, W, 3) with its longer side brought down to `longest` pixels, the scale that took).

    >>> small, scale = shrunk(np.zeros((300, 1200, 3), np.uint8), 640)
    >>> small.shape, round(scale, 3)
    ((160, 640, 3), 0.533)
    """
    from PIL import Image

    height, width, _ = picture.shape
    scale = longest / max(height, width)
    if scale >= 1:
        return picture, 1.0
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX, reducing_gap=2)), scale
