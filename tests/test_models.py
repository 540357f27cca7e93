"""The papers' models: their tables, number by number, where their loss starts, that they can learn."""
import dataclasses
import math

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, data, features, models, nn, no_grad, ops, optim
from nanoemo.models.alizadeh import ConvSpec, DenseSpec, family
from nanoemo.summary import summarize

PAPER_TABLES = {     # output shape and parameters of each row
    "njoku.cnn": (2_489_095, [
        ((48, 48, 32), 320), ((46, 46, 64), 18_496), ((23, 23, 64), 0), ((23, 23, 64), 0),
        ((21, 21, 128), 73_856), ((10, 10, 128), 0), ((10, 10, 128), 0),
        ((8, 8, 256), 295_168), ((4, 4, 256), 0), ((4, 4, 256), 0),
        ((4096,), 0), ((512,), 2_097_664), ((512,), 0), ((7,), 3_591)]),
    "chater.dcnn": (1_274_887, [
        ((46, 46, 32), 320), ((23, 23, 32), 0), ((21, 21, 64), 18_496), ((10, 10, 64), 0),
        ((8, 8, 128), 73_856), ((4, 4, 128), 0), ((2048,), 0),
        ((512,), 1_049_088), ((512,), 0), ((256,), 131_328), ((256,), 0), ((7,), 1_799)]),
    "chater.conv1d": (557_255, [
        ((162, 256), 1_536), ((81, 256), 0), ((81, 256), 327_936), ((41, 256), 0),
        ((41, 128), 163_968), ((21, 128), 0), ((21, 128), 0), ((21, 64), 41_024), ((11, 64), 0),
        ((704,), 0), ((32,), 22_560), ((32,), 0), ((7,), 231)]),
    "chater.lstm": (1_368_071, [
        ((162, 256), 264_192), ((162, 256), 0), ((162, 256), 525_312), ((162, 256), 0),
        ((162, 128), 197_120), ((162, 128), 0), ((162, 64), 49_408), ((162, 64), 0),
        ((10_368,), 0), ((32,), 331_808), ((32,), 0), ((7,), 231)]),
}

# The same architecture without dropout, on inputs that are small enough for a test of a second or two.
SMALL = {
    "njoku.cnn": (28, 28, 1),
    "chater.dcnn": (32, 32, 1),
    "chater.conv1d": (40, 1),
    "chater.lstm": (12, 1),
    "alizadeh.shallow": (8, 8, 1),
    "alizadeh.deep": (16, 16, 1),
    "alizadeh.conv5": (16, 16, 1),
    "alizadeh.conv6": (16, 16, 1),
    "marrugat.model1": (8, 8, 1),
    "marrugat.model2": (8, 8, 1),
    "marrugat.model3": (8, 8, 1),
    "marrugat.model4": (8, 8, 1),
}


def examples(recipe, count, shape=None):
    """Noise in the range of the recipe's inputs, with labels in turn."""
    rng = np.random.default_rng(0)
    x = rng.random((count, *(shape or recipe.input_shape)), dtype=np.float32)
    return x - x.mean(axis=0) if recipe.subtract_mean else x, np.arange(count) % recipe.num_classes


def test_every_model_is_tested_here_or_in_a_file_of_its_own():
    elsewhere = {name for name in models.names() if name.startswith(("series.", "alizadeh.hybrid_"))}
    assert {*SMALL, *elsewhere} == {*models.names()}


@pytest.mark.parametrize("name", PAPER_TABLES)
def test_the_table_is_the_papers(name):
    total, rows = PAPER_TABLES[name]
    table = summarize(models.build(name), models.recipe(name).input_shape)
    assert [(row.output_shape, row.params) for row in table.rows] == rows
    assert (table.total, table.trainable) == (total, total)


def kinds(model):
    return [type(layer).__name__ for layer in model]


def shapes(model, kind):
    return [layer.weight.shape for layer in model if isinstance(layer, kind)]


@pytest.mark.parametrize("name, filters, dense, flat", [
    ("marrugat.model1", [32, 64], 1024, 12 * 12 * 64), ("marrugat.model2", [64, 64], 1024, 12 * 12 * 64),
    ("marrugat.model3", [64, 128], 2048, 12 * 12 * 128),
    ("marrugat.model4", [32, 64, 128, 256], 1024, 12 * 12 * 256)])
def test_marrugat_has_the_filters_of_the_text(name, filters, dense, flat):
    model = models.build(name)
    assert shapes(model, nn.Conv2d) == [(5, 5, *channels) for channels in zip([1, *filters], filters)]
    assert shapes(model, nn.Linear) == [(flat, dense), (dense, 7)]
    assert [layer.p for layer in model if isinstance(layer, nn.Dropout)] == [0.4]


