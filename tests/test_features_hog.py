"""HOG features: what the definition says of simple images, and that the library's figures come out."""
import numpy as np
import pytest

from nanoemo.data import drawn_faces
from nanoemo.features import hog_features


def waves(angle):
    """A 48×48 image of stripes whose gradient runs along `angle` degrees, rows counted downwards."""
    row, column = np.mgrid[:48, :48]
    along = np.cos(np.radians(angle)) * column + np.sin(np.radians(angle)) * row
    return np.sin(along / 2)[None, :, :, None].astype(np.float32)


@pytest.mark.parametrize("angle", [10, 30, 50, 70, 90, 110, 130, 150, 170])
def test_stripes_fill_the_bin_of_their_angle(angle):
    bins = hog_features(waves(angle)).reshape(5, 5, 2, 2, 9)
    assert (bins.argmax(axis=-1) == angle // 20).all()


def test_blocks_have_length_one_or_are_flat():
    faces = drawn_faces(3).images
    blocks = np.linalg.norm(hog_features(faces).reshape(-1, 36), axis=1)
    assert ((blocks < 1 + 1e-4) & ((blocks > 0.9) | (blocks < 1e-3))).all() and blocks.max() > 0.99
    assert not hog_features(np.full((1, 48, 48, 1), 200, np.uint8)).any()


def test_light_and_contrast_matter_little():
    faces = drawn_faces(3).images.astype(np.float32)
    assert np.allclose(hog_features(faces), hog_features(faces / 255), atol=1e-3)
    assert np.allclose(hog_features(faces), hog_features(faces * 2 + 30), atol=1e-3)


def test_shapes_dtype_and_each_image_for_itself(rng):
    images = rng.integers(0, 256, (4, 33, 48, 3), np.uint8)
    features = hog_features(images)
    assert features.shape == (4, 36 * 3 * 5) and features.dtype == np.float32
    assert (hog_features(images[2:3]) == features[2]).all()
    assert hog_features(images[:0]).shape == (0, 36 * 3 * 5)


@pytest.mark.parametrize("shape", [(48, 48), (1, 15, 48, 1), (1, 48, 8, 1)])
def test_what_has_no_block_is_refused(shape):
    with pytest.raises(ValueError, match=r"hog_features: expected images of shape \(N, H, W, C\)"):
        hog_features(np.zeros(shape, np.uint8))


def test_it_is_what_scikit_image_makes():
    from skimage.feature import hog

    faces = drawn_faces(3).images[:] / np.float32(255)
    expected = [hog(face, 9, (8, 8), (2, 2), channel_axis=-1) for face in faces]
    np.testing.assert_allclose(hog_features(faces), expected, atol=1e-6)
