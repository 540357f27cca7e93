"""The series paper's models: layers and parameters of each, where they start, that they learn, parts and all."""
import math
import re
from pathlib import Path

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, data, models, nn, no_grad, ops, optim
from nanoemo.models import series
from nanoemo.summary import summarize

EXTRACTOR1 = [((48, 48, 16), 160), ((24, 24, 16), 0), ((24, 24, 8), 1_160), ((12, 12, 8), 0), ((12, 12, 8), 584),
              ((6, 6, 8), 0)]
EXTRACTOR2 = [((48, 48, 8), 1_360), ((48, 48, 8), 10_824), ((24, 48, 8), 0), ((24, 48, 8), 10_824),
              ((24, 48, 8), 584), ((12, 48, 8), 0)]
DENSE_ENCODER = [((256,), 131_328), ((256,), 0), ((128,), 32_896), ((128,), 0), ((64,), 8_256), ((64,), 0),
                 ((32,), 2_080), ((32,), 0), ((16,), 528)]         # behind the first layer, which has 512 units
PERCEPTRON = [((126,), 32_382), ((126,), 0), ((8,), 1_016)]        # behind the first layer, which has 256 units

TABLES = {      # output shape and parameters of each row
    "series.cnn1": (109_286, [*EXTRACTOR1, ((288,), 0), ((256,), 73_984), *PERCEPTRON]),
    "series.cnn2": (319_088, [*EXTRACTOR2, ((4608,), 0), ((64,), 294_976), ((64,), 0), ((8,), 520)]),
    "series.dense_ae": (2_712_784, [
        ((2304,), 0), ((512,), 1_180_160), ((512,), 0), *DENSE_ENCODER,
        ((32,), 544), ((32,), 0), ((64,), 2_112), ((64,), 0), ((128,), 8_320), ((128,), 0), ((256,), 33_024),
        ((256,), 0), ((512,), 131_584), ((2304,), 1_181_952), ((48, 48, 1), 0)]),
    "series.conv_ae": (4_385, [
        *EXTRACTOR1, ((6, 6, 8), 584), ((12, 12, 8), 0), ((12, 12, 8), 584), ((24, 24, 8), 0),
        ((24, 24, 16), 1_168), ((48, 48, 16), 0), ((48, 48, 1), 145)]),
    "series.architecture1": (2_596_238, [
        *EXTRACTOR2, ((4608,), 0), ((512,), 2_359_808), ((512,), 0), *DENSE_ENCODER,
        ((16,), 0), ((256,), 4_352), *PERCEPTRON]),
    "series.architecture2": (84_734, [
        *EXTRACTOR2, ((12, 48, 16), 1_168), ((6, 24, 16), 0), ((6, 24, 8), 1_160), ((3, 12, 8), 0),
        ((3, 12, 8), 584), ((2, 6, 8), 0), ((96,), 0), ((256,), 24_832), *PERCEPTRON]),
    "series.speech": (5_479_822, [
        ((128, 40, 8), 1_360), ((128, 40, 8), 10_824), ((64, 40, 8), 0), ((64, 40, 8), 10_824), ((64, 40, 8), 584),
        ((32, 40, 8), 0), ((10_240,), 0), ((512,), 5_243_392), ((512,), 0), *DENSE_ENCODER,
        ((16,), 0), ((256,), 4_352), *PERCEPTRON]),
}
AUTO_ENCODERS = ["series.dense_ae", "series.conv_ae"]
CLASSIFIERS = [name for name in TABLES if name not in AUTO_ENCODERS]


def test_every_model_of_the_paper_is_tested_here():
    assert sorted(TABLES) == sorted(name for name in models.names() if name.startswith("series."))


@pytest.mark.parametrize("name", TABLES)
def test_the_table_layer_by_layer(name):
    total, rows = TABLES[name]
    table = summarize(models.build(name), models.recipe(name).input_shape)
    assert [(row.output_shape, row.params) for row in table.rows] == rows
    assert (table.total, table.trainable) == (total, total)