def test_alizadeh_shallow_is_the_text():
    conv = ["Conv2d", "BatchNorm2d", "ReLU", "Dropout"]
    model = models.build("alizadeh.shallow")
    assert kinds(model) == conv + conv + ["MaxPool2d", "Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert shapes(model, nn.Linear) == [(24 * 24 * 64, 512), (512, 7)]


def test_alizadeh_deep_is_the_text():
    conv = ["Conv2d", "BatchNorm2d", "ReLU", "Dropout", "MaxPool2d"]
    dense = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    model = models.build("alizadeh.deep")
    assert kinds(model) == conv * 4 + ["Flatten"] + dense * 2 + ["Linear"]
    assert shapes(model, nn.Conv2d) == [(3, 3, 1, 64), (5, 5, 64, 128), (3, 3, 128, 512), (3, 3, 512, 512)]


@pytest.mark.parametrize("name, more", [("alizadeh.deep", 0), ("alizadeh.conv5", 1), ("alizadeh.conv6", 2)])
def test_alizadeh_deep_and_its_longer_variants_layer_by_layer(name, more):
    """(shape, numbers) of all that has numbers: weights and biases, and batch norm's four a channel."""
    table = summarize(models.build(name), (48, 48, 1))
    convolutions = [((48, 48, 64), 640), ((48, 48, 64), 256), ((24, 24, 128), 204_928), ((24, 24, 128), 512),
                    ((12, 12, 512), 590_336), ((12, 12, 512), 2_048), ((6, 6, 512), 2_359_808), ((6, 6, 512), 2_048)]
    fifth = [((3, 3, 512), 2_359_808), ((3, 3, 512), 2_048)]
    dense = [((256,), 1_179_904), ((256,), 1_024), ((512,), 131_584), ((512,), 2_048), ((7,), 3_591)]
    rows = convolutions + fifth * more + dense
    assert [(row.output_shape, row.params) for row in table.rows if row.params] == rows
    assert table.total == sum(params for _, params in rows)


def test_the_alizadeh_family_takes_every_choice_of_the_paper():
    model = family([ConvSpec(4, kernel_size=5, stride=2, padding=1, batch_norm=False, dropout=0, pool=3)],
                   [DenseSpec(6, batch_norm=False, dropout=0)], num_classes=3, input_shape=(33, 33, 2))
    assert kinds(model) == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"]
    assert model(Tensor(np.zeros((2, 33, 33, 2), np.float32))).shape == (2, 3)
    assert kinds(family([], [], input_shape=(4, 4, 1))) == ["Flatten", "Linear"]


def test_the_alizadeh_family_says_what_it_wants():
    with pytest.raises(TypeError, match="convs: expected a ConvSpec for each layer, got 32"):
        family([32, 64], [DenseSpec(512)])
    with pytest.raises(TypeError, match="denses: expected a DenseSpec for each layer, got 512"):
        family([ConvSpec(8)], [512])
    with pytest.raises(ValueError, match=r"hidden is 8; expected the units of each dense layer, as \(256, 512\)"):
        models.build("alizadeh.deep", hidden=8)


@pytest.mark.parametrize("convs, denses", [([ConvSpec(32, pool=0)], []), ([ConvSpec(8)], [DenseSpec(2048, batch_norm=False)])])
def test_the_alizadeh_family_begins_near_ln_7_whatever_its_layers(convs, denses):
    nanoemo.manual_seed(0)
    faces = nanoemo.data.drawn_faces(28)
    images = faces.images / np.float32(255)
    with no_grad():
        loss = ops.cross_entropy(family(convs, denses)(Tensor(images - images.mean(0))), faces.labels).item()
    assert abs(loss - math.log(7)) < 0.15


@pytest.mark.parametrize("name", SMALL)
def test_the_initial_loss_is_near_ln_7(name):
    recipe = models.recipe(name)
    nanoemo.manual_seed(0)
    model = models.build(name)
    for _, module in model.named_modules():
        module.train(not isinstance(module, nn.Dropout))      # which numbers a mask drops is not the question
    x, y = examples(recipe, 14)
    with no_grad():
        loss = ops.cross_entropy(model(Tensor(x)), y).item()
    assert abs(loss - math.log(7)) < 0.15


@pytest.mark.parametrize("name", SMALL)
def test_twenty_examples_are_learnt_by_heart(name):
    shape = SMALL[name]
    nanoemo.manual_seed(0)
    model = without_dropout(models.build(name, input_shape=shape))
    x, y = examples(models.recipe(name), 20, shape)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    for step in range(150):
        logits = model(Tensor(x))
        if (logits.numpy().argmax(axis=1) == y).all():
            return
        optimizer.zero_grad()
        ops.cross_entropy(logits, y).backward()
        optimizer.step()
    pytest.fail("not learnt in 150 steps")


def without_dropout(model):
    return nn.Sequential(*[layer for layer in model if not isinstance(layer, nn.Dropout)])


@pytest.mark.parametrize("name", SMALL)
def test_recipes_can_be_used_as_they_are(name):
    recipe = models.recipe(name)
    assert recipe.optimizer in optim.optimizer.BY_NAME
    assert recipe.num_classes == 7 and recipe.epochs >= 1 and recipe.batch_size >= 1 and recipe.lr > 0
    (data.parse_changes if recipe.features in features.OF_CLIPS else data.parse_augment)(recipe.augment)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.lr = 1


@pytest.mark.parametrize("call, message", [
    (lambda: models.build("njoku.cn"), "there is no model called 'njoku.cn'; did you mean njoku.cnn?"),
    (lambda: models.recipe("resnet"), "there is no model called 'resnet'; there are alizadeh.shallow"),
    (lambda: models.build("chater.dcnn", droput=0.1), r"no option droput; did you mean dropout\? Its options are dropout"),
    (lambda: models.build("njoku.cnn", input_shape=(48, 48)), r"input_shape must have 3 axes"),
    (lambda: models.build("njoku.cnn", input_shape=(9, 9, 1)), "cannot be built for input_shape"),
    (lambda: models.build("njoku.cnn", dropout="high"), "njoku.cnn cannot be built for .*: Dropout: p must be .*, got 'high'"),
    (lambda: models.build("alizadeh.shallow", hidden="many"), "alizadeh.shallow cannot be built for .*hidden='many'"),
    (lambda: models.build("njoku.cnn", num_classes=0), "njoku.cnn cannot be built for .*out_features"),
])
def test_what_cannot_be_built_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("shape", [48, "48x48x1"])
def test_a_model_is_built_for_a_shape(shape):
    with pytest.raises(TypeError, match=rf"input_shape: expected the shape of one example, .*, got {shape!r}"):
        models.build("njoku.cnn", input_shape=shape)


def test_where_a_builder_went_wrong_is_not_hidden():
    with pytest.raises(ValueError, match="cannot be built for") as caught:
        models.build("njoku.cnn", dropout="high")
    assert "Dropout: p must be" in str(caught.value.__cause__)


# ---- the summary table ----------------------------------------------------------------------------------

def test_summary_prints_the_table(capsys):
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1))
    nanoemo.summary(model, (5, 5, 1))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Layer", "(type)", "Output", "Shape", "Param", "#"]
    assert lines[3].split() == ["1", "(BatchNorm2d,", "ReLU)", "(None,", "3,", "3,", "8)", "32"]
    assert lines[-3:] == ["Total params: 112", "Trainable params: 96", "Non-trainable params: 16"]


