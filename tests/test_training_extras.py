"""Class weights, smoothed labels, schedules, clipping, early stopping and transfer: alone, and in a run that is resumed."""
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import nanoemo
from nanoemo import data, models, nn, ops, optim
from nanoemo.cli import main
from nanoemo.training import (Callback, EarlyStopping, Experiment, RunFolder, Settings, Trainer, checkpoint, class_weights,
                              pretrained)
from nanoemo.training.recorder import Recorder
from training_runs import StopAfter, everything

pytestmark = pytest.mark.usefixtures("blank_pictures")

SMALL = {"limit": 14, "batch_size": 7, "epochs": 4, "lr": 0.01}
SHORT = ["--limit", "14", "--batch-size", "7"]


def settings(**changes):
    return Settings.from_recipe("chater.dcnn", **{**SMALL, **changes})


# ---- each alone -------------------------------------------------------------------------------------------


def test_balanced_weights_make_all_classes_count_alike():
    counts = {"angry": 10, "disgust": 0, "happy": 40}
    weights = class_weights("balanced", counts)
    assert weights.dtype == np.float32 and weights[1] == 0
    assert weights[0] * 10 == weights[2] * 40
    assert weights @ list(counts.values()) == pytest.approx(50 * 2 / 3)


@pytest.mark.parametrize("text, message", [
    ("hapy=2", "unknown 'hapy'; did you mean happy"), ("balance", "did you mean balanced"),
    ("happy", "'happy': expected a number above 0 after =, as in happy=2"), ("happy=-1", "expected a number above 0"),
    ("happy=0", "expected a number above 0"), ("happy=nan", "expected a number"), ("happy=1,,sad=2", "there is no class ''"),
    ("happy=1,happy=2", "'happy' is given twice"),
    ("balanced,happy=2", "balanced stands alone"), ("balanced=2", "balanced stands alone")])
def test_class_weights_that_cannot_be(text, message):
    with pytest.raises(ValueError, match=message):
        class_weights(text, {"sad": 1, "happy": 2})


@pytest.mark.parametrize("text, rates", [
    ("", [1] * 4), ("cosine", [1, 0.853553, 0.5, 0.146447]), ("step=2", [1, 1, 0.1, 0.1]),
    ("exponential=0.5", [1, 0.5, 0.25, 0.125]), ("warmup=3", [0.1, 0.4, 0.7, 1]),
    ("warmup=2,cosine", [0.1, 0.55, 1, 0.5]), ("plateau=1", [1, 1, 1, 0.1])])
def test_a_schedule_is_followed_epoch_by_epoch(text, rates):
    model = nn.Linear(1, 2)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.build_schedule(text, optimizer, epochs=4)
    seen = []
    for _ in rates:
        seen.append(optimizer.lr)
        if schedule:
            schedule.step(1.0)
    assert seen == pytest.approx(rates, abs=1e-6)


@pytest.mark.parametrize("text, message", [
    ("cos", "unknown 'cos'; did you mean cosine"), ("cosine=3", "expected no number"), ("step=0", "a number of epochs"),
    ("step=two", "as in step=10"), ("exponential=2", "at most 1"), ("cosine,step", "more than one schedule"),
    ("step=5,step=9", "given twice"),
    ("warmup,plateau", "plateau cannot follow a warmup"), ("warmup=1.5", "a number of epochs")])
def test_schedules_that_cannot_be(text, message):
    with pytest.raises(ValueError, match=f"schedule: .*{message}"):
        settings(schedule=text)


@pytest.mark.parametrize("changes, message", [
    ({"label_smoothing": 1.0}, "label_smoothing is 1.0"), ({"clip_norm": 0.0}, "clip_norm is 0.0"),
    ({"patience": 0}, "patience is 0"), ({"lr": "fast"}, "lr is 'fast'; expected a positive learning rate"),
    ({"weight_decay": "some"}, "weight_decay is 'some'"), ({"schedule": 3}, "schedule is 3; expected text"),
    ({"subtract_mean": "no"}, "subtract_mean is 'no'; expected true or false"),
    ({"device": "gpu"}, "device is 'gpu'; expected cpu or cuda"),
    ({"options": [1]}, "options is"), ({"clip_norm": float("nan")}, "clip_norm is nan")])
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_settings_of_a_model_that_there_is_not():
    with pytest.raises(ValueError, match="did you mean njoku.cnn"):
        Settings("njoku.cn", epochs=1, batch_size=32, lr=1e-4, optimizer="adam")


