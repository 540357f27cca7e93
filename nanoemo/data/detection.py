"""Where the faces in a photograph are, how far each is tilted, and the face cut out upright as data sets show it.

    search      scikit-image's cascade (local binary patterns, frontal faces) slides a window over the picture in every
                size, upright and with the picture tilted by 22 degrees to either side. It is coarse, to be quick, and it
                mistakes much for a face: what it finds are candidates.
    confirm     around each candidate the search is repeated finely, at tilts 10 degrees apart. A true face is found
                again and again, shifted a little, larger, smaller, tilted: the number of times is its support, and the
                mean over them its centre, size and tilt. A candidate of little support is no face.
    cut out     one square in the face's own direction, brought to the size that a network reads

There are no landmarks (eyes, mouth) in scikit-image, so the tilt in the plane is all that is set right: a head that
looks aside or up stays so. The window of the cascade is the square that is cut out, with no margin, because it is what
FER2013 shows: in 399 of its training images, every 72nd, it found 235 faces, with a window of 46.7 pixels (median) of the
48, its centre within half a pixel of the image's.
"""
import functools
from typing import NamedTuple

import numpy as np

from nanoemo.data.checks import require_array
from nanoemo.data.photo import gray, shrunk

__all__ = ["Face", "crop_face", "find_faces"]

LONGEST = 400                       # pixels of the longer side while searching
WINDOW = 24                         # pixels, the cascade's smallest window
TILTS = (-22, 0, 22)                # degrees, of the coarse search
FINE_TILTS = range(-40, 41, 10)     # degrees, of the fine one
FINE_FACE, FINE_PATCH = 40, 80      # pixels: size of the face, and of its surroundings, in the fine search
SUPPORT = 16                        # windows that make a face; pictures of brick, grass or coins rarely give so many
DETAIL = 10                         # gray levels: what a face has in eyes and mouth; 998 in 1,000 images of FER2013 have more
READ = "nanoemo.data.read_photo(path) reads one from a file"


class Face(NamedTuple):
    """A square around a face, in pixels of the picture."""
    x: float            # its centre, from the left edge
    y: float            # and from the upper edge
    side: float
    tilt: float         # degrees, clockwise as one sees it
    support: int = 0    # how many windows of the cascade agree


def find_faces(picture, longest=LONGEST, tilts=TILTS):
    """The faces in `picture`, uint8 (H, W, 3), largest first.

    longest: a larger picture is scaled down until its longer side has so many pixels, for the search alone. The
        smallest face found has 24 of these, so raise it for a crowd; the time grows with its square.
    tilts: of the coarse search, in degrees; (0,) takes a third of the time, and misses faces tilted by more than 20.
    Raises ValueError for another shape or dtype, TypeError for what is no array.

    >>> from skimage.data import astronaut
    >>> face, = find_faces(astronaut())
    >>> abs(face.x - 223) < 10, abs(face.y - 117) < 10, abs(face.side - 97) < 10, abs(face.tilt) < 10
    (True, True, True, True)
    """
    require_array("find_faces: picture", picture, READ)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"find_faces: expected a picture of dtype uint8 and shape (H, W, 3), got {picture.dtype} "
                         f"{picture.shape}")
    small, scale = shrunk(picture, longest)
    tones = gray(small)[..., 0].astype(np.float32)
    tones -= tones.mean()                 # the cascade adds up tones in float32: around 0 it rounds less
    candidates = np.concatenate([_search(tones, tilt) for tilt in tilts])
    confirmed = [_confirm(tones, group.mean(axis=0)) for group in _groups(candidates)]
    found = [(*windows.mean(axis=0).tolist(), len(windows)) for windows in confirmed if len(windows) >= SUPPORT]
    faces = [Face(x / scale, y / scale, side / scale, tilt, support) for x, y, side, tilt, support in found]
    return sorted(_distinct(faces), key=lambda face: -face.side)


def smallest_face(size, longest=LONGEST):
    """The side of the smallest face that `find_faces` searches for, in pixels of a picture whose longer side has `size`.

    >>> smallest_face(3000), smallest_face(300)
    (180.0, 24.0)
    """
    return WINDOW * max(1.0, size / longest)


def crop_face(picture, face, size=48):
    """The square `face` of a picture (H, W, C), uint8, set upright: uint8 (size, size, C).

    Beyond the picture its edge is repeated. Raises TypeError for what is no array, or no `Face`.

    >>> picture = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None], 100, axis=1)     # 0 at the top, 99 below
    >>> crop_face(picture, Face(x=50, y=50, side=40, tilt=0), size=4)[:, 0, 0].tolist()
    [34, 44, 54, 64]
    """
    require_array("crop_face: picture", picture, READ)
    if not isinstance(face, Face):
        raise TypeError(f"crop_face: expected a Face, as find_faces gives them, got {type(face).__name__}; "
                        "Face(x, y, side, tilt) makes one")
    # A large face is averaged, not merely sampled: each pixel is the mean of up to 8×8 places.
    places = int(np.clip(np.ceil(face.side / size), 1, 8))
    fine = _sample(picture, face, size * places)
    blocks = fine.reshape(size, places, size, places, -1).mean(axis=(1, 3))
    return np.clip(np.rint(blocks), 0, 255).astype(np.uint8)


