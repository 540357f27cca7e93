"""What learners type who come from PyTorch, or in haste: each mistake gets a sentence that says what was expected."""
import copy

import numpy as np
import pytest

from nanoemo import Tensor, data, interpret, nn, no_grad, ops, optim, viz
from nanoemo.data import DataLoader, ImageSet
from nanoemo.features import speech
from nanoemo.features.extraction import of_wave
from nanoemo.training import (Callback, EarlyStopping, Experiment, Settings, StagedExperiment, Trainer, class_weights, ensemble,
                              experiment_for, predict)

LOGITS, BATCH = Tensor(np.zeros((2, 3), np.float32)), np.zeros((4, 2, 2, 1), np.float32)


@pytest.fixture
def model():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture
def optimizer(model):
    return optim.SGD(model.parameters(), lr=1.0)


def images(count=4):
    return ImageSet(np.zeros((count, 2, 2, 1), np.uint8), np.arange(count) % 2, ("a", "b"))


# ---- tensors, layers and losses ---------------------------------------------------------------------------


@pytest.mark.parametrize("make, error, message", [
    (lambda: Tensor([1.0], "float64"), TypeError, "requires_grad must be True or False, got 'float64'; a dtype is named"),
    (lambda: nn.LSTM(10, 20, 2), TypeError, "LSTM: return_sequences must be True or False, got 2; for several layers"),
    (lambda: nn.CrossEntropyLoss(LOGITS, np.array([0, 1])), ValueError, r"got ndarray; .*Loss\(\)\(logits, labels\)"),
    (lambda: nn.CrossEntropyLoss(label_smoothing=5), ValueError, "label_smoothing must lie in 0 … 1, got 5"),
    (lambda: ops.cross_entropy(LOGITS, [0, 1], label_smoothing="0.1"), ValueError, "must lie in 0 … 1, got '0.1'"),
    (lambda: ops.cross_entropy(LOGITS, np.array([[1, 0, 0], [1, -0.5, 0.5]])), ValueError, "row 1 is a probability below 0: -0"),
    (lambda: nn.Linear(2, 2).load_state_dict("w.npz"), TypeError, r"got str; nanoemo.load_state\(path\) reads a file"),
    (lambda: nn.Linear(2, 2).load_state_dict(nn.Linear(2, 2)), TypeError, r"got Linear; state_dict\(\) gives one"),
    (lambda: nn.Linear(2, 2).load_state_dict(None), TypeError, "expected {name: array}, got NoneType"),
])
def test_tensors_layers_and_losses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_frozen_parameter_is_written_to_in_place():
    """A mean of weights over time, by hand."""
    model, average = nn.Linear(2, 2), None
    average = copy.deepcopy(model).freeze()
    before, place = average.weight.numpy().copy(), average.weight.array
    with no_grad():
        for mean, parameter in zip(average.parameters(), model.parameters()):
            mean *= 0.5
            mean += 0.25 * parameter
    assert average.weight.array is place
    np.testing.assert_allclose(average.weight.numpy(), 0.75 * before, rtol=1e-6)
    assert (average.weight + 1) is not average.weight and average.weight.array is place


def test_indices_belong_to_who_made_them():
    x, index = Tensor([1.0, 2.0, 3.0], requires_grad=True), [[0, 1], [1, 2]]
    y = x[index].sum()
    index[0][0] = 2
    y.backward()
    assert x.grad.numpy().tolist() == [1, 2, 1]


@pytest.mark.parametrize("index", [range(2), True, [range(2)], (range(1), ), np.True_])
def test_unusual_indices_with_a_gradient(index):
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    chosen = np.zeros(3)
    np.add.at(chosen, index, 1)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), x.numpy()[index])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), chosen)


# ---- optimisers, schedules, clipping ----------------------------------------------------------------------