def test_clipping_keeps_steps_short():
    """With SGD a step is learning rate × gradient, so its length is at most the rate × the norm."""
    experiment = Experiment(settings(clip_norm=1e-3, optimizer="sgd", lr=1.0))
    before = experiment.model.state_dict()
    experiment.trainer.callbacks = [stop := StopAfter(1)]
    experiment.trainer.fit(1, stop)
    moved = sum(((array - before[name]) ** 2).sum() for name, array in experiment.model.state_dict().items())
    assert 0.5e-3 < np.sqrt(moved) < 1.001e-3


def test_early_stopping_ends_training_and_is_remembered():
    experiment = Experiment(settings(epochs=9, lr=1e-9, patience=2))        # it learns nothing, so the first epochs stay best
    experiment.trainer.callbacks = experiment.asked_for
    history = experiment.trainer.fit(9)
    assert experiment.trainer.finished and len(history) < 9
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))["epoch"]
    assert len(history) == best + 2
    experiment.trainer.ended = False
    assert len(experiment.trainer.fit(9)) == len(history)                   # as a resumed run: the history says that it is over


def test_patience_has_to_be_positive():
    with pytest.raises(ValueError, match="patience must be at least 1"):
        EarlyStopping(0)


# ---- transfer ---------------------------------------------------------------------------------------------


def test_options_are_kept_as_a_file_gives_them_back():
    asked = Settings.from_recipe("alizadeh.deep", options={"hidden": (8, 8)})
    assert asked.options == {"hidden": [8, 8]} == json.loads(json.dumps(asked.options))


def test_what_is_frozen_stays_and_the_rest_learns():
    experiment = Experiment(settings(freeze="Conv2d,10"))
    before = experiment.model.state_dict()
    experiment.trainer.fit(1)
    changed = {name.split(".")[0] for name, array in experiment.model.state_dict().items() if (array != before[name]).any()}
    assert changed == {"13", "16"}


def test_patterns_name_parts_and_kinds():
    model = models.build("series.architecture1")
    assert "extractor" in pretrained.freeze(model, "extractor*")
    assert all(not p.requires_grad for p in model.extractor.parameters())
    assert all(p.requires_grad for p in model.classifier.parameters())
    with pytest.raises(ValueError, match="'extractr' names no layer; there are extractor"):
        pretrained.freeze(model, "extractr")
    with pytest.raises(ValueError, match="all that could learn"):
        pretrained.freeze(model, "*")


CHANGED = "; new are 16 (its classes are others, or in another order)"


@pytest.mark.parametrize("names, start", [
    (("a", "b", "c"), f"5 of 6 layers{{}}{CHANGED}"), (data.fer2013.CLASS_NAMES[::-1], f"5 of 6 layers{{}}{CHANGED}"),
    (("contempt", *data.fer2013.CLASS_NAMES[1:]), f"5 of 6 layers{{}}{CHANGED}"),
    (("Anger", *data.fer2013.CLASS_NAMES[1:]), "6 of 6 layers{}")], ids=["fewer", "another order", "another", "another name"])
def test_a_run_starts_from_another_with_other_classes(tmp_path, names, start):
    nanoemo.manual_seed(0)
    first = Experiment(settings())
    folder = RunFolder(tmp_path / "first")
    folder.path.mkdir()
    first.begin(folder)
    first.trainer.callbacks = [Recorder(folder)]
    first.trainer.fit(1)
    faces = {name: data.ImageSet(split.images, split.labels % len(names), names, name=name)
             for name, split in first.splits.items()}
    second = Experiment(settings(start_from=str(folder.path)), faces)
    said = []
    second.start(said.append)
    assert said == ["start: " + start.format(f" with weights are from {folder.path}")]
    taken = checkpoint.load(folder.best_path)[0]
    assert (second.model.state_dict()["0.weight"] == taken["model.0.weight"]).all()


def test_layers_are_taken_whole_and_only_behind_others_that_are():
    state = models.build("chater.dcnn").state_dict()
    assert set(pretrained.layers(pretrained.fitting(models.build("njoku.cnn"), state))) == {"0"}, "6 is alike, but 3 is not"
    del state["0.bias"]
    with pytest.raises(ValueError, match="none of its 6 layers can be taken over"):
        pretrained.fitting(models.build("chater.dcnn"), state)
    with pytest.raises(ValueError, match="differ from the first layer on"):         # one bias is of the same name and length
        pretrained.fitting(models.build("njoku.cnn"), models.build("chater.conv1d").state_dict())


