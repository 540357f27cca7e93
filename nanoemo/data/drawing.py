"""From numbers to pixels: a face painted in layers, each the set of points below some curve.

A layer is described by a signed distance d in pixels, negative inside. It covers a pixel by
clip(1/2 - d, 0, 1), which gives edges of one pixel, and is painted over what is there:
picture += cover * (tone - picture). All arrays are float32 (n, size, size), a face a row; the numbers that
describe the faces are (n, 1, 1). Coordinates are those of the face: x to the right and y down from between
eyes and mouth, in pixels of a 48 x 48 picture.
"""
import numpy as np

__all__ = ["draw"]


def draw(f, size):
    """Pictures float32 (n, size, size), about 0 to 255, of the faces that the numbers `f` describe."""
    x, y = _face_coordinates(f, size)
    picture = f.background + f.background_slope * x
    side = 1 + f.asymmetry * np.sign(x)              # an expression is a little stronger on one side
    turned = x - f.turn                              # features move across the head as it turns away
    skin = _head(f, x, y, picture)
    _nose(f, turned, y, picture)
    _mouth(f, turned, y, picture, skin, side)
    _eyes(f, turned, y, picture, skin, side)
    _brows(f, turned, y, picture, side)
    return picture


def _face_coordinates(f, size):
    grid = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(48 / size)
    across, down = grid[None, None, :] - f.shift_x, grid[None, :, None] - f.shift_y
    cos, sin = np.cos(f.tilt) / f.scale, np.sin(f.tilt) / f.scale
    return cos * across + sin * down, cos * down - sin * across


def _cover(distance):
    return np.clip(np.float32(0.5) - distance, 0, 1)


def _stroke(distance, thickness):
    """Cover of a line `thickness` pixels thick around distance 0."""
    return _cover(np.abs(distance) - thickness / 2)


def _soft(x, y, width, height):
    """A shadow that fades from 1 in the middle to 0 at the edge of an ellipse."""
    return np.square(np.clip(1 - np.square(x / width) - np.square(y / height), 0, 1))


def _paint(picture, cover, tone):
    picture += cover * (tone - picture)


def _shade(picture, cover, strength):
    """Darken by the share `strength` where the cover is full."""
    picture *= 1 - cover * strength


def _head(f, x, y, picture):
    """Hair, head and neck, lit from one side; returns the tone of the skin at every pixel."""
    chin = np.clip(y / f.head_height, 0, 1)
    width = f.head_width * (1 - f.jaw * chin * chin)
    height = f.head_height + 0.5 * f.jaw_drop * chin
    radius = np.sqrt(np.square(x / width) + np.square(y / height))
    light = f.ambient * (1 - f.roundness * radius * radius) + f.light_x * x / 20 + f.light_y * y / 24
    skin = f.skin * np.clip(light, 0.15, 1.3)
    behind = np.maximum((radius - 1) * 18 - f.hair_volume, y - 6)
    _paint(picture, _cover(behind), f.hair)
    _paint(picture, _cover(np.maximum(np.abs(x) - 10, -y)), 0.7 * skin)
    _paint(picture, _cover((radius - 1) * 18), skin)
    hairline = f.hairline + f.hair_curve * x * x
    on_top = np.maximum((radius - 1) * 18 - f.hair_volume, y - hairline)
    _paint(picture, _cover(on_top), f.hair * (0.8 + 0.4 * light))
    beard = _soft(x, y - f.head_height, f.head_width, 14) * np.clip(f.beard, 0, 1)
    _shade(picture, beard, 0.45)
    return skin


def _nose(f, x, y, picture):
    tip = f.eye_line + f.nose_length - f.nose_wrinkle
    out = np.abs(x)
    bridge = _stroke(out - f.nose_width * (0.45 + 0.05 * (y - f.eye_line)), 1.2)
    _shade(picture, bridge * _cover(np.maximum(f.eye_line + 1 - y, y - tip)), 0.14)
    _shade(picture, _soft(out - 0.6 * f.nose_width, y - tip, 1.6, 1.3), 0.75)    # nostrils
    _shade(picture, _soft(x, y - tip - 1.5, f.nose_width + 1, 2), 0.2)           # shadow below
    below_eyes = y - f.eye_line
    folds = np.maximum(_stroke(below_eyes - 1 + 0.12 * out, 0.8), _stroke(below_eyes - 3.4 + 0.2 * out, 0.8))
    _shade(picture, folds * _cover(out - f.nose_width - 0.5), 0.6 * np.clip(f.nose_wrinkle, 0, 1))
    along = y - tip                                  # the fold from the nostril round the mouth
    fold = _stroke(out - f.nose_width - 1.6 - 1.25 * along + 0.08 * along * along, 1.3)
    _shade(picture, fold * _cover(np.maximum(-1 - along, along - 6)), 0.28 * np.clip(f.cheek_fold, 0, 1))


