"""Feature-level fusion: what features are, and the layer that is trained on pairs of them."""
from types import SimpleNamespace

import numpy as np
import pytest

from nanoemo import Tensor, data, models, nn
from nanoemo.data import drawn_faces
from nanoemo.nn import shapes_of_inputs
from nanoemo.training import fusion, joint
from nanoemo.training.ensemble import Member

CLASSIFIERS = [name for name in models.names() if models.recipe(name).num_classes]
AUTO_ENCODERS = [name for name in models.names() if name not in CLASSIFIERS]


def examples(name, rng):
    shapes = shapes_of_inputs(models.recipe(name).input_shape)
    return [Tensor(rng.normal(size=(2, *shape)).astype(np.float32)) for shape in shapes]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_last_layer_makes_the_scores_of_the_features(name, rng):
    model, inputs = models.build(name), examples(name, rng)
    paths = [path for path, _ in model.named_modules()]
    body, last = joint.without_last(model)
    with nn.undisturbed(model):
        found, scores = body(*inputs).numpy(), model(*inputs).numpy()
    assert found.shape == (2, last.weight.shape[0]) and last.weight.shape[1] == scores.shape[1]
    np.testing.assert_allclose(found @ last.weight.numpy() + last.bias.numpy(), scores, rtol=1e-4, atol=1e-5)
    assert [path for path, _ in model.named_modules()] == paths         # the model itself keeps its last layer


@pytest.mark.parametrize("name", AUTO_ENCODERS)
def test_a_model_without_a_dense_layer_at_its_end_is_refused(name):
    member = Member("runs/ae", SimpleNamespace(model=models.build(name), settings=SimpleNamespace(model=name)))
    with pytest.raises(ValueError, match=f"runs/ae: {name} has no features to fuse: its last layer is (Reshape|Sigmoid)"):
        joint.ask(member, "test", ("happy", "sad"))