@pytest.mark.parametrize("make, error, message", [
    (lambda o: optim.ExponentialLR(o, -0.5), ValueError, "ExponentialLR: gamma must be a finite number, at least 0, got -0.5"),
    (lambda o: optim.StepLR(o, 2, gamma=-1), ValueError, "StepLR: gamma"),
    (lambda o: optim.StepLR(o, 2.5), ValueError, "StepLR: step_size must be a whole number of epochs, got 2.5"),
    (lambda o: optim.StepLR(o, "10"), ValueError, "StepLR: step_size must be a whole number of epochs, got '10'"),
    (lambda o: optim.MultiStepLR(o, 5), TypeError, "MultiStepLR: milestones: expected a list of epochs, got 5"),
    (lambda o: optim.MultiStepLR(o, [1], float("nan")), ValueError, "MultiStepLR: gamma"),
    (lambda o: optim.CosineAnnealingLR(o, 10, min_lr=-1), ValueError, "CosineAnnealingLR: min_lr"),
    (lambda o: optim.LinearWarmup(o, 5, start=-1), ValueError, "LinearWarmup: start"),
    (lambda o: optim.ReduceLROnPlateau(o, "min"), ValueError, "factor must lie between 0 and 1, got 'min'"),
    (lambda o: optim.ReduceLROnPlateau(o, patience=-1), ValueError, "patience must be at least 0, got -1"),
    (lambda o: optim.ReduceLROnPlateau(o).step(None), TypeError, "needs the epoch's loss"),
    (lambda o: optim.StepLR(nn.Linear(1, 1), 2), TypeError, "StepLR: expected an optimizer, got Linear"),
    (lambda o: optim.StepLR(o, 1).load_state_dict("s.npz"), TypeError, "got str"),
    (lambda o: o.load_state_dict("o.npz"), TypeError, "got str; nanoemo.load_state"),
    (lambda o: o.load_state_dict({**o.state_dict(), "lr": -1.0}), ValueError, "lr: expected a finite number, at .* got -1.0"),
    (lambda o: o.load_state_dict({**o.state_dict(), "lr": np.nan}), ValueError, "lr: expected a finite number"),
    (lambda o: o.load_state_dict({**o.state_dict(), "weight_decay": np.nan}), ValueError, "weight_decay: expected a finite"),
    (lambda o: setattr(o, "lr", "a"), ValueError, "SGD: lr must be a finite number, at least 0, got 'a'"),
    (lambda o: setattr(o, "lr", None), ValueError, "SGD: lr must be a finite number, at least 0, got None"),
    (lambda o: optim.build(o.params, "adam"), TypeError, "expected a name, then the parameters; got list first"),
    (lambda o: optim.build(optim.Adam, o.params), TypeError, "got the class Adam"),
    (lambda o: optim.clip_grad_norm_(nn.Linear(1, 1), 1), TypeError, r"norm_: .* got Linear; pass model.parameters\(\)"),
    (lambda o: optim.clip_grad_norm_(nn.Linear(1, 1).parameters, 1), TypeError, "got method; pass model"),
    (lambda o: optim.clip_grad_norm_(o.params, "1"), ValueError, "max_norm must be a number of at least 0, got '1'"),
    (lambda o: optim.clip_grad_value_(o.params, None), ValueError, "max_value must be a number of at least 0, got None"),
    (lambda o: optim.clip_grad_value_(nn.Linear(1, 1), 1), TypeError, "clip_grad_value_: .* got Linear"),
])
def test_optimisers_schedules_and_clipping(optimizer, make, error, message):
    with pytest.raises(error, match=message):
        make(optimizer)
    assert optimizer.lr == 1.0


def test_a_gradient_that_is_listed_twice_is_clipped_once():
    parameter = nn.Parameter([3.0, 4.0])
    (parameter * parameter).sum().backward()
    assert optim.clip_grad_norm_([parameter, parameter], 1.0) == 10
    np.testing.assert_allclose(np.linalg.norm(parameter.grad.numpy()), 1, rtol=1e-6)


def test_a_plateau_is_not_deceived_by_nan(optimizer):
    schedule = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    for loss, rate in ((np.nan, 0.5), (1.0, 0.5), (0.9, 0.5), (np.nan, 0.25)):
        schedule.step(loss)
        assert optimizer.lr == rate


def test_a_plateau_never_raises_the_rate_and_knows_one_of_negative_losses(optimizer):
    schedule = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, min_lr=2.0)
    for _ in range(3):
        schedule.step(1.0)
    assert optimizer.lr == 1.0                                      # below min_lr to begin with
    schedule = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    for loss in (-1.0, -2.0, -2.0, -2.0):
        assert optimizer.lr == 1.0
        schedule.step(loss)
    assert optimizer.lr == 0.5


