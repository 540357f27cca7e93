"""Noise, brightness, contrast and cut-out against their definitions in plain loops."""
import numpy as np
import pytest

from nanoemo.data import CutOut, RandomBrightness, RandomContrast, RandomNoise
from nanoemo.data.draws import boxes


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (40, 9, 12, 2)).astype(np.float32)


def factors(amount, count):
    """What a transform seeded with 7 draws."""
    return np.random.default_rng(7).uniform(-amount, amount, count) + 1


def test_noise_is_normal(images):
    grey = np.full((20, 48, 48, 1), 128, np.float32)
    noise = RandomNoise(5)(grey, np.random.default_rng(7)) - grey
    assert abs(noise.mean()) < 0.1 and 4.95 < noise.std() < 5.05
    assert 0.675 < (np.abs(noise) < 5).mean() < 0.69                # 68.3 % lie within one standard deviation
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(RandomNoise(0)(images, np.random.default_rng(7)), images)


def test_brightness_by_definition(images):
    wanted = np.empty(images.shape)
    for b, factor in enumerate(factors(0.4, 40)):
        wanted[b] = np.minimum(images[b].astype(float) * factor, 255)
    np.testing.assert_allclose(RandomBrightness(0.4)(images, np.random.default_rng(7)), wanted, rtol=1e-5)


def test_contrast_by_definition(images):
    wanted = np.empty(images.shape)
    for b, factor in enumerate(factors(0.9, 40)):
        mean = images[b].astype(float).mean()
        wanted[b] = np.clip(mean + factor * (images[b] - mean), 0, 255)
    assert (wanted == 0).any() and (wanted == 255).any()
    np.testing.assert_allclose(RandomContrast(0.9)(images, np.random.default_rng(7)), wanted, atol=1e-3)


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_cut_out_by_definition(images, side):
    rng = np.random.default_rng(7)
    rows, columns = rng.integers(0, 9, 40), rng.integers(0, 12, 40)
    wanted = images.copy()
    for b in range(40):
        grey = images[b].astype(float).mean(axis=(0, 1))
        for row in range(rows[b] - side // 2, rows[b] - side // 2 + side):
            for column in range(columns[b] - side // 2, columns[b] - side // 2 + side):
                if 0 <= row < 9 and 0 <= column < 12:
                    wanted[b, row, column] = grey
    np.testing.assert_allclose(CutOut(side)(images, np.random.default_rng(7)), wanted, rtol=1e-5)


def test_boxes_may_lie_anywhere(rng):
    sizes = np.full(5000, 4)
    inside = boxes(rng, (7, 9), sizes, sizes)
    assert inside.dtype == bool and inside.shape == (5000, 7, 9)
    assert inside.any(axis=0).all() and inside.sum(axis=(1, 2)).max() == 16
    assert len({box.tobytes() for box in inside}) == 7 * 9          # as many as there are centres


def test_cut_out_leaves_something_of_every_image():
    with pytest.raises(ValueError, match="a square of 9 pixels may cover all of an image of 9×12"):
        CutOut(9)(np.zeros((1, 9, 12, 1), np.float32), np.random.default_rng(0))


@pytest.mark.parametrize("transform", [RandomNoise(40), RandomBrightness(0.5), RandomContrast(0.9), CutOut(4)], ids=repr)
def test_float32_from_0_to_255_and_input_untouched(images, transform):
    before = images.copy()
    result = transform(images, np.random.default_rng(7))
    assert result.dtype == np.float32 and result.shape == images.shape
    assert result.min() >= 0 and result.max() <= 255
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(result, transform(images, np.random.default_rng(7)))
    assert not np.array_equal(result, transform(images, np.random.default_rng(8)))
    same = np.repeat(images[:1], 6, axis=0)
    assert len({image.tobytes() for image in transform(same, np.random.default_rng(7))}) == 6
