"""Picture files of any size and colour, made into arrays of one shape."""
import contextlib
import io
import math
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nanoemo.data.imageset import ImageSet
from nanoemo.data.source import DataError, suffix_of

__all__ = ["MAX_PIXELS", "decoded", "is_picture", "opened", "read_set", "upright"]

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".pgm", ".ppm"}
MAX_PIXELS = 80_000_000         # a file of a few hundred bytes can claim to be a picture that fills all memory


def is_picture(name):
    """Whether a file's name is that of a picture."""
    return suffix_of(name) in SUFFIXES


class WidePixels(ValueError):
    """A sound picture whose numbers say nothing of what is black and what is white."""


@contextlib.contextmanager
def opened(source, name):
    """The file as a Pillow image, for a `with` statement; whatever is wrong with it there is a DataError."""
    with decoded(io.BytesIO(source.read(name)), source.describe(name)) as picture:
        yield picture


@contextlib.contextmanager
def decoded(file, where):
    """As `opened`, from a binary file object, which errors call `where`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            if picture.format == "EPS":             # Pillow would have Ghostscript run it
                raise DataError(f"{where}: EPS, which is a program and no picture; expected a JPEG or PNG file")
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise DataError(f"{where}: too large a picture, {width} × {height} pixels; up to {MAX_PIXELS:,} are read")
            yield picture
    except UnidentifiedImageError as error:          # its words: an object at some address
        raise DataError(f"{where}: not a readable image; expected a JPEG or PNG file") from error
    except Image.DecompressionBombError as error:    # raised while opening, from twice Pillow's own limit on
        raise DataError(f"{where}: too large a picture; up to {MAX_PIXELS:,} pixels are read") from error
    except WidePixels as error:
        raise DataError(f"{where}: {error}") from error
    except DataError:
        raise
    except Exception as error:                       # a decoder that meets what it does not know raises nearly anything
        raise DataError(f"{where}: not a readable image ({error}); it may be damaged or cut short") from error


def read_set(source, names, image_shape, classes, class_names, groups=None):
    """The pictures `names` as an ImageSet, whose note says what was done to them.

    image_shape: (height, width, channels), 1 channel for gray and 3 for colour
    classes: the class of each picture, one of `class_names`
    groups: {group: a name for each picture}, as for `ImageSet`

    A picture is turned upright as its EXIF data say, put on white where it is transparent, cropped about its
    centre to the proportions asked for, so that faces are not squeezed, and resized. Raises DataError for a file
    that is no picture, naming it.
    """
    _check_fits_memory(source, names, image_shape)
    with ThreadPoolExecutor() as pool:               # decoding lets other threads run
        pictures = list(pool.map(lambda name: _read_one(source, name, image_shape), names))
    images, sizes = zip(*pictures)
    labels = np.array([class_names.index(name) for name in classes], np.int64)
    return ImageSet(np.stack(images), labels, class_names, note=_note(Counter(sizes), image_shape),
                    groups={group: np.array(members) for group, members in (groups or {}).items()})


def _check_fits_memory(source, names, image_shape):
    """Raise DataError where the system would sooner end the program than find room for the pictures."""
    needed = 2 * len(names) * math.prod(image_shape)            # each by itself, and all of them as one array
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise DataError(f"{source.path}: {len(names):,} pictures of {' × '.join(map(str, image_shape))} take "
                        f"{needed / 2**30:,.0f} GiB to read, and this machine has {there / 2**30:,.0f}; give a smaller "
                        "--image-shape")


def _read_one(source, name, image_shape):
    """(uint8 (H, W, C), (width, height) of the file)."""
    with opened(source, name) as file:
        return fitted(upright(file), image_shape), file.size


def fitted(picture, image_shape):
    """A picture, Pillow's or an array uint8 (H, W, 3), cropped about its centre to the proportions asked for, and resized.

    >>> fitted(np.full((30, 40, 3), 7, np.uint8), (2, 2, 1)).ravel().tolist()
    [7, 7, 7, 7]
    """
    from PIL import Image, ImageOps

    height, width, channels = image_shape
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), method=Image.Resampling.LANCZOS)
    return np.asarray(picture).reshape(image_shape)


def upright(picture):
    """The Pillow image turned as its EXIF data say, with 8 bits a channel, on white where it is transparent."""
    from PIL import Image, ImageOps

    picture = _eight_bits(ImageOps.exif_transpose(picture))
    if not picture.has_transparency_data:
        return picture
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def _eight_bits(picture):
    """A picture of 16 bits a pixel brought to 8; Pillow's own conversion would clip it at 255."""
    from PIL import Image

    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture)
    if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise WidePixels(f"its pixels are 32-bit numbers, from {values.min():g} to {values.max():g}, and nothing says which of "
                         "them is black and which white; save it with 8 or 16 bits a channel")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _note(sizes, image_shape):
    """"" where every picture had the size asked for."""
    height, width, _ = image_shape
    if set(sizes) == {(width, height)}:
        return ""
    small, large = (f"{w} × {h}" for w, h in (min(sizes, key=_area), max(sizes, key=_area)))
    of = f"of {small}" if len(sizes) == 1 else f"of {len(sizes)} sizes, from {small} to {large}"
    return f"The {sizes.total():,} pictures are {of} pixels; resized to {width} × {height}."


def _area(size):
    return size[0] * size[1], size