# ---- training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change, error, message", [
    ({"optimizer": "adam"}, TypeError, "expected an optimizer such as .*, got str"),
    ({"loss_fn": nn.CrossEntropyLoss}, TypeError, r"the class CrossEntropyLoss; write CrossEntropyLoss\(\.\.\.\)"),
    ({"loss_fn": "cross_entropy"}, TypeError, "expected a loss such as ops.cross_entropy, got str"),
    ({"train": [(BATCH, np.zeros(4, int))]}, TypeError, "Trainer: train: expected a loader, got list"),
    ({"validation": images()}, TypeError, "Trainer: validation: expected a loader, got ImageSet"),
    ({"schedule": "cosine"}, TypeError, "expected a schedule such as .* got str"),
    ({"schedule": optim.StepLR}, TypeError, "got the class StepLR"),
    ({"schedule": optim.StepLR(optim.SGD([nn.Parameter([1.0])], lr=1.0), 1)}, ValueError, "schedule is of another optimizer"),
    ({"callbacks": EarlyStopping(1)}, TypeError, "callbacks: expected a list, got EarlyStopping"),
    ({"callbacks": [Callback]}, TypeError, r"callbacks: .* nanoemo.training.Callback, got the class Callback; write Callback\("),
    ({"callbacks": [print]}, TypeError, "callbacks: expected objects of classes .* got builtin_function_or_method"),
    ({"model": lambda x: x}, TypeError, "Trainer: expected a Module, got function"),
    ({"model": "njoku.cnn"}, TypeError, "Trainer: expected a Module, got str; models.build makes one of a name"),
    ({"clip_norm": "a"}, ValueError, "Trainer: clip_norm must be a number of at least 0, got 'a'"),
    ({"clip_norm": -1}, ValueError, "Trainer: clip_norm must be a number of at least 0, got -1"),
])
def test_trainer(model, optimizer, change, error, message):
    given = {"model": model, "optimizer": optimizer, "loss_fn": ops.cross_entropy, "train": DataLoader(images(), 2)} | change
    with pytest.raises(error, match=message):
        Trainer(**given)


@pytest.mark.parametrize("make, message", [
    (lambda: predict("njoku.cnn", DataLoader(images(), 2)), "predict: expected a Module, got str; models.build makes"),
    (lambda: Experiment("njoku.cnn"), r"Experiment: expected Settings, got str; Settings.from_recipe\(...\) makes them"),
    (lambda: Experiment(Settings), r"got the class Settings; write Settings\(...\)"),
    (lambda: experiment_for("njoku.cnn"), "experiment_for: expected Settings, got str"),
    (lambda: StagedExperiment("series.architecture1"), "StagedExperiment: expected Settings, got str"),
    (lambda: class_weights(images(), "balanced"), r"images.counts\(\) gives them; got ImageSet, then str"),
    (lambda: class_weights("balanced", images()), "class_weights: expected a text such as 'balanced', .* got str, then ImageSet"),
])
def test_what_training_works_with(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_what_a_training_is_made_of_is_told_in_a_line(model, optimizer):
    loader = DataLoader(images(), 2, transform=data.Scale(), mix=data.MixUp(1))
    trainer = Trainer(model, optimizer, ops.cross_entropy, loader)
    trainer.fit(1)
    assert repr(loader) == ("DataLoader(ImageSet(4 images (2, 2, 1), 2 classes), batch_size=2, shuffle=False, seed=0, "
                            "drop_last=False, transform=Scale(), mix=MixUp(1), prefetch=1)")
    assert repr(optimizer) == "SGD(10 numbers in 2 parameters, lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)"
    assert repr(trainer) == f"Trainer(Sequential, {optimizer}, 1 epoch and 0 steps done)"
    after = optim.ExponentialLR(optimizer, 0.5)
    assert repr(optim.LinearWarmup(optimizer, 2, after=after)) == (
        "LinearWarmup(epochs=2, start=0.1, after=ExponentialLR(gamma=0.5, base_lr=1.0, epoch=0), base_lr=1.0, epoch=0)")
    assert repr(optim.ReduceLROnPlateau(optimizer)) == (
        "ReduceLROnPlateau(factor=0.1, patience=10, threshold=0.0001, min_lr=0.0, best=inf, bad_epochs=0)")


@pytest.mark.parametrize("epochs", ["3", 2.5, None])
def test_epochs_are_counted_in_whole_numbers(model, optimizer, epochs):
    trainer = Trainer(model, optimizer, ops.cross_entropy, DataLoader(images(), 2))
    with pytest.raises(ValueError, match="fit: epochs must be a whole number"):
        trainer.fit(epochs)
    assert trainer.epoch == 0


@pytest.mark.parametrize("labels", [np.array([[1], [1], [1], [1]]), np.array([1, 1]), np.zeros(4, np.float32), np.zeros((4, 3))])
def test_labels_that_do_not_fit_the_scores(model, labels):
    with pytest.raises(ValueError, match=r"do not fit the model's scores \(4, 2\); expected \(4,\) integers or \(4, 2\) prob"):
        predict(model, [(BATCH, labels)])


@pytest.mark.parametrize("what, name", [(images(), "ImageSet"), (BATCH, "ndarray"), (Tensor(BATCH), "Tensor")])
def test_what_is_no_loader(model, what, name):
    with pytest.raises(TypeError, match=f"predict: expected a loader, got {name}; .*DataLoader"):
        predict(model, what)


def test_members_are_stacked_in_any_precision(rng):
    members, truth = rng.random((2, 6, 3)), np.arange(6) % 3
    float32 = ensemble.stack(members.astype(np.float32), truth)(members.astype(np.float32))
    np.testing.assert_allclose(float32, ensemble.stack(members, truth)(members), atol=1e-5)


# ---- data, features, figures ------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [data.RandomHorizontalFlip(1.0), data.RandomVerticalFlip(1.0), data.RandomRotation(10),
                                       data.RandomContrast(0.1), data.RandomBrightness(0.1), data.RandomNoise(1), data.CutOut(1)],
                         ids=lambda transform: type(transform).__name__)