@pytest.mark.parametrize("words, message", [
    (["--from", "nowhere"], "nowhere: there is no such folder"), (["--freeze", "Convolution"], "'Convolution' names no layer"),
    (["--class-weights", "joy=2"], "unknown 'joy'"), (["--schedule", "cosne"], "did you mean cosine"),
    (["--option", "hidden=3"], "no option hidden; its options are dropout"),
    (["--option", "dropout=high"], "chater.dcnn cannot be built for"),
    (["--option", "input_shape=3"], "option input_shape: not one of the model's own"),
    (["--option", "num_classes=3"], "option num_classes: not"), (["--option", "name=njoku.cnn"], "option name: not"),
    (["--label-smoothing", "2"], "label_smoothing is 2.0"),
    (["--patience", "0"], "patience is 0"), (["--clip-norm", "-1"], "clip_norm is -1.0")])
def test_bad_words_end_in_one_line(tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "chater.dcnn", *SHORT, *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir()), "nothing is left behind"


# ---- together, resumed ------------------------------------------------------------------------------------


def with_everything(device):
    """A trainer of a tiny network with all extras: three steps an epoch."""
    nanoemo.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3)).to(device)
    pretrained.freeze(model, "1")
    rng = np.random.default_rng(0)
    faces = data.ImageSet(rng.integers(0, 256, (24, 2, 3, 1), np.uint8), np.arange(24) ** 2 % 3, ("a", "b", "c"))
    loader = data.DataLoader(faces, 8, shuffle=True, transform=data.Scale())
    optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    loss = nn.CrossEntropyLoss(class_weights("balanced", faces.counts()), 0.1).to(device)
    validation = data.DataLoader(faces, 8, transform=data.Scale())
    return Trainer(model, optimizer, loss, loader, validation, clip_norm=0.05, callbacks=[EarlyStopping(3)],
                   schedule=optim.build_schedule("warmup=2,cosine", optimizer, 4))


def test_the_best_weights_are_taken_up_and_the_history_stays(tmp_path):
    experiment, folder = Experiment(settings()), RunFolder.create(tmp_path / "run")
    experiment.trainer.fit(1)
    best = {name: array.copy() for name, array in experiment.model.state_dict().items()}
    folder.best_path.parent.mkdir()
    checkpoint.save(folder.best_path, *experiment.trainer.state())
    experiment.trainer.fit(2)
    assert experiment.load_best(folder) == 1
    assert all((array == best[name]).all() for name, array in experiment.model.state_dict().items())
    assert [row["epoch"] for row in experiment.trainer.history] == [1, 2]


def test_a_run_that_is_run_again_keeps_its_last_state(tmp_path):
    """It ends with the best weights, those of the first epoch here; what is saved to go on from is the last epoch's."""
    class FirstIsBest(Callback):
        def epoch_end(self, trainer):
            trainer.history[-1]["val_accuracy"] = 1 / trainer.epoch

    experiment, folder = Experiment(settings(epochs=2)), RunFolder.create(tmp_path / "run")
    experiment.trainer.callbacks = [FirstIsBest()]
    with folder:
        experiment.begin(folder)
        states = []
        for _ in range(2):
            assert experiment.run(folder, Callback(), say=lambda line: None)
            states.append(checkpoint.load(folder.last_path)[0])
            best = checkpoint.load(folder.best_path)[0]
            assert all((array == best[f"model.{name}"]).all() for name, array in experiment.model.state_dict().items())
    assert states[0].keys() == states[1].keys() and all((states[0][name] == states[1][name]).all() for name in states[0])
    assert any((states[0][name] != best[name]).any() for name in best)


@pytest.mark.parametrize("validated", [True, False])
def test_a_schedule_is_told_the_loss_of_the_validation_set_where_there_is_one(validated):
    """On the training images the loss goes on falling, long after what a plateau looks for."""
    trainer, told = with_everything("cpu"), []
    trainer.schedule = SimpleNamespace(step=told.append, state_dict=dict)
    if not validated:
        trainer.validation_loader, trainer.callbacks = None, []
    history = trainer.fit(2)
    assert told == [row["val_loss" if validated else "loss"] for row in history]
    assert all(row["loss"] != row["val_loss"] for row in history)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_with_everything_on_a_resumed_run_ends_in_the_same_bits(tmp_path, steps, device):
    """Stopped within an epoch, at its end, and past the warm-up."""
    whole = with_everything(device)
    whole.fit(4)
    halted = with_everything(device)
    halted.callbacks.append(stop := StopAfter(steps))
    halted.fit(4, stop)
    checkpoint.save(tmp_path / "last", *halted.state())
    resumed = with_everything(device)
    resumed.restore(*checkpoint.load(tmp_path / "last"))
    resumed.fit(4)
    assert everything(resumed) == everything(whole)
    assert [row["lr"] for row in whole.history] == pytest.approx([0.05, 0.275, 0.5, 0.25])


