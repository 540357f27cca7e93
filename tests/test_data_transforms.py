"""Flips and affine maps against skimage and plain loops, their random numbers, and the composing of transforms."""
import numpy as np
import pytest

from nanoemo.data import (Compose, RandomHorizontalFlip, RandomRotation, RandomShift, RandomVerticalFlip, RandomZoom,
                          Scale, SubtractMean, drawn_faces, parse_augment)
from nanoemo.data.geometry import resample


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (5, 9, 12, 2)).astype(np.float32)


def resample_plain(images, matrices):
    """The definition: one pixel of the result after the other, in float64."""
    result = np.zeros(images.shape)
    _, height, width, _ = images.shape
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    for b, i, j in np.ndindex(images.shape[:3]):
        y, x = matrices[b, :2].astype(float) @ [i - middle[0], j - middle[1], 1] + middle
        y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
        i0, j0 = int(y), int(x)
        i1, j1 = min(i0 + 1, height - 1), min(j0 + 1, width - 1)
        dy, dx = y - i0, x - j0
        result[b, i, j] = ((1 - dy) * ((1 - dx) * images[b, i0, j0] + dx * images[b, i0, j1])
                           + dy * ((1 - dx) * images[b, i1, j0] + dx * images[b, i1, j1]))
    return result


def random_matrices(rng, count):
    matrices = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    matrices[:, :2] += rng.normal(0, 0.4, (count, 2, 3))
    matrices[:, :2, 2] *= 5
    return matrices


@pytest.mark.parametrize("shape", [(5, 9, 12, 2), (1, 1, 1, 1), (3, 48, 48, 1), (2, 1, 7, 3)])
def test_resample_equals_the_plain_definition(rng, shape):
    images = rng.uniform(0, 255, shape).astype(np.float32)
    matrices = random_matrices(rng, shape[0])
    result = resample(images, matrices)
    assert result.dtype == np.float32 and result.shape == shape
    wanted = resample_plain(images, matrices)
    np.testing.assert_allclose(result, wanted, atol=0.02)     # of 255: the coordinates are float32


def test_resample_equals_skimage(rng):
    transform = pytest.importorskip("skimage.transform")
    image = drawn_faces(1).images.astype(np.float32)
    matrices = random_matrices(rng, 1)
    to_pixel = np.array([[0, 1, 23.5], [1, 0, 23.5], [0, 0, 1]])     # (row, column) from the centre -> (x, y)
    inverse = to_pixel @ matrices[0].astype(float) @ np.linalg.inv(to_pixel)
    wanted = transform.warp(image[0, :, :, 0], inverse, order=1, mode="edge", preserve_range=True)
    np.testing.assert_allclose(resample(image, matrices)[0, :, :, 0], wanted, atol=0.02)


def test_identity_map_changes_no_bit(images):
    matrices = np.tile(np.eye(3, dtype=np.float32), (5, 1, 1))
    np.testing.assert_array_equal(resample(images, matrices), images)


class Fixed:
    """A generator whose every draw is the upper bound."""

    def uniform(self, low, high, count):
        return np.full(count, high)


def test_rotation_is_counter_clockwise(images):
    square = images[:, :, :9]
    np.testing.assert_allclose(RandomRotation(90)(square, Fixed()), np.rot90(square, axes=(1, 2)), atol=1e-3)


def test_zoom_enlarges():
    line = np.zeros((1, 7, 7, 1), np.float32)
    line[:, :, 3] = 1
    zoomed = RandomZoom(0.5)(line, Fixed())
    assert zoomed[0, 3, 3, 0] == 1 and 0.2 < zoomed[0, 3, 4, 0] < 0.4 and zoomed[0, 3, 5, 0] == 0


def test_shift_moves_down_and_right_and_repeats_the_edge(images):
    shifted = RandomShift(1 / 3)(images, Fixed())
    np.testing.assert_allclose(shifted[:, 3:, 4:], images[:, :-3, :-4], atol=1e-3)
    np.testing.assert_allclose(shifted[:, 0, 4:], images[:, 0, :-4], atol=1e-3)