def test_the_page_says_what_the_models_are():
    folder = Path(__file__).parent.parent
    page = (folder / "docs" / "series.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(series\.\w+)` \|.*\| ([\d,]+) \| (.*) \|$", page, re.MULTILINE)
    of_page = {name: int(params.replace(",", "")) for name, params, _ in rows}
    assert of_page == {name: total for name, (total, _) in TABLES.items()}
    code = {name for *_, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert code and all(hasattr(series, name) for name in code)


def layers(module, kind):
    return [layer for _, layer in module.named_modules() if isinstance(layer, kind)]


def test_dropout_is_where_the_text_has_it():
    def rates(part):
        return [layer.p for layer in layers(part, nn.Dropout)]

    ae = models.build("series.dense_ae")
    assert (rates(ae.encoder), rates(ae.decoder)) == ([.1, .2, .3, .4, .5], [.4, .3, .2, .1])
    assert rates(models.build("series.cnn1")) == [.6] and rates(models.build("series.cnn2")) == [.2]
    assert rates(models.build("series.conv_ae")) == []
    assert rates(models.build("series.architecture2")) == [.6]


def test_windows_and_activations_are_the_texts():
    cnn2 = models.build("series.cnn2")
    assert [layer.weight.shape for layer in layers(cnn2, nn.Conv2d)] == [
        (13, 13, 1, 8), (13, 13, 8, 8), (13, 13, 8, 8), (3, 3, 8, 8)]
    assert [layer.kernel_size for layer in layers(cnn2, nn.MaxPool2d)] == [(2, 1), (2, 1)]
    for name in AUTO_ENCODERS:
        table = summarize(models.build(name), (48, 48, 1))
        assert [row.activation for row in table.rows if row.params] == \
            ["ReLU"] * (sum(row.params > 0 for row in table.rows) - 1) + ["Sigmoid"]


def faces(shape):
    """Twenty drawn faces, of `shape` by leaving out rows and columns."""
    images = data.drawn_faces(20)
    step = 48 // shape[0]
    return images.images[:, ::step, ::step].astype(np.float32) / 255, images.labels


def without_dropout(model):
    for layer in layers(model, nn.Dropout):
        layer.p = 0.0
    return model


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_start_at_ln_8_and_learn_twenty_faces_by_heart(name):
    shape = (16, 16, 1)
    nanoemo.manual_seed(0)
    model = without_dropout(models.build(name, input_shape=shape))
    x, y = faces(shape)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for step in range(150):
        logits = model(Tensor(x))
        loss = ops.cross_entropy(logits, y)
        if step == 0:
            assert abs(loss.item() - math.log(8)) < 0.1
        if (logits.numpy().argmax(axis=1) == y).all():
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail("not learnt in 150 steps")


@pytest.mark.parametrize("name", AUTO_ENCODERS)
def test_auto_encoders_start_knowing_nothing_and_learn_to_reconstruct(name):
    x, _ = faces((48, 48, 1))
    target = Tensor(x)
    nanoemo.manual_seed(0)
    model = without_dropout(models.build(name))
    optimizer = optim.Adam(model.parameters(), lr=2e-3)

    def error():
        with no_grad():
            return ops.mse_loss(model(target), target).item()

    # Before training every pixel is about sigmoid(0) = 0.5; what it has to beat is the mean picture of the faces.
    gray, mean_face = np.mean((x - 0.5) ** 2), np.mean((x - x.mean(axis=0)) ** 2)
    assert error() == pytest.approx(gray, rel=0.1)
    for _ in range(40):
        optimizer.zero_grad()
        ops.binary_cross_entropy(model(target), target).backward()
        optimizer.step()
    assert error() < mean_face


@pytest.mark.parametrize("name", AUTO_ENCODERS)
@pytest.mark.parametrize("shape", [(48, 48, 1), (12, 48, 8), (6, 6, 8), (7, 1, 3)])
def test_reconstructions_have_the_shape_of_the_input(rng, name, shape):
    model = models.build(name, input_shape=shape)
    y = model(Tensor(rng.random((2, *shape), dtype=np.float32)))
    assert y.shape == (2, *shape) and y.dtype == np.float32
    assert 0 < y.numpy().min() and y.numpy().max() < 1
    assert (len(layers(model, series.Crop)) == 1) == (name == "series.conv_ae" and shape != (48, 48, 1))


def test_parts_are_frozen_and_put_to_another_use(rng):
    """Steps 5 to 14 of section 4: the extractor of a trained CNN, the encoder of an auto-encoder behind it."""
    shape = (24, 24, 1)
    cnn = models.build("series.cnn1", input_shape=shape)
    features = nn.output_shape(cnn.extractor, shape)
    ae = models.build("series.conv_ae", input_shape=features)
    cascade = series.Parts(extractor=cnn.extractor.freeze(), autoencoder=ae)
    x = Tensor(rng.random((2, *shape), dtype=np.float32))
    ops.mse_loss(cascade(x), cnn.extractor(x)).backward()
    assert all(p.grad is None for p in cnn.extractor.parameters())
    assert all(p.grad is not None for p in ae.parameters())

    code = nn.output_shape(ae.encoder, features)
    final = series.Parts(extractor=series.Parts(extractor=cnn.extractor, encoder=ae.encoder).freeze(),
                         classifier=series.perceptron(code))
    ops.cross_entropy(final(x), np.array([0, 7])).backward()
    assert {name.split(".")[0] for name, p in final.named_parameters() if p.grad is not None} == {"classifier"}
    built = models.build("series.architecture2", input_shape=shape, cnn="cnn1")
    assert [p.shape for p in built.parameters()] == [p.shape for p in final.parameters()]


@pytest.mark.parametrize("call, message", [
    (lambda: models.build("series.architecture1", cnn="cnn3"), "cnn is 'cnn3'; expected one of cnn1, cnn2"),
    (lambda: models.build("series.conv_ae", num_classes=7), "is an auto-encoder and has no classes"),
    (lambda: models.build("series.cnn1", depth=2), "no option depth; it has none"),
])
def test_what_cannot_be_built_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_commands_know_them(capsys):
    from nanoemo.cli import main
    assert main(["models"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  series.conv_ae "))
    assert "auto-encoder" in line and "JAFFE" in line
    assert main(["summary", "series.conv_ae"]) == 0
    assert "Total params: 4,385" in capsys.readouterr().out
    assert main(["summary", "series.conv_ae", "--classes", "7"]) == 2
    assert "has no classes" in capsys.readouterr().err
