"""One emotion under many names."""
import numpy as np

from nanoemo.data import ImageSet, match


def faces(*class_names):
    images = np.arange(len(class_names), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    labels = np.arange(len(class_names))
    return ImageSet(images, labels, class_names, groups={"subject": labels.astype(str)}, note="a note")


def test_matching_renumbers_the_labels_and_keeps_each_with_its_image():
    found = match(faces("contempt", "Anger", "joy", "sadness"), ["happy", "sad", "neutral", "angry"])
    assert found.images[:, 0, 0, 0].tolist() == [1, 2, 3] and found.labels.tolist() == [3, 0, 1]
    assert found.class_names == ("happy", "sad", "neutral", "angry") and found.labels.dtype == np.int64
    assert found.groups["subject"].tolist() == ["1", "2", "3"] and found.note == "a note"


def test_a_class_of_just_this_name_comes_before_one_that_means_the_same():
    assert match(faces("joy", "happy", "happiness"), ("happiness", "happy")).labels.tolist() == [1, 1, 0]


def test_the_same_classes_are_left_as_they_are():
    images = faces("sad", "happy")
    assert match(images, ["sad", "happy"]) is images