def test_transforms_are_of_batches(transform, rng):
    name = type(transform).__name__
    with pytest.raises(ValueError, match=rf"{name}: expected images .* got shape \(2, 3, 1\); images\[None\] makes a batch"):
        transform(np.zeros((2, 3, 1), np.float32), rng)
    with pytest.raises(ValueError, match=r"got shape \(6,\)$"):
        transform(np.zeros(6, np.float32), rng)


@pytest.mark.parametrize("make, error, message", [
    (lambda rng: data.RandomRotation(10)(np.zeros((1, 4, 4, 1), np.uint8), rng), TypeError, "images are uint8, but .*astype"),
    (lambda rng: DataLoader(images(), 2, transform=data.Scale), TypeError, r"DataLoader: transform: .* got the class Scale"),
    (lambda rng: DataLoader(images(), 2, transform="flip"), TypeError, r"called with \(images, rng\), .*got str"),
    (lambda rng: DataLoader(images(), 2, mix=data.MixUp), TypeError, r"mix: .* \(inputs, labels, rng\), such as .*MixUp\(0.2\);"),
    (lambda rng: DataLoader(images(), 2, mix=3), TypeError, "DataLoader: mix: expected what is called with .*; got int"),
    (lambda rng: data.Compose(data.Scale()), TypeError, "Compose: expected a list of transforms, got Scale"),
    (lambda rng: data.Compose("flip"), TypeError, "Compose: expected a list of transforms, got str"),
    (lambda rng: data.Compose([data.Scale]), TypeError, "Compose: expected what is called .* got the class Scale"),
    (lambda rng: data.Compose([data.RandomRotation(1)])(np.zeros((4, 4, 1), np.float32), rng), ValueError, "RandomRotation: exp"),
    (lambda rng: data.RandomRotation("a"), ValueError, "RandomRotation: degrees is 'a'; expected a number from 0 to 180"),
    (lambda rng: data.RandomNoise(None), ValueError, "RandomNoise: deviation is None; expected a number from 0 to 255"),
    (lambda rng: data.CutOut(np.ones(2)), ValueError, "CutOut: side is array"),
    (lambda rng: data.MixUp("0.2"), ValueError, "MixUp: alpha is '0.2'; expected a number from"),
    (lambda rng: data.SubtractMean.fit(BATCH), TypeError, r"fit: expected an ImageSet, got ndarray; .*mean\(axis=0\)\) takes"),
    (lambda rng: data.k_folds(images(), 2), TypeError, "k_folds: expected labels, .*, got ImageSet; its labels are .labels"),
    (lambda rng: data.k_folds(np.eye(4), 2), ValueError, r"k_folds: .* got float64 \(4, 4\); see argmax\(axis=1\)"),
    (lambda rng: data.k_folds(["sad", "happy"], 2), ValueError, "k_folds: expected labels, whole numbers .* got <U5"),
    (lambda rng: data.divide(images(), seed="a"), ValueError, "divide: seed is 'a'; expected a whole number of at least 0"),
    (lambda rng: data.drawn_voices(2, seed=1.5), ValueError, "drawn_voices: seed is 1.5; expected a whole number of at least 0"),
    (lambda rng: data.load(seed=-1), ValueError, "drawn-faces: seed is -1; expected a whole number of at least 0"),
    (lambda rng: data.combine([]), ValueError, "combine: there is no set to combine; expected ClipSets"),
    (lambda rng: images().subset(3), TypeError, r"subset: expected a list of numbers or a slice, got 3; \[3\] for one of them"),
    (lambda rng: viz.activation_maps({"1": np.zeros((2, 4, 4, 3))}), ValueError, "expected {layer: {moment: maps"),
    (lambda rng: viz.activation_maps({"1": {"a": BATCH[0]}, "2": {"b": BATCH[0]}}), ValueError, "the same moments of each layer"),
    (lambda rng: data.one_hot([-1], 3), ValueError, "one_hot: expected classes 0 … 2, got int64 from -1 to -1"),
    (lambda rng: data.one_hot([0, 3], 3), ValueError, "from 0 to 3"),
    (lambda rng: data.one_hot([0.0], 3), ValueError, "got float64"),
    (lambda rng: data.MixUp(1)((BATCH,), np.arange(4), rng), ValueError, r"only probabilities \(B, K\) can be .*one_hot"),
    (lambda rng: data.CutMix(1)((BATCH,), np.arange(4), rng), ValueError, "only probabilities"),
    (lambda rng: viz.contact_sheet(np.zeros((2, 4, 4, 1), np.uint8), [0, 7], ["a", "b"]), ValueError, "from 0 to 7, .* 2 c"),
])
def test_data_and_figures(make, error, message, rng):
    with pytest.raises(error, match=message):
        make(rng)