def test_summary_counts_frozen_parameters_as_not_trainable():
    model = nn.Sequential(nn.Linear(4, 3).freeze(), nn.Linear(3, 2))
    table = summarize(model, (4,))
    assert (table.total, table.trainable) == (23, 8)


def test_summary_of_a_layer_used_twice_counts_it_once():
    shared = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())
    table = summarize(nn.Sequential(shared, shared), (4,))
    assert table.total == 36 and [row.params for row in table.rows] == [20, 16, 0, 0]


def test_summary_of_one_layer_and_of_a_module_with_its_own_parameters():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.ones(1, np.float32))
            self.inner = nn.Linear(2, 3)

        def forward(self, x):
            return self.inner(x).relu() * self.scale

    assert [row.label for row in summarize(nn.Linear(2, 3), (2,)).rows] == ["(Linear)"]
    rows = summarize(Scaled(), (2,)).rows
    assert [(row.label, row.params) for row in rows] == [("inner (Linear)", 9), ("(Scaled)", 1)]


def test_summary_disturbs_nothing():
    model = models.build("alizadeh.deep", input_shape=(16, 16, 1))
    before, random_state = model.state_dict(), nanoemo.random.get_state()
    summarize(model, (16, 16, 1))
    assert nanoemo.random.get_state() == random_state and all(m.training for _, m in model.named_modules())
    assert all((array == before[name]).all() for name, array in model.state_dict().items())