def tiny(path, images, device):
    """A member that was trained on nothing: its network has five features."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 7)).to(device)
    settings = SimpleNamespace(model="tiny", device=device)
    return Member(path, SimpleNamespace(
        model=model, settings=settings, classes=images.class_names, judged_classes=images.class_names,
        splits=dict.fromkeys(("train", "validation", "test"), images),
        loader=lambda split: data.DataLoader(images, 8, transform=data.Scale())))


def test_features_and_answers_are_of_the_same_pairs(device):
    face, voice = (tiny(name, drawn_faces(30, seed=seed), device) for seed, name in enumerate(("face", "voice")))
    answers, found = (fusion.pairs_of(senses, "test", seed=3) for senses in joint.senses(face, voice))
    classes = fusion.common_of(face, voice)
    assert found.face.dtype == np.float32 and found.face.shape == (len(answers.truth), 5)
    assert (found.truth == answers.truth).all() and len(classes) == 7
    for member, features, rows in zip((face, voice), found, answers):
        last = member.experiment.model[-1].to("cpu")
        odds = np.exp(features @ last.weight.numpy() + last.bias.numpy())
        expected = fusion.on_common(odds / odds.sum(axis=1, keepdims=True), member.experiment.classes, classes)
        np.testing.assert_allclose(rows, expected, rtol=1e-4)


def test_the_same_seed_gives_the_same_bits(device):
    face, voice = (tiny(name, drawn_faces(30, seed=seed), device) for seed, name in enumerate(("face", "voice")))
    (_, features), (_, afresh) = joint.senses(face, voice), joint.senses(face, voice)
    (one, answer), (again, same) = joint.judge(features, 7, 1), joint.judge(afresh, 7, 1)
    assert (one.weight == again.weight).all() and one.epoch == again.epoch and answer.loss == same.loss
    other, _ = joint.judge(features, 7, 2)
    assert not np.array_equal(one.weight, other.weight)
    assert np.isfinite(answer.loss) and one.weight.shape == (10, 7)


# ---- the layer


def half(rng, labels, told, noise=0.3):
    """Features of one sense that tell apart only the groups of classes that `told` makes of them, and one number of chance."""
    rows = np.stack([told(labels), rng.normal(size=len(labels))], axis=1) + rng.normal(0, noise, (len(labels), 2))
    return fusion.Sense(rows.astype(np.float32), labels)


def four_classes(rng, count, shift=0.0):
    """Faces that tell {0, 1} from {2, 3}, voices that tell {0, 2} from {1, 3}; neither tells a class."""
    labels = np.tile(np.arange(4), count // 4)
    faces, voices = half(rng, labels, lambda label: label // 2), half(rng, labels, lambda label: label % 2)
    return faces._replace(rows=faces.rows + np.float32(shift)), voices


def accuracy(layer, pairs):
    return (layer(pairs).argmax(axis=1) == pairs.truth).mean()


def test_only_both_together_tell_the_classes_apart(rng):
    faces, voices = four_classes(rng, 400)
    validation, test = (fusion.pair(*four_classes(rng, 400), rng) for _ in range(2))
    both = joint.learn(faces, voices, validation, 4, np.random.default_rng(0))
    assert accuracy(both, test) > 0.85
    for blind in ({"voice": np.zeros_like(test.voice)}, {"face": np.zeros_like(test.face)}):     # one sense: one bit of two
        assert accuracy(both, test._replace(**blind)) < 0.6
    np.testing.assert_allclose(both(test).sum(axis=1), 1, rtol=1e-5)


def test_it_is_fitted_on_the_training_pairs_alone(rng):
    """Whatever the validation pairs hold, mean and spread are those of the training pairs."""
    faces, voices = four_classes(rng, 80)
    near, far = (fusion.pair(*four_classes(rng, 80, shift), rng) for shift in (0, 50))
    one, other = (joint.learn(faces, voices, pairs, 4, np.random.default_rng(0)) for pairs in (near, far))
    rows = np.concatenate([faces.rows, voices.rows], axis=1)        # each class has as many faces as voices: all are drawn
    for layer in (one, other):
        np.testing.assert_allclose(layer.standardise.mean, rows.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(layer.standardise.std, rows.std(axis=0), rtol=1e-5)


def test_the_validation_pairs_choose_the_epoch(rng):
    faces, voices = four_classes(rng, 80)
    honest = fusion.pair(*four_classes(rng, 80), rng)
    wrong = honest._replace(truth=(honest.truth + 1) % 4)
    layers = [joint.learn(faces, voices, pairs, 4, np.random.default_rng(0), epochs=40) for pairs in (honest, wrong)]
    assert layers[0].epoch > 20 and layers[1].epoch < 5
    shorter = joint.learn(faces, voices, wrong, 4, np.random.default_rng(0), epochs=layers[1].epoch)
    assert (shorter.weight == layers[1].weight).all() and shorter.epoch == layers[1].epoch      # as it was after that epoch


def test_classes_of_one_sense_only_are_left_out(rng):
    faces, voices = four_classes(rng, 80)
    faces = faces._replace(labels=np.where(faces.labels == 3, -1, faces.labels))
    layer = joint.learn(faces, voices, fusion.pair(*four_classes(rng, 80), rng), 4, rng)
    assert layer.drawn == 60
    with pytest.raises(ValueError, match="no class has both a face and a voice"):
        joint.learn(faces._replace(labels=np.full(80, -1)), voices, None, 4, rng)


def test_features_that_are_no_numbers_are_an_error(rng):
    labels = np.tile([0, 1], 10)
    good, bad = fusion.Sense(rng.normal(size=(20, 2)), labels), fusion.Sense(np.full((20, 2), np.nan), labels)
    with pytest.raises(ValueError, match="features that are no numbers"):
        joint.learn(good, bad, fusion.pair(good, bad, rng), 2, rng, epochs=2)