def test_a_wave_is_all_that_its_coefficients_are_made_of():
    with pytest.raises(ValueError, match="of_wave: kind is 'mfc'; expected one of vector162, mfcc, log_mel"):
        of_wave(np.zeros(22050, np.float32), "mfc")
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        speech.mfcc_frames(np.zeros(22050, np.float32), 16000)


@pytest.mark.parametrize("kind", ["vector162", "mfcc", "log_mel"])
@pytest.mark.parametrize("wave, error, message", [
    (np.zeros((22050, 2), np.float32), ValueError, r"one channel, \(samples,\), got shape \(22050, 2\); .mean\(axis=1\) mixes"),
    (np.zeros((2, 22050), np.float32), ValueError, r".mean\(axis=0\) mixes channels"),
    (np.zeros(22050, np.int16), TypeError, "a wave of floats from -1 to 1, got int16"),
])
def test_waves(kind, wave, error, message):
    with pytest.raises(error, match=message):
        of_wave(wave, kind)
    assert speech.one_channel(np.zeros(3)).shape == (3,)


@pytest.mark.parametrize("make, error, message", [
    (lambda net, x: interpret.grad_cam(net, x, [0, 1], 1), TypeError, "layer 1: expected its name, such as '1'"),
    (lambda net, x: interpret.outputs_of(net, x, [net[1]]), TypeError, "expected its name"),
    (lambda net, x: interpret.Goal(label="happy"), ValueError, "Goal: label must be a whole number, got 'happy'"),
    (lambda net, x: interpret.dream(net, x, 1), TypeError, r"dream: expected a Goal, such as Goal\(label=3\), got 1"),
    (lambda net, x: net.to("float64"), ValueError, "got 'float64'; for another dtype write .to.dtype='float64'"),
])
def test_names_of_layers_and_goals(make, error, message):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(error, match=message):
        make(net, np.zeros((2, 4, 4, 1), np.float32))


def test_layers_and_targets():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    x = np.random.default_rng(0).random((2, 4, 4, 1), dtype=np.float32)
    with pytest.raises(TypeError, match=r"outputs_of: expected a list of names, got '10'; write \['10'\]"):
        interpret.outputs_of(net, x, "10")
    for targets in ([0.0, 1.0], [True, False]):
        with pytest.raises(ValueError, match="targets: expected the number of a class for each image"):
            interpret.saliency(net, x, targets)
    with no_grad(), pytest.raises(RuntimeError, match="grad_cam needs gradients, .* outside no_grad"):
        interpret.grad_cam(net, x, [0, 1], "1")
    with pytest.raises(ValueError, match=r"got shape \(4, 4, 1\); images\[None\] makes a batch of one"):
        interpret.saliency(net, x[0], [0])