def _sample(picture, square, size):
    """(size, size, C) float32: the square's pixels, between those of the picture by bilinear interpolation."""
    from scipy.ndimage import map_coordinates

    along = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    across, down = np.meshgrid(along * square.side, along * square.side)
    x, y = _turned(across, down, square.tilt)
    places = [square.y + y - 0.5, square.x + x - 0.5]       # the middle of the first pixel is at (0.5, 0.5)
    channels = [map_coordinates(picture[..., channel], places, output=np.float32, order=1, mode="nearest")
                for channel in range(picture.shape[2])]
    return np.stack(channels, axis=-1)


def _turned(x, y, degrees):
    """The points (x, y) turned clockwise about the origin; y points down."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return cos * x - sin * y, sin * x + cos * y


@functools.cache
def _cascade():
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def _windows(tones, smallest, largest, scale_factor, step_ratio):
    """Every window (x, y, side) of a picture (H, W), float32, that the cascade takes for a face; (x, y) its centre."""
    largest = min(largest, *tones.shape)
    if largest < smallest:
        return np.empty((0, 3))
    found = _cascade().detect_multi_scale(
        tones, scale_factor=scale_factor, step_ratio=step_ratio, min_size=(smallest, smallest),
        max_size=(largest, largest), min_neighbor_number=1,
        intersection_score_threshold=1)     # no overlap is greater than that: each window stays on its own
    windows = [(w["c"] + w["width"] / 2, w["r"] + w["height"] / 2, w["width"]) for w in found]
    return np.array(sorted(windows)).reshape(-1, 3)         # in an order that threads do not decide


def _search(tones, tilt):
    """The coarse search of the picture turned by `-tilt`: windows (x, y, side, tilt) in the picture as it is."""
    from scipy.ndimage import rotate

    turned = rotate(tones, tilt, order=1, mode="nearest") if tilt else tones
    x, y, side = _windows(turned, WINDOW, min(turned.shape), scale_factor=1.2, step_ratio=1.5).T
    x, y = _turned(x - turned.shape[1] / 2, y - turned.shape[0] / 2, tilt)
    return np.stack([x + tones.shape[1] / 2, y + tones.shape[0] / 2, side, np.full_like(x, tilt)], axis=1)


def _confirm(tones, candidate):
    """The fine search around a candidate (x, y, side, tilt): windows (x, y, side, tilt) in the picture."""
    x, y, side, coarse_tilt = candidate
    scale = side / FINE_FACE
    if _detail(_sample(tones[..., None], Face(x, y, side, 0), FINE_FACE)[..., 0]) < DETAIL:
        return np.empty((0, 4))
    found = []
    for tilt in sorted(FINE_TILTS, key=lambda tilt: abs(tilt - coarse_tilt)):
        if len(found) == 3 and sum(map(len, found)) < SUPPORT / 4:          # most candidates: do not waste time on them
            break
        patch = _sample(tones[..., None], Face(x, y, side * FINE_PATCH / FINE_FACE, tilt), FINE_PATCH)[..., 0]
        windows = _windows(patch, int(0.75 * FINE_FACE), int(1.3 * FINE_FACE), scale_factor=1.1, step_ratio=1)
        across, down, size = windows.T
        across, down = across - FINE_PATCH / 2, down - FINE_PATCH / 2
        near = np.hypot(across, down) < 0.4 * FINE_FACE
        dx, dy = _turned(across[near] * scale, down[near] * scale, tilt)
        found.append(np.stack([x + dx, y + dy, size[near] * scale, np.full_like(dx, tilt)], axis=1))
    return np.concatenate(found)


def _detail(patch):
    """Standard deviation of a face (size, size) from itself blurred: small for sky, walls and reflections, in which the
    cascade sees faces because it looks at the order of the tones alone."""
    from scipy.ndimage import gaussian_filter

    return (patch - gaussian_filter(patch, len(patch) / 12)).std()


def _groups(windows):
    """Windows (x, y, side, tilt) that show the same place in about the same size, the largest group first."""
    groups = []
    while len(windows):
        x, y, side, _ = windows.T
        smaller = np.minimum(side[:, None], side)
        alike = (np.hypot(x[:, None] - x, y[:, None] - y) < 0.3 * smaller) & (np.maximum(side[:, None], side) < 1.5 * smaller)
        group = alike[alike.sum(axis=1).argmax()]
        groups.append(windows[group])
        windows = windows[~group]
    return groups


def _distinct(faces):
    """Of faces whose centres lie within one another only the one with the most support."""
    kept = []
    for face in sorted(faces, key=lambda face: -face.support):
        if all(np.hypot(face.x - other.x, face.y - other.y) > max(face.side, other.side) / 2 for other in kept):
            kept.append(face)
    return kept