def _mouth(f, x, y, picture, skin, side):
    across = x / f.mouth_width
    inside = np.clip(1 - across * across, 0, 1)
    bow = inside + f.mouth_round * (np.sqrt(inside) - inside)     # 1 in the middle, 0 at the corners
    line = f.mouth_line - f.mouth_corner * side * (across * across - 0.35)
    upper = line - np.maximum(f.lip_raise, 0) * bow
    lower = line + np.maximum(f.jaw_drop, 0) * bow
    lip = f.lip_thickness * np.sqrt(inside)
    ends = (np.abs(across) - 1) * f.mouth_width
    lips = np.maximum(np.maximum(upper - lip - y, y - lower - 1.25 * lip), ends)
    _paint(picture, _cover(lips), skin * f.lip_shade)
    _shade(picture, _stroke(y - line, 0.9) * _cover(ends - 0.4), 0.65)       # the line where the lips meet
    opening = _cover(np.maximum(np.maximum(upper - y, y - lower), ends))
    opening *= np.clip(2 * (lower - upper) - 0.6, 0, 1)           # lips that touch leave no gap
    _paint(picture, opening, 0.16 * skin)
    biting = upper + f.teeth * (lower - upper)
    _paint(picture, opening * _cover(np.maximum(upper - y, y - biting)), np.minimum(1.15 * skin + 25, 245))
    below = f.mouth_line + f.jaw_drop + 2 * f.lip_thickness
    _shade(picture, _soft(x, y - below - 1, 4.5, 1.8), 0.15 + 0.35 * np.clip(f.chin_boss, 0, 1))


def _eyes(f, x, y, picture, skin, side):
    out = np.abs(x) - f.eye_apart                    # from the middle of the eye, outwards
    across = out / f.eye_width
    inside = np.clip(1 - across * across, 0, 1)
    middle = f.eye_line + f.lid_droop * across * 0.8
    upper = middle - np.maximum(f.lid_upper * side, 0.3) * inside
    lower = middle + np.maximum(f.lid_lower, 0.2) * inside
    ends = (np.abs(across) - 1) * f.eye_width
    _shade(picture, _soft(out, y - f.eye_line + 1, 6.5, 5), 0.25)            # the eye's socket
    ball = _cover(np.maximum(np.maximum(upper - y, y - lower), ends))
    _paint(picture, ball, np.minimum(skin + 45, 240))
    gaze = np.hypot(x - np.sign(x) * f.eye_apart - f.gaze_x, y - f.eye_line - f.gaze_y)
    _paint(picture, ball * _cover(gaze - f.iris), f.iris_tone)
    _paint(picture, _stroke(y - upper, 1.0) * _cover(ends), 0.25 * skin)     # lashes
    _shade(picture, _stroke(y - lower, 0.6) * _cover(ends), 0.3)
    _shade(picture, _stroke(y - upper + 1.7, 0.7) * _cover(ends - 0.5), 0.22)    # crease of the lid
    bag = _stroke(y - f.eye_line - 3.2 + 0.05 * out * out, 0.9) * _cover(ends)   # cheek pushed up
    _shade(picture, bag, 0.3 * np.clip(1.6 - f.lid_lower, 0, 1))


def _brows(f, x, y, picture, side):
    start = f.eye_apart - 0.55 * f.brow_length - f.brow_pinch
    along = (np.abs(x) - start) / (f.brow_length + f.brow_pinch)     # 0 at the inner end, 1 at the outer
    between = np.clip(along, 0, 1)
    raised = f.brow_inner * (1 - between) + f.brow_outer * between
    height = f.brow_line - side * raised - 4 * f.brow_arch * between * (1 - between)
    thickness = f.brow_thickness * (1.7 - between)
    ends = (np.abs(along - 0.5) - 0.5) * f.brow_length
    _paint(picture, 0.85 * _stroke(y - height, thickness) * _cover(ends), np.minimum(f.hair, 0.5 * f.skin))
    folds = _stroke(np.abs(x) - 1.2, 0.9) * _cover(np.maximum(f.brow_line - 0.5 - y, y - f.eye_line - 0.5))
    _shade(picture, folds, 0.6 * np.clip(f.frown, 0, 1))
