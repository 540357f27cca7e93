"""The drawing of a network, and reconstructions beside their input: what stands in them, and that nothing is cut off."""
import numpy as np
import pytest

from nanoemo import models, nn, viz
from nanoemo.training.stages import PAPER, REVERSED, build_stage
from nanoemo.viz.network import COLUMN


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", ["series.architecture1", "series.architecture2"])
@pytest.mark.parametrize("stages", [PAPER, REVERSED], ids=["paper", "reversed"])
def test_every_stage_is_drawn_within_the_page(name, stages):
    for number, stage in enumerate(stages, start=1):
        model = build_stage(stages, number, name, 7, (48, 48, 1), "cnn1")
        figure = viz.network(model, (48, 48, 1), f"stage {number}", target="7 classes")
        assert texts(figure).count("frozen") == len(stage.frozen)
        assert texts(figure).count("learns") == len(list(model.children())) - len(stage.frozen)
        figure.draw_without_rendering()
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
            assert not text.get_text() or text.get_size() > 72 * figure.get_figwidth() / 100, "too small on a projector"
            assert box.width < (COLUMN - 0.3) * figure.dpi, "wider than its layer's box"


def test_layers_are_named_as_in_the_papers_tables():
    drawn = texts(viz.network(models.build("series.cnn2"), (48, 48, 1)))
    for text in ("conv 13×13, 8, ReLU", "max pool 2×1", "dense 64, ReLU, dropout 0.2", "dense 8", "12×48×8"):
        assert text in drawn, text
    assert f"{models.build('series.cnn2').extractor.num_parameters():,} parameters" in drawn
    assert "up-sample 2" in "".join(texts(viz.network(models.build("series.conv_ae"), (48, 48, 1))))


def test_a_part_that_is_one_layer_can_be_drawn():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert "dense 2" in texts(viz.network(model, (2, 2)))


def rows(figure):
    return [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]


def test_reconstructions_of_images(rng):
    images = rng.random((4, 8, 8, 1))
    figure = viz.reconstructions(images, images, 1 - images)
    assert rows(figure) == ["image", "reconstruction"] and len(figure.axes) == 8
    np.testing.assert_array_equal(figure.axes[5].images[0].get_array(), 1 - images[1, :, :, 0])


def test_reconstructions_of_features_show_those_that_differ_most(rng):
    images, targets = rng.random((3, 8, 8, 3)), rng.random((3, 2, 4, 6))
    targets[..., [0, 2, 5]] *= 0.01
    figure = viz.reconstructions(images, targets, targets)
    assert rows(figure) == ["image", "feature 1", "reconstruction", "feature 3", "reconstruction", "feature 4", "reconstruction"]


def test_a_feature_and_its_reconstruction_share_a_scale_that_uses_all_of_it(rng):
    images, targets = rng.random((3, 8, 8, 1)), 0.1 * rng.random((3, 2, 4, 2))
    axes = viz.reconstructions(images, targets, targets / 2).axes
    whites = [line[0].images[0].get_clim()[1] for line in (axes[:3], axes[3:6], axes[6:9], axes[9:12])]
    assert whites == [1, targets[..., 0].max(), targets[..., 0].max(), targets[..., 1].max()]


@pytest.mark.parametrize("shapes", [((2, 8, 8), (2, 8, 8), (2, 8, 8)), ((2, 8, 8, 1), (2, 4, 4, 1), (2, 4, 4, 2)),
                                    ((2, 8, 8, 1), (3, 8, 8, 1), (3, 8, 8, 1))])
def test_shapes_that_do_not_fit(shapes):
    with pytest.raises(ValueError, match=r"expected images \(N, H, W, C\)"):
        viz.reconstructions(*map(np.zeros, shapes))
