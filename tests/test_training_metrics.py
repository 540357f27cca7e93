"""Metrics by hand, against scikit-learn where it is installed and against counting by eye."""
import json

import numpy as np
import pytest

from nanoemo.training import metrics

CLASSES = ["angry", "happy", "sad"]


def random_case(rng, classes=7, n=200):
    return rng.integers(0, classes, n), rng.integers(0, classes, n)


def test_counted_by_eye():
    truth, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 2]
    matrix = metrics.confusion_matrix(truth, predicted, 3)
    assert matrix.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert metrics.accuracy(truth, predicted) == 4 / 6
    assert metrics.per_class_accuracy(matrix).tolist() == [2 / 3, 1 / 2, 1.0]


@pytest.mark.parametrize("missing", [None, "truth", "prediction", "both"])
def test_report_is_scikit_learns(rng, missing):
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, predicted = random_case(rng)
    if missing in ("truth", "both"):
        truth[truth == 3] = 4
    if missing in ("prediction", "both"):
        predicted[predicted == 3] = 4
    names = [f"class {k}" for k in range(7)]
    ours = metrics.classification_report(truth, predicted, names)
    theirs = sklearn.classification_report(truth, predicted, labels=range(7), target_names=names,
                                           output_dict=True, zero_division=0)
    for name in names:
        row = theirs[name]
        assert ours["classes"][name] == pytest.approx(
            {"precision": row["precision"], "recall": row["recall"], "f1": row["f1-score"],
             "support": row["support"]})
    for name in ("macro", "weighted"):
        assert ours[f"{name} average"]["f1"] == pytest.approx(theirs[f"{name} avg"]["f1-score"])
        assert ours[f"{name} average"]["precision"] == pytest.approx(theirs[f"{name} avg"]["precision"])
    assert ours["accuracy"] == pytest.approx(sklearn.accuracy_score(truth, predicted))
    assert (metrics.confusion_matrix(truth, predicted, 7)
            == sklearn.confusion_matrix(truth, predicted, labels=range(7))).all()


def test_absent_class_is_zero_in_the_report_and_nan_as_accuracy():
    report = metrics.classification_report([0, 0, 1], [0, 1, 1], CLASSES)
    assert report["classes"]["sad"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert report["macro average"]["recall"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert np.isnan(metrics.per_class_accuracy(metrics.confusion_matrix([0], [0], 2))[1])


def test_labels_in_another_order_give_chance_not_an_error(rng):
    """The papers' mistake (a report of 0.18 for a network of 0.65): it cannot be seen from the arrays
    alone."""
    truth = rng.integers(0, 7, 5000)
    predicted = np.where(rng.random(5000) < 0.65, truth, rng.integers(0, 7, 5000))
    assert metrics.accuracy(truth, predicted) > 0.65
    assert metrics.accuracy(rng.permutation(truth), predicted) == pytest.approx(1 / 7, abs=0.03)


def test_report_is_plain_data_and_prints_every_class():
    report = metrics.classification_report(np.array([0, 1, 2]), np.array([0, 1, 1]), CLASSES)
    assert json.loads(json.dumps(report)) == report
    text = metrics.format_report(report)
    assert all(name in text for name in (*CLASSES, "accuracy", "macro average", "weighted average"))
    assert len({len(line) for line in text.splitlines() if line}) == 1, "columns must line up"


@pytest.mark.parametrize("truth, predicted, message", [
    ([0, 1], [0], r"shapes \(2,\) and \(1,\)"),
    ([], [], "no samples"),
    ([0, 1], [0.2, 0.8], "argmax"),
    ([0, 3], [0, 1], r"truth\[1\] is 3, but the 3 classes are 0 to 2"),
    ([0, 1], [-1, 1], r"prediction\[0\] is -1"),
])
def test_bad_input(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrix(np.array(truth, dtype=int), np.array(predicted), 3)


def test_labels_of_one_byte_are_counted_right():
    labels = np.arange(20, dtype=np.uint8)          # 20 · 20 cells are more than a byte can number
    assert np.trace(metrics.confusion_matrix(labels, labels, 20)) == 20


def test_two_classes_of_one_name():
    with pytest.raises(ValueError, match="one name"):
        metrics.classification_report([0], [0], ["a", "a"])
