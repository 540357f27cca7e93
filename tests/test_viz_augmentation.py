"""The picture of images and what augmentation makes of them."""
import numpy as np
import pytest

from nanoemo import viz

CLASSES = ["angry", "happy", "sad"]
FACES = 2.0 * np.arange(2 * 8 * 8).reshape(2, 8, 8, 1)


def test_each_image_stands_beside_its_samples():
    samples = np.stack([FACES + 0.6, FACES + 300], axis=1)
    labels = np.array([[[0.7, 0, 0.3], [0, 1, 0]], [[0.002, 0.998, 0], [1 / 3, 1 / 3, 1 / 3]]])
    figure = viz.augmented(FACES, samples, labels, CLASSES)
    pictures = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert [int(picture.max()) for picture in pictures] == [126, 127, 255, 254, 255, 255]
    np.testing.assert_array_equal(pictures[1], np.rint(FACES[0, :, :, 0] + 0.6))
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "", "angry 70 %\nsad 30 %", "happy 100 %", "", "happy 100 %", "angry 33 %\nhappy 33 %\nsad 33 %"]


@pytest.mark.parametrize("height, width, columns", [(8, 8, 1), (48, 48, 6), (20, 60, 3), (60, 20, 3)])
def test_nothing_is_cut_off_or_overlaps(height, width, columns):
    labels = np.full((3, columns, 2), 0.5)
    figure = viz.augmented(np.zeros((3, height, width, 1)), np.zeros((3, columns, height, width, 1)), labels,
                           ["disappointment", "surprise"], title="chater.dcnn on FER2013: augmentation")
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in (axes.title, axes.xaxis.label) if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    pictures = [axes.get_window_extent() for axes in figure.axes]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert not any(box.overlaps(other) for box in boxes for other in [*boxes, *pictures] if other is not box)


def test_colour():
    figure = viz.augmented(np.zeros((2, 8, 8, 3)), np.zeros((2, 4, 8, 8, 3)))
    assert figure.axes[0].get_images()[0].get_array().shape == (8, 8, 3) and len(figure.axes) == 10


@pytest.mark.parametrize("arguments", [
    (FACES, FACES),
    (FACES, FACES[:1, None]),
    (FACES[..., 0], FACES),
    (np.zeros((2, 8, 8, 2)), np.zeros((2, 1, 8, 8, 2))),
    (FACES, FACES[:, None], np.ones((2, 1, 2)), CLASSES),
    (FACES, FACES[:, None], np.ones((2, 1, 3))),
])
def test_shapes_that_do_not_fit(arguments):
    with pytest.raises(ValueError, match="augmented: expected .* got"):
        viz.augmented(*arguments)


@pytest.mark.parametrize("images, samples", [(FACES / 255, FACES / 255), (FACES.astype(np.uint8), FACES / 255)])
def test_floats_in_0_to_1_would_be_drawn_black(images, samples):
    with pytest.raises(ValueError, match="augmented: expected images and samples in 0 … 255, got .*multiply .* by 255"):
        viz.augmented(images, samples[:, None])
    viz.augmented(0 * images, 0 * samples[:, None])
