"""The alizadeh paper's hybrids: images and HOG features in, through the model, the trainer and the command."""
import json
import math

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, data, models, no_grad, ops, optim
from nanoemo.cli import main
from nanoemo.features import hog_features
from nanoemo.summary import summarize

pytestmark = pytest.mark.usefixtures("blank_pictures")

HYBRIDS = ["alizadeh.hybrid_shallow", "alizadeh.hybrid_deep"]
SMALL = ((16, 16, 1), (36,))


def rows(name):
    table = summarize(models.build(name), models.recipe(name).input_shape)
    return [(row.output_shape, row.params) for row in table.rows]


@pytest.mark.parametrize("name, last, first_dense", [
    ("alizadeh.hybrid_shallow", 24 * 24 * 64, 512), ("alizadeh.hybrid_deep", 3 * 3 * 512, 256)])
def test_the_table_is_that_of_the_network_without_hog_but_for_one_layer(name, last, first_dense):
    plain, hybrid = rows(name.replace("hybrid_", "")), rows(name)
    flat = plain.index(((last,), 0))
    assert plain[flat + 1] == ((first_dense,), (last + 1) * first_dense)
    plain[flat + 1] = ((first_dense,), (last + 900 + 1) * first_dense)
    assert hybrid == plain


def inputs():
    faces = data.drawn_faces(20)
    images = faces.images[:, ::3, ::3].astype(np.float32)
    return Tensor((images - images.mean(axis=0)) / 255), Tensor(hog_features(images)), faces.labels


@pytest.mark.parametrize("name", HYBRIDS)
def test_they_start_at_ln_7_and_learn_twenty_faces_by_heart(name):
    nanoemo.manual_seed(0)
    model = models.build(name, input_shape=SMALL, dropout=0, dense_dropout=0)
    images, features, labels = inputs()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for step in range(60):
        scores = model(images, features)
        loss = ops.cross_entropy(scores, labels)
        if step == 0:
            assert abs(loss.item() - math.log(7)) < 0.15
        if (scores.numpy().argmax(axis=1) == labels).all():
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail("not learnt in 60 steps")


@pytest.mark.parametrize("name", HYBRIDS)
def test_both_inputs_matter(name):
    model = models.build(name, input_shape=SMALL).eval()
    images, features, _ = inputs()
    with no_grad():
        scores = model(images, features).numpy()
        assert not np.allclose(scores, model(images * 0, features).numpy(), atol=1e-4)
        assert not np.allclose(scores, model(images, features * 0).numpy(), atol=1e-4)


@pytest.mark.parametrize("shape", [(48, 48, 1), ((48, 48), (900,)), ((48, 48, 1),)])
def test_shapes_of_another_kind_are_refused(shape):
    with pytest.raises(ValueError, match="input_shape must have 3 and 1 axes, like the paper's"):
        models.build(HYBRIDS[0], input_shape=shape)


def test_features_are_those_of_the_changed_image():
    faces = data.drawn_faces(8)
    flip = data.RandomHorizontalFlip(1)
    transform = data.Compose([flip, data.WithFeatures(hog_features, data.Scale())])
    images, features, labels = next(iter(data.DataLoader(faces, 8, transform=transform)))
    mirrored = flip(faces.images.astype(np.float32), np.random.default_rng(0))
    assert (images == mirrored / np.float32(255)).all() and (labels == faces.labels).all()
    assert (features == hog_features(mirrored)).all() and features.dtype == np.float32


def test_command_trains_goes_on_and_judges(tmp_path, capsys, monkeypatch):
    faces = data.drawn_faces(20)
    small = data.ImageSet(np.ascontiguousarray(faces.images[:, ::3, ::3]), faces.labels, faces.class_names, drawn=True)
    monkeypatch.setattr(data, "load", lambda *_, **__: {"train": small, "validation": small, "test": small})
    run = tmp_path / "run"
    begin = ["train", "alizadeh.hybrid_shallow", "--batch-size", "10", "--out", str(run), "--epochs"]
    assert main([*begin, "1"]) == 0
    assert "over-fitting 10 examples: 100 %" in capsys.readouterr().out
    assert json.loads((run / "config.json").read_text())["settings"]["features"] == "hog"
    assert f"{(8 * 8 * 64 + 36 + 1) * 512:,}" in (run / "summary.txt").read_text()
    assert main(["train", "--resume", str(run), "--epochs", "2"]) == 0
    assert [epoch["epoch"] for epoch in json.loads((run / "history.json").read_text())] == [1, 2]
    assert main(["evaluate", str(run)]) == 0


def test_commands_know_them(capsys):
    assert main(["models"]) == 0
    assert "48×48×1 + 900" in capsys.readouterr().out
    for name in HYBRIDS:
        assert main(["summary", name]) == 0
        assert f"{models.build(name).num_parameters():,}" in capsys.readouterr().out
