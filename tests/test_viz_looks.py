"""The figures that look into networks and compare runs: what they show, and where."""
import numpy as np
import pytest

from nanoemo import nn, viz
from nanoemo.viz.maps import mosaic
from nanoemo.viz.reconstructions import CHANNELS, _liveliest

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 1), dtype=np.uint8)
MAPS = np.random.default_rng(1).random((3, 12, 10))
CAPTIONS = ["sad\n→ happy: 62 %", "happy\n→ happy: 98 %", "fear\n→ sad: 40 %"]
RUN = {"loss": [1.9, 1.2, 1.0], "accuracy": [0.2, 0.5, 0.6], "val_loss": [1.8, 1.4, 1.3], "val_accuracy": [0.3, 0.4, 0.5]}


def layers(values):
    return {"relu1": values(MAPS[0, ..., None] * np.arange(5)),
            "a.rather.long.name": values(MAPS[1, :6, :6, None] * np.arange(3))}


def each_epoch(value):
    return {f"epoch {epoch}": value for epoch in (0, 1, 16)}


NOTES = {name: "100 epochs, 12,345 images/s" for name in ("model 1", "marrugat.model4")}
TRIED = [{"lr": lr, "hidden": hidden, "accuracy": 0.5, "spread": 0.1} for lr, hidden in ((0.0012, 8), (0.04, 20), (0.0002, 64))]
NORMAL = np.random.default_rng(2).normal(size=(5, 5, 4, 12))
FIGURES = {
    "runs": lambda: viz.run_curves({"marrugat.model1": RUN, "njoku.cnn": {"loss": [2.0], "accuracy": [0.1]}}, chance=1 / 7),
    "runs without accuracy": lambda: viz.run_curves({"series.conv_ae": {"loss": [0.3, 0.2]}}, loss="squared error"),
    "classes": lambda: viz.class_table({"alizadeh.shallow": [0.41, 0.3, 0.2], "alizadeh.deep": [0.53, 0.3, np.nan]},
                                       ["angry", "happy", "sad"]),
    "classes of one": lambda: viz.class_table({"a": [0.5]}, ["sad"]),
    "times": lambda: viz.times({"model 1": 3.2, "marrugat.model4": 100.0}, NOTES),
    "activations": lambda: viz.activation_maps(layers(each_epoch), layers(lambda _: each_epoch(0.4)),
                                               title="alizadeh.deep on FER2013: a happy face"),
    "filters": lambda: viz.filters(NORMAL[:3, :3, :1]),
    "filters of colour": lambda: viz.filters(NORMAL[:, :, :3]),
    "filters of many": lambda: viz.filters(NORMAL[..., :6]),
    "saliency": lambda: viz.saliency(IMAGES, MAPS, CAPTIONS),
    "saliency of one": lambda: viz.saliency(IMAGES[:1], MAPS[:1], CAPTIONS[:1], "chater.dcnn on FER2013, test set: saliency"),
    "grad_cam": lambda: viz.grad_cam(IMAGES.repeat(3, axis=-1), MAPS[:, :3, :4], CAPTIONS),
    "dreams": lambda: viz.dreams(IMAGES, IMAGES / 255, CAPTIONS),
    "samples": lambda: viz.samples(IMAGES, [[0.7, 0.3], [0.6, 0.4], [0.2, 0.8]], [0, 1, 1], ["sad", "happy"]),
    "timeline": lambda: viz.timeline([(0, 3), (1, 4), (2, 5)], [[0.7, 0.3], [np.nan, np.nan], [0.2, 0.8]], ["sad", "happy"],
                                     "talk.wav: chater.lstm, trained on SAVEE"),
    "timeline of hours": lambda: viz.timeline(np.arange(7200)[:, None] + (0, 3), np.full((7200, 8), 1 / 8), list("abcdefgh")),
    "face and voice": lambda: viz.face_and_voice(
        np.zeros((90, 120, 3), np.uint8), (60, 12, 20, 5), ([-1, -0.5, 0], [0.5, 1, 0]), 14.0,
        {way: [0.7, 0.3] for way in ("face", "voice", "weighted", "learned", "joint")}, ["disgust", "surprise"],
        "photo.jpg and talk.wav: chater.dcnn, trained on FER2013, and chater.lstm, trained on SAVEE", "the largest of 12 faces",
        "14.0 s, mean over 9 windows, 3 more are silent, 4 are clipped"),
    "search": lambda: viz.search_results(TRIED, ["lr", "hidden"]),
    "samples unknown": lambda: viz.samples(IMAGES[:1], [[1.0, 0.0]], None, ["sad", "happy"]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_draws_and_nothing_is_cut_off(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        if axes.patches or axes.images:              # names of bars, rows and columns
            texts += [*axes.get_yticklabels()]
    for text in texts:
        box = text.get_window_extent()
        assert not text.get_text() or box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 \
            and box.y1 <= figure.bbox.y1 + 1, (text.get_text(), box)


def test_numbers_on_a_logarithmic_axis_are_written_out():
    figure = FIGURES["search"]()
    viz.to_png(figure)
    ticks = [[label.get_text() for label in axis.get_ticklabels()] for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis)]
    assert {"0.0003", "0.001", "0.003"} < set(ticks[0]) and {"10", "30"} < set(ticks[1])


def pictures(figure):
    return [axes.images[-1].get_array() for axes in figure.axes if axes.images]


def test_runs_together():
    loss, accuracy = FIGURES["runs"]().axes
    assert [line.get_label() for line in loss.get_lines()] == [
        "marrugat.model1, training", "marrugat.model1, validation", "njoku.cnn, training"]
    np.testing.assert_allclose(accuracy.get_lines()[1].get_ydata(), [30, 40, 50])
    assert accuracy.get_lines()[1].get_xdata().tolist() == [1, 2, 3]
    colors = [line.get_color() for line in loss.get_lines()]
    assert colors[0] == colors[1] != colors[2]
    legend, = FIGURES["runs"]().legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "marrugat.model1, training", "njoku.cnn, training", "marrugat.model1, validation"]
    assert [axes.get_ylabel() for axes in FIGURES["runs without accuracy"]().axes] == ["mean loss (squared error)"]


def test_the_square_around_a_whole_picture_is_seen():
    axes = viz.faces_in_photo(np.zeros((20, 20, 3), np.uint8), [(10, 10, 20, 0)], [[1.0]], ["sad"]).axes[0]
    corners = axes.patches[0].get_xy()
    assert (corners.min(), corners.max()) == axes.get_xlim() == axes.get_ylim()[::-1]
    assert not axes.patches[0].get_clip_on()


def test_table_of_classes():
    axes = FIGURES["classes"]().axes[0]
    assert [text.get_text() for text in axes.texts] == ["41.0", "53.0", "30.0", "30.0", "20.0", "–"]
    assert [text.get_fontweight() for text in axes.texts] == ["normal", "bold", "normal", "normal", "bold", "normal"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["alizadeh.shallow", "alizadeh.deep"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["angry", "happy", "sad"]


def test_times():
    axes = FIGURES["times"]().axes[0]
    assert axes.get_xlabel() == "time (minutes)"
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [3.2 / 60, 100 / 60])
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{name}\n{note}" for name, note in NOTES.items()]
    assert viz.times({"a step": 0.25}).axes[0].get_xlabel() == "time (milliseconds)"
    assert viz.times({"a": 400 * 3600.0}).axes[0].texts[0].get_text() == "400"


def test_activation_maps_show_the_strongest_channels_in_their_order():
    array = np.stack([np.full((2, 2), value) for value in (1.0, 5.0, 0.0, 3.0)], axis=-1)
    picture = pictures(viz.activation_maps({"a": {"epoch 1": array}}, channels=2))[0]
    assert np.array_equal(picture[:, :2], np.full((2, 2), 5.0)) and np.array_equal(picture[:, 3:], np.full((2, 2), 3.0))
    figure = FIGURES["activations"]()
    assert [axes.get_title() for axes in figure.axes[:3]] == ["epoch 0", "epoch 1", "epoch 16"]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["layer relu1", "layer a.rather.long.name"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"40 % zeros"}


def test_filters_show_each_filter_once():
    weights = np.arange(8.0).reshape(2, 2, 1, 2)
    axes, bar = viz.filters(weights).axes
    picture = np.ma.getdata(axes.images[0].get_array())
    assert np.array_equal(picture[:, :2], weights[:, :, 0, 0]) and np.array_equal(picture[:, 3:], weights[:, :, 0, 1])
    assert axes.images[0].get_clim() == (-7, 7), "0 is the middle of the colours"
    assert bar.get_ylabel() == "weight"
    assert "their 4 inputs" in FIGURES["filters of many"]().axes[0].get_xlabel()
    assert pictures(FIGURES["filters of colour"]())[0].shape[-1] == 3


def test_mosaic():
    parts = np.arange(5)[:, None, None] * np.ones((5, 2, 3))
    whole = mosaic(parts, columns=2, empty=-1)
    assert whole.shape == (8, 7)
    for number in range(5):
        top, left = number // 2 * 3, number % 2 * 4
        assert (whole[top:top + 2, left:left + 3] == number).all()
    assert (whole == -1).sum() == whole.size - 5 * 6


def test_images_stand_above_their_maps():
    for name in ("saliency", "dreams"):
        figure = FIGURES[name]()
        assert [axes.get_title() for axes in figure.axes] == [*CAPTIONS, "", "", ""]
        drawn = pictures(figure)
        below = MAPS if name == "saliency" else IMAGES[..., 0] / 255
        for n in range(3):
            assert np.array_equal(drawn[n], IMAGES[n, ..., 0]) and np.array_equal(drawn[3 + n], below[n])


def test_grad_cam_is_stretched_over_the_image():
    lower = FIGURES["grad_cam"]().axes[3]
    image, found = lower.images
    assert image.get_array().shape == (12, 10, 3) and found.get_array().shape == (3, 4)
    assert list(found.get_extent()) == [-0.5, 9.5, 11.5, -0.5] and found.get_alpha() < 1


def test_samples():
    figure = FIGURES["samples"]()
    bars = [axes for axes in figure.axes if axes.patches]
    assert [bar.get_width() for bar in bars[0].patches] == [70, 30]
    blue, orange, grey = viz.style.BLUE, viz.style.ORANGE, viz.style.GREY
    from matplotlib.colors import to_hex
    colors = [[to_hex(bar.get_facecolor()).upper() for bar in axes.patches] for axes in bars]
    assert colors == [[blue, grey], [orange, blue], [grey, blue]]
    assert [axes.get_title() for axes in figure.axes[::2]] == ["sad", "happy", "happy"]


@pytest.mark.parametrize("make, message", [
    (lambda: viz.run_curves({}), "0 curves .*; from 1 to 7"),
    (lambda: viz.run_curves({"a": {"loss": [1.0], "accuracy": [0.1, 0.2]}}), r"columns of a .* 1 \(loss\), 2 \(accuracy\)"),
    (lambda: viz.class_table({"a": [0.1]}, ["sad", "happy"]), "expected 2 values"),
    (lambda: viz.class_table({}, []), "at least one model"),
    (lambda: viz.times({}), "positive number of seconds"),
    (lambda: viz.times({"a": 0.0}), "positive number of seconds"),
    (lambda: viz.activation_maps({}), "no layer"),
    (lambda: viz.activation_maps(np.ones((2, 3, 3, 4))), "activation_maps: expected {layer: {moment: maps"),
    (lambda: viz.activation_maps({"dense": {"epoch 1": np.ones(7)}}), r"layer dense gives \(7,\), not maps"),
    (lambda: viz.filters(np.ones((7, 5))), r"got shape \(7, 5\)"),
    (lambda: viz.saliency(IMAGES, MAPS[:2], CAPTIONS), "3 images, but 2 to go with them and 3 captions"),
    (lambda: viz.saliency(IMAGES[..., 0], MAPS, CAPTIONS), r"got \(3, 12, 10\)"),
    (lambda: viz.saliency(IMAGES, MAPS[:, 0, 0], CAPTIONS), r"expected a map"),
    (lambda: viz.samples(IMAGES, [[1.0]], [0], ["sad"]), r"3 images and 1 classes, but probabilities \(1, 1\)"),
    (lambda: viz.samples(IMAGES, [[1.0]] * 3, [0, -1, 0], ["sad"]), "samples: there is no class number -1; labels run from 0 to"),
    (lambda: viz.samples(IMAGES, [[1.0]] * 3, [0, 0, 9], ["sad"]), "samples: there is no class number 9; labels run from 0 to 0"),
    (lambda: viz.save(None, "a.gif"), "a.gif: a figure's name ends in .png, .svg or .pdf"),
])
def test_what_does_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make, message", [
    (lambda: viz.filters(nn.Conv2d(1, 2, 3)), r"filters: expected weights .*, got Conv2d; its weights are .weight.numpy\(\)"),
    (lambda: viz.save(3, "a.png"), r"viz: expected a figure, as viz.loss_curves\(...\) and the others give it, got int"),
    (lambda: viz.to_png(None), "viz: expected a figure, .* got NoneType"),
    (lambda: viz.network("njoku.cnn", (48, 48, 1)), "network: expected a Module, got str; models.build makes one of a name"),
])
def test_what_is_of_another_kind(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("name, make", [
    ("accuracy_curves", lambda: viz.accuracy_curves([20, 60, 90])),
    ("accuracy_curves", lambda: viz.accuracy_curves([0.2, 0.6], [20, 60])),
    ("accuracy_curves: chance", lambda: viz.accuracy_curves([0.2], chance=14.3)),
    ("run_curves: val_accuracy of a", lambda: viz.run_curves({"a": {**RUN, "val_accuracy": [30, 40, 50]}})),
    ("run_curves: chance", lambda: viz.run_curves({"a": RUN}, chance=14.3)),
    ("per_class_accuracy", lambda: viz.per_class_accuracy([50, np.nan], ["sad", "happy"])),
    ("class_table", lambda: viz.class_table({"a": [50, 90]}, ["sad", "happy"])),
    ("group_accuracy", lambda: viz.group_accuracy({"KA": 50, "KL": 90}, 1 / 7)),
    ("group_accuracy", lambda: viz.group_accuracy({"KA": 0.5}, 14.3)),
    ("timeline", lambda: viz.timeline([(0, 3), (1, 4)], [[20, 80], [np.nan] * 2], ["sad", "happy"])),
    ("search_results", lambda: viz.search_results([{**TRIED[0], "accuracy": 50}, {**TRIED[1], "accuracy": None}], ["lr"])),
    ("faces_in_photo", lambda: viz.faces_in_photo(IMAGES[0].repeat(3, 2), [(5, 5, 4, 0)], [[20, 80]], ["sad", "happy"])),
    ("samples", lambda: viz.samples(IMAGES, [[-3.0, 2.5]] * 3, None, ["sad", "happy"])),
])
def test_per_cent_and_logits_are_no_shares(name, make):
    with pytest.raises(ValueError, match=f"^{name}: expected shares from 0 to 1, got numbers from .* divide per cent by 100"):
        make()


DRAWN = {
    "samples": lambda images: viz.samples(images, [[1.0, 0.0]] * 3, None, ["sad", "happy"]),
    "saliency": lambda images: viz.saliency(images, MAPS, CAPTIONS),
    "grad_cam": lambda images: viz.grad_cam(images, MAPS, CAPTIONS),
    "dreams": lambda images: viz.dreams(IMAGES, images, CAPTIONS),
    "contact_sheet": lambda images: viz.contact_sheet(images, [0, 0, 1], ["sad", "happy"]),
    "reconstructions": lambda images: viz.reconstructions(images, images, images),
}


@pytest.mark.parametrize("name", DRAWN)
def test_floats_in_0_to_1_look_as_uint8_does_and_others_are_refused(name):
    place = -1 if name in ("dreams", "reconstructions") else 0
    floats = (IMAGES / 255 * 1.0008 - 0.0004).astype(np.float32)                # a little beyond, by rounding, is 0 or 1
    drawn = [DRAWN[name](images).axes[place].images[0] for images in (IMAGES, floats)]
    shown = [np.asarray(image.get_array()) / image.get_clim()[1] for image in drawn]
    assert shown[0].std() > 0.1
    np.testing.assert_allclose(*shown, atol=0.003)
    if name != "reconstructions":                   # which also has features of voices for images, drawn in their own range
        with pytest.raises(ValueError, match=f"{name}: expected images of uint8, or floats in 0 … 1, got float32 from .*by 255"):
            DRAWN[name](IMAGES.astype(np.float32))


def test_images_less_their_mean_are_drawn_beside_their_reconstruction():
    figure = viz.reconstructions(IMAGES / 255 - 0.5, IMAGES / 255, IMAGES / 255)
    drawn = np.stack([axes.images[0].get_array() for axes in figure.axes[:len(IMAGES)]])
    assert drawn.min() == 0 and drawn.max() == 1


@pytest.mark.parametrize("suffix, start", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_saved_files_are_the_same_each_time(tmp_path, suffix, start):
    paths = [tmp_path / f"{n}.{suffix}" for n in range(2)]
    for path in paths:
        viz.save(FIGURES["times"](), path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second and first.startswith(start)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("draw", [
    lambda bad: viz.saliency(np.zeros((1, 4, 4, 1)), bad[None, ..., 0], ["sad"]).axes[1],
    lambda bad: viz.grad_cam(np.zeros((1, 4, 4, 1)), bad[None, ..., 0], ["sad"]).axes[1],
    lambda bad: viz.activation_maps({"1": {"epoch 1": bad}}).axes[0],
    lambda bad: viz.filters(bad[:, :, :, None]).axes[0]])
def test_the_scale_is_of_what_is_finite(draw):
    bad = np.full((4, 4, 1), 0.25)
    bad[1, 2] = np.nan
    assert draw(bad).images[-1].get_clim()[1] == 0.25


def test_many_images_begin_a_new_row():
    figure = viz.saliency(np.zeros((10, 4, 4, 1)), np.ones((10, 4, 4)), [f"number {n}" for n in range(10)])
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown if axes.get_title()] == [f"number {n}" for n in range(10)]
    assert len(shown) == 20 and all(axes.images for axes in shown)
    assert [axes.get_ylabel() for axes in shown if axes.get_ylabel()] == ["image", "saliency"] * 2


def test_long_names_of_classes_are_shortened():
    figure = viz.samples(np.zeros((1, 4, 4, 1)), [[0.5, 0.5]], [0], ["sadly disgusted and angry", "happy"])
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["sadly disgust…", "happy"]


def test_losses_below_0_and_that_do_not_change_are_seen():
    for loss in ([-0.5, -1.5], [0.69, 0.69]):
        low, high = viz.run_curves({"mine": {"loss": loss}}).axes[0].get_ylim()
        assert low < high and low <= min(loss) * 1.05 and high > max(loss) and (low, high) != tuple(loss)


def test_of_several_rows_alike_the_best_is_drawn():
    rows = [{"lr": lr, "hidden": 8, "dropout": dropout, "accuracy": accuracy, "spread": 0}
            for lr in (0.1, 0.2) for dropout, accuracy in ((0, 0.9), (1, 0.4), (2, None))]
    assert [text.get_text() for text in viz.search_results(rows, ["lr", "hidden"]).axes[0].texts] == ["90.0", "90.0"]


def test_chance_is_drawn_in_per_cent_and_a_long_timeline_in_minutes():
    assert viz.accuracy_curves([0.2], chance=0.25).axes[0].get_lines()[-1].get_ydata()[0] == 25
    for end, shown, unit in ((600, 600, "s"), (1200, 20, "min")):
        axes = viz.timeline([(0, end / 2), (end / 2, end)], [[1, 0], [0, 1]], ["a", "b"]).axes[0]
        assert axes.get_xlim() == pytest.approx((0, shown)) and f"({unit})" in axes.get_xlabel()


def test_channels_are_drawn_that_differ_from_image_to_image(rng):
    """Not those with more in them that show the same in each image."""
    targets = np.tile(10 * rng.random((1, 6, 6, CHANNELS + 1)), (4, 1, 1, 1))
    targets[..., -1] = np.arange(4)[:, None, None] / 10
    assert CHANNELS in _liveliest(targets)