def test_neighbouring_affine_maps_are_one_resampling_in_the_order_given():
    """On a smooth picture one resampling and three in a row agree, up to the blur of the three."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    smooth = (np.exp(-3 * ((x - 0.2) ** 2 + (y + 0.1) ** 2)) * 255).astype(np.float32)[None, :, :, None]
    steps = [RandomRotation(40), RandomShift(0.1), RandomZoom(0.3)]
    one_by_one = smooth
    for step in steps:
        one_by_one = step(one_by_one, Fixed())
    together = Compose(steps)(smooth, Fixed())
    other_order = Compose(steps[::-1])(smooth, Fixed())
    assert np.abs(together - one_by_one).max() < 1.5
    assert np.abs(together - other_order).max() > 5


def test_compose_resamples_once_and_keeps_what_lies_between(images, monkeypatch):
    from nanoemo.data import transforms
    calls = []
    monkeypatch.setattr(transforms, "resample", lambda *arguments: (calls.append(1), resample(*arguments))[1])
    composed = Compose([RandomRotation(10), RandomZoom(0.1), Scale(), RandomShift(0.1)])
    result = composed(images, np.random.default_rng(0))
    assert len(calls) == 2 and result.max() <= 1
    rng = np.random.default_rng(0)
    by_hand = RandomZoom(0.1), RandomShift(0.1)
    matrices = RandomRotation(10).matrices(5, 9, 12, rng) @ by_hand[0].matrices(5, 9, 12, rng)
    by_hand = by_hand[1](Scale()(resample(images, matrices), rng), rng)
    np.testing.assert_array_equal(result, by_hand)


@pytest.mark.parametrize("flip, mirror", [(RandomHorizontalFlip, np.fliplr), (RandomVerticalFlip, np.flipud)])
def test_flip_mirrors_about_half_of_the_images(rng, flip, mirror):
    images = rng.uniform(0, 255, (400, 3, 4, 1)).astype(np.float32)
    wanted = np.stack([mirror(image) for image in images])
    before = images.copy()
    flipped = flip()(images, rng)
    np.testing.assert_array_equal(images, before)
    mirrored = (flipped == wanted).all(axis=(1, 2, 3))
    kept = (flipped == images).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all() and 150 < mirrored.sum() < 250
    np.testing.assert_array_equal(flip(1)(images, rng), wanted)
    np.testing.assert_array_equal(flip(0)(images, rng), images)


@pytest.mark.parametrize("transform", [
    RandomHorizontalFlip(), RandomVerticalFlip(), RandomRotation(20), RandomZoom(0.2), RandomShift(0.2), Scale(),
    Compose(parse_augment("flip,rotate,zoom,shift")[0])], ids=repr)
def test_float32_stays_and_input_is_untouched(images, transform):
    before = images.copy()
    result = transform(images, np.random.default_rng(0))
    assert result.dtype == np.float32 and result.shape == images.shape
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(result, transform(images, np.random.default_rng(0)))
    if not isinstance(transform, Scale):
        assert not np.array_equal(result, transform(images, np.random.default_rng(1)))


def test_each_image_draws_its_own_numbers(rng):
    same = np.repeat(drawn_faces(1).images, 6, axis=0).astype(np.float32)
    for transform in (RandomRotation(20), RandomZoom(0.2), RandomShift(0.2)):
        assert len({image.tobytes() for image in transform(same, rng)}) == 6


def test_random_numbers_fill_their_bounds(rng):
    moved = np.abs(RandomShift(0.25).matrices(1000, 48, 40, rng)[:, :2, 2]).max(axis=0)
    sine = np.abs(RandomRotation(30).matrices(1000, 4, 4, rng)[:, 0, 1]).max()
    factor = 1 / RandomZoom(0.2).matrices(1000, 4, 4, rng)[:, 0, 0]
    np.testing.assert_allclose([*moved, sine, factor.min(), factor.max()], [12, 10, 0.5, 0.8, 1.2], rtol=0.02)
    assert moved[0] <= 12 and moved[1] <= 10 and sine <= 0.5 + 1e-6


def test_subtract_mean_is_the_mean_of_the_training_images():
    faces = drawn_faces(1500)
    transform = SubtractMean.fit(faces)
    np.testing.assert_allclose(transform.mean_image, faces.images.mean(axis=0, dtype=np.float64), rtol=1e-6)
    centred = transform(faces.images[:3].astype(np.float32), None)
    assert centred.dtype == np.float32
    np.testing.assert_allclose(centred, faces.images[:3] - transform.mean_image)
    with pytest.raises(ValueError, match=r"images have shape \(8, 8, 1\) but the mean .* \(48, 48, 1\)"):
        transform(np.zeros((1, 8, 8, 1), np.float32), None)
