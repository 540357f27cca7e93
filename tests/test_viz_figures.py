"""Figures: what they say, that they touch no global state, and that they can be drawn."""
import subprocess
import sys

import numpy as np
import pytest

from nanoemo import viz

CLASSES = ["angry", "happy", "sad"]
MATRIX = np.array([[8, 1, 1], [0, 0, 0], [2, 3, 5]])


def figures():
    return {
        "loss": viz.loss_curves([1.9, 1.2], [1.8, float("nan")]),
        "loss of one epoch": viz.loss_curves([1.9]),
        "accuracy": viz.accuracy_curves([0.2, 0.5], [0.3, 0.4], chance=1 / 7),
        "counts": viz.confusion_matrix(MATRIX, CLASSES),
        "per cent": viz.confusion_matrix(MATRIX, CLASSES, normalised=True),
        "bars": viz.per_class_accuracy([0.8, float("nan"), 0.5], CLASSES),
    }


@pytest.mark.parametrize("name", figures())
def test_draws_with_labels_that_can_be_read(name):
    figure = figures()[name]
    axes = figure.axes[0]
    assert figure.get_suptitle() and axes.get_xlabel()
    assert axes.xaxis.label.get_size() >= 14 and axes.get_xticklabels()[0].get_size() >= 12
    assert viz.to_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", figures())
def test_nothing_is_cut_off(name):
    figure = figures()[name]
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for text in (*figure.texts, axes.xaxis.label, axes.yaxis.label):
        if text.get_text():
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text


def test_accuracy_is_drawn_in_per_cent():
    lines = viz.accuracy_curves([0.2, 0.5], [0.3, 0.4]).axes[0].get_lines()
    assert lines[0].get_ydata().tolist() == [20, 50]
    assert lines[1].get_ydata().tolist() == [30, 40]
    assert lines[0].get_xdata().tolist() == [1, 2]


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 100])
def test_epochs_are_whole_numbers(epochs):
    figure = viz.loss_curves([1.9] * epochs)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


def test_confusion_cells():
    def cells(figure):
        return [text.get_text() for text in figure.axes[0].texts]

    assert cells(viz.confusion_matrix(MATRIX, CLASSES)) == ["8", "1", "1", "0", "0", "0", "2", "3", "5"]
    where = {text.get_position(): text.get_text() for text in viz.confusion_matrix(MATRIX, CLASSES).axes[0].texts}
    assert (where[1, 0], where[0, 1]) == (str(MATRIX[0][1]), str(MATRIX[1][0])) and where[0, 2] == str(MATRIX[2][0])
    per_cent = cells(viz.confusion_matrix(MATRIX, CLASSES, normalised=True))
    assert per_cent == ["80", "10", "10", "20", "30", "50"]          # the row without samples stays empty


@pytest.mark.parametrize("make", [
    lambda: viz.loss_curves([]),
    lambda: viz.loss_curves([1.0, 2.0], [1.0]),
    lambda: viz.confusion_matrix(MATRIX, CLASSES[:2]),
    lambda: viz.per_class_accuracy([0.5], CLASSES),
])
def test_shapes_that_do_not_fit(make):
    with pytest.raises(ValueError, match="shape|epochs"):
        make()


def test_no_pyplot_and_no_matplotlib_on_import():
    code = ("import sys; from nanoemo import viz; assert 'matplotlib' not in sys.modules; "
            "viz.to_png(viz.loss_curves([1.0])); assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
