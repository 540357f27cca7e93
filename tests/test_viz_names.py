"""Names that come from outside, of classes, files, runs and people, in every figure: drawn as they stand."""
import numpy as np
import pytest
from matplotlib.text import Text

from nanoemo import nn, viz

NAMES = [r"$\foo$", "a_b^c", r"$a$ and $\b", "<&>"]          # the first makes matplotlib stop where it is read as a formula
FOUR = np.full(4, 0.25)
IMAGES, MAPS = np.zeros((3, 12, 10, 1)), np.ones((3, 12, 10))
RUN = {"loss": [1.9], "accuracy": [0.2]}
FIGURES = {
    "accuracy_curves": lambda title: viz.accuracy_curves([0.5], title=title),
    "activation_maps": lambda title: viz.activation_maps({name: dict.fromkeys(NAMES, IMAGES[0]) for name in NAMES}, title=title),
    "augmented": lambda title: viz.augmented(IMAGES, IMAGES[:, None], np.full((3, 1, 4), 0.25), NAMES, title=title),
    "class_counts": lambda title: viz.class_counts({name: dict.fromkeys(NAMES, 3) for name in NAMES}, title=title),
    "class_table": lambda title: viz.class_table(dict.fromkeys(NAMES, FOUR), NAMES, title=title),
    "confusion_matrix": lambda title: viz.confusion_matrix(np.eye(4), NAMES, title=title),
    "contact_sheet": lambda title: viz.contact_sheet(IMAGES, [0, 1, 2], NAMES, title=title),
    "dreams": lambda title: viz.dreams(IMAGES, IMAGES, NAMES[:3], title=title),
    "face_and_voice": lambda title: viz.face_and_voice(np.zeros((12, 10, 3)), (5, 5, 4, 0), ([0], [1]), 2,
                                                       dict.fromkeys(NAMES, FOUR), NAMES, title=title),
    "faces_in_photo": lambda title: viz.faces_in_photo(np.zeros((12, 10, 3)), [(5, 5, 4, 0)], [FOUR], NAMES, title=title),
    "filters": lambda title: viz.filters(np.ones((5, 5, 1, 4)), title=title),
    "grad_cam": lambda title: viz.grad_cam(IMAGES, MAPS, NAMES[:3], title=title),
    "group_accuracy": lambda title: viz.group_accuracy(dict.fromkeys(NAMES, 0.5), 0.25, title=title, what=NAMES[0]),
    "loss_curves": lambda title: viz.loss_curves([0.5], title=title, loss=NAMES[0]),
    "network": lambda title: viz.network(nn.Sequential(nn.Linear(4, 2)), (4,), title=title, target=NAMES[0]),
    "per_class_accuracy": lambda title: viz.per_class_accuracy(FOUR, NAMES, title=title),
    "reconstructions": lambda title: viz.reconstructions(IMAGES, IMAGES, IMAGES, title=title),
    "run_curves": lambda title: viz.run_curves(dict.fromkeys(NAMES, RUN), title=title, loss=NAMES[0]),
    "saliency": lambda title: viz.saliency(IMAGES, MAPS, NAMES[:3], title=title),
    "samples": lambda title: viz.samples(IMAGES, [FOUR] * 3, [0, 1, 2], NAMES, title=title),
    "search_results": lambda title: viz.search_results([{"lr": name, "accuracy": 0.5, "spread": 0.1} for name in NAMES], ["lr"],
                                                       title=title),
    "timeline": lambda title: viz.timeline([(0, 3)], [FOUR], NAMES, title=title),
    "times": lambda title: viz.times(dict.fromkeys(NAMES, 3.0), dict.fromkeys(NAMES, NAMES[0]), title=title),
    "voice": lambda title: viz.voice(MAPS[0, 0], 10, MAPS[0], MAPS[0], MAPS[0], title=title),
}


def test_every_figure_is_here():
    assert {*FIGURES, "save", "to_png"} == set(viz.__all__)


@pytest.mark.parametrize("name", FIGURES)
def test_names_are_drawn_as_they_stand(name):
    assert viz.to_png(FIGURES[name](NAMES[0]), dpi=30).startswith(b"\x89PNG")


@pytest.mark.parametrize("title", [
    "alizadeh.hybrid_shallow, trained on drawn faces, on CK+, test set (% of true class)",
    f"IMG-{'20261122' * 20}.jpg: chater.dcnn, trained on FER2013"], ids=["words", "one long word"])
@pytest.mark.parametrize("name", FIGURES)
def test_long_titles_are_broken_into_lines(name, title):
    figure = FIGURES[name](title)
    viz.to_png(figure, figure.dpi)
    found, = (text for text in figure.findobj(Text) if text.get_text().replace("\n", "").startswith(title[:20]))
    box, others = found.get_window_extent(), [axes.get_tightbbox() for axes in figure.axes]
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, (found, box)
    assert name == "network" or not any(box.overlaps(other) for other in others), (found, box)
    assert box.width > figure.bbox.width / 2, "broken where it need not be"


def test_a_name_in_dollars_is_not_set_in_italics():
    figure = viz.per_class_accuracy([0.5, 0.5], ["$happy$", "sad"])
    viz.to_png(figure)
    assert not figure.axes[0].get_yticklabels()[0].get_parse_math()