def test_a_captured_step_takes_all_of_them(card, monkeypatch):
    """The GPU's record of a step gives the bits of the step itself: weights and clipping, and each epoch's own rate."""
    recorded = with_everything("cuda")
    recorded.fit(4)
    monkeypatch.setattr("nanoemo.training.trainer.capture", lambda step, **_: step)
    plain = with_everything("cuda")
    plain.fit(4)
    assert everything(recorded) == everything(plain)


def test_both_devices_learn_the_same_with_everything(card):
    on_cpu, on_card = (with_everything(device) for device in ("cpu", "cuda"))
    for trainer in (on_cpu, on_card):
        pretrained.freeze(trainer.model, "1,Dropout")           # the two devices draw other masks
    for a, b in zip(on_cpu.fit(4), on_card.fit(4), strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr"):
            assert a[name] == pytest.approx(b[name], rel=1e-4), name


def test_from_the_command_line_to_config_and_back(tmp_path, capsys):
    run, second = str(tmp_path / "a"), str(tmp_path / "b")
    assert main(["train", "chater.dcnn", *SHORT, "--epochs", "2", "--class-weights", "balanced", "--label-smoothing", "0.1",
                 "--patience", "5", "--schedule", "cosine", "--clip-norm", "1", "--option", "dropout=0.25", "--out", run]) == 0
    kept = json.loads((tmp_path / "a" / "config.json").read_text())["settings"]
    assert (kept["class_weights"], kept["label_smoothing"], kept["patience"]) == ("balanced", 0.1, 5)
    assert (kept["schedule"], kept["clip_norm"], kept["options"]) == ("cosine", 1.0, {"dropout": 0.25})
    assert [row["lr"] for row in json.loads((tmp_path / "a" / "history.json").read_text())] == [0.001, 0.0005]
    assert main(["train", "chater.dcnn", *SHORT, "--epochs", "1", "--from", run, "--freeze", "Conv2d", "--out", second]) == 0
    out = capsys.readouterr().out
    assert f"start: 6 of 6 layers with weights are from {run}" in out and "with the weights of another run" in out
    shutil.rmtree(run)                                      # the second run does not need the first any more
    assert main(["train", "--resume", second, "--epochs", "2"]) == 0
    assert main(["train", "--resume", second, "--label-smoothing", "0.5"]) == 2
    assert "was begun with label_smoothing 0.0" in capsys.readouterr().err


def test_plain_cross_entropy_is_the_loss_where_nothing_is_asked():
    experiment = Experiment(settings())
    scores, labels = nanoemo.Tensor(np.eye(7, dtype=np.float32)), np.arange(7)
    assert experiment.trainer.loss_fn(scores, labels).item() == ops.cross_entropy(scores, labels).item()


def test_a_training_that_ended_early_has_ended_when_it_is_taken_up_again():
    class Never(EarlyStopping):
        def is_over(self, history):
            return bool(history)

    def trainer():
        nanoemo.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
        images = data.ImageSet(np.zeros((8, 4, 4, 1), np.uint8), np.arange(8) % 2, ("a", "b"))
        loader = data.DataLoader(images, 4)
        return Trainer(model, optim.SGD(model.parameters(), lr=0.1), ops.cross_entropy, loader, loader, callbacks=[Never(1)])

    first, second = trainer(), trainer()
    assert len(first.fit(5)) == 1
    second.restore(*first.state())
    assert len(second.fit(5)) == 1


# ---- what an experiment hands on --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces():
    return {"train": data.drawn_faces(34, 0), "validation": data.drawn_faces(14, 1), "test": data.drawn_faces(14, 2)}


def test_means_are_fitted_on_the_training_set_alone_and_the_runs_own_are_taken_up(faces, tmp_path):
    experiment = Experiment(settings(subtract_mean=True, limit=None, epochs=1), faces)
    np.testing.assert_allclose(experiment.mean_image, faces["train"].images.mean(axis=0), rtol=1e-5)
    with RunFolder.create(tmp_path / "run") as folder:
        experiment.begin(folder)
        experiment.run(folder, Callback(), stop=False, say=lambda line: None)
        folder.write_mean_image(np.full((48, 48, 1), 7, np.float32))
        experiment.load_best(folder)
    assert (experiment.mean_image == 7).all()


def test_the_seed_orders_the_batches(faces):
    assert Experiment(settings(seed=7, limit=None), faces).trainer.train_loader.seed == 7


@pytest.mark.parametrize("images, steps", [(33, 2), (34, 3), (32, 2)])
def test_a_last_batch_of_one_is_left_out_of_training(faces, images, steps):
    few = {**faces, "train": faces["train"].subset(np.arange(images))}
    assert Experiment(settings(batch_size=16, limit=None), few).trainer.steps_per_epoch == steps
