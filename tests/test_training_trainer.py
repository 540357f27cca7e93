"""The loop: it learns, and its state is all there is to it."""
import shutil
import subprocess
import time
from types import SimpleNamespace

import numpy as np
import pytest

import nanoemo
from nanoemo import data, nn, ops, optim
from nanoemo.training import (Callback, CheckpointError, Experiment, RunFolder, Settings, Trainer,
                              TrainingDiverged, catch_interrupt, checkpoint, predict)
from nanoemo.training.versions import versions
from nanoemo.training.recorder import Recorder, best_epoch
from small_data import write_pictures
from training_runs import StopAfter, everything, make_trainer, toy_images

pytestmark = pytest.mark.usefixtures("blank_pictures")


def test_a_set_of_images_is_no_loader():
    images, model = toy_images(), nn.Linear(2, 2)
    loader, optimizer = data.DataLoader(images, 8), optim.SGD(model.parameters(), lr=1.0)
    for name, loaders in (("train", [images]), ("validation", [loader, images])):
        with pytest.raises(TypeError, match=f"Trainer: {name}: expected a loader, got .*; nanoemo.data.DataLoader"):
            Trainer(model, optimizer, ops.cross_entropy, *loaders)


def test_an_optimiser_of_another_model_is_refused():
    """As when a notebook's cell makes the model anew, and not the optimiser."""
    with pytest.raises(ValueError, match="the optimizer has none of this model's parameters; make it anew"):
        Trainer(nn.Linear(2, 2), optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0), ops.cross_entropy,
                data.DataLoader(toy_images(), 8))


def test_a_model_without_a_score_for_each_class_has_no_accuracy():
    loader = data.DataLoader(toy_images(), 8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    trainer = Trainer(model, optim.SGD(model.parameters(), lr=1.0), lambda scores, labels: ops.mse_loss(scores, scores.detach()),
                      loader)
    for run in (lambda: trainer.fit(1), lambda: predict(model, loader), lambda: predict(nn.Linear(1, 2), loader)):
        with pytest.raises(ValueError, match=r"the model gives \(8, .*\), but a classifier gives scores \(N, K\)"):
            run()


def test_a_loader_without_a_batch_is_named():
    trainer = make_trainer()
    trainer.validation_loader = []
    with pytest.raises(ValueError, match="the validation loader gives no batch; give None for no validation"):
        trainer.fit(1)
    with pytest.raises(ValueError, match="predict: the loader gives no batch"):
        predict(trainer.model, [])


def test_a_run_that_a_callback_ended_can_go_on():
    class End(Callback):
        def epoch_end(self, trainer):
            trainer.ended = True

    trainer = make_trainer(callbacks=[End()])
    assert len(trainer.fit(3)) == 1
    trainer.callbacks = []
    assert len(trainer.fit(3)) == 3


def test_callbacks_of_ones_own_are_told_once_beside_those_of_the_run(tmp_path):
    class Count(Callback):
        steps = 0

        def step_end(self, trainer):
            self.steps += 1

    images = toy_images(14)
    splits = {"train": images, "validation": images, "test": images}
    settings = Settings.from_recipe("series.cnn1", epochs=1, batch_size=7)
    experiment, count = Experiment(settings, splits), Count()
    experiment.trainer.callbacks.append(count)
    stop = StopAfter(1)
    with RunFolder.create(tmp_path / "run") as folder:
        experiment.begin(folder)
        assert not experiment.run(folder, stop, stop, say=lambda line: None)
        assert experiment.run(folder, Callback(), say=lambda line: None)
    assert count.steps == 2 and len(experiment.trainer.callbacks) == 3
    assert (tmp_path / "run" / "history.csv").exists()
    with pytest.raises(ValueError, match="run was trained on arrays given in Python .*; name the data to judge it on"):
        Experiment.of_run(RunFolder.open(tmp_path / "run"))


def test_a_run_on_pictures_of_another_size_is_judged_on_pictures_of_that_size(tmp_path):
    write_pictures(tmp_path / "mine", "calm", "wild")
    splits = data.load(tmp_path / "mine", image_shape=(24, 16, 3))
    experiment = Experiment(Settings.from_recipe("series.cnn1", epochs=1, batch_size=7), splits)
    with RunFolder.create(tmp_path / "run") as folder:
        experiment.begin(folder)
        assert experiment.run(folder, Callback(), say=lambda line: None)
    again = Experiment.of_run(RunFolder.open(tmp_path / "run"), tmp_path / "mine")
    assert again.splits["test"].image_shape == (24, 16, 3)
    assert again.about_data["fingerprint"] == experiment.about_data["fingerprint"]


@pytest.mark.parametrize("splits", [{"train": toy_images(7), "val": toy_images(7)}, toy_images(7), {"train": 1}])
def test_splits_that_are_none(splits):
    with pytest.raises(ValueError, match="splits: expected a dictionary of labelled sets for train, validation, got "):
        Experiment(Settings.from_recipe("series.cnn1"), splits)


def test_a_run_without_a_test_set_is_refused_before_it_trains(tmp_path):
    images = toy_images(14)
    experiment = Experiment(Settings.from_recipe("series.cnn1", batch_size=7), {"train": images, "validation": images})
    with RunFolder.create(tmp_path / "run") as folder, pytest.raises(ValueError, match="for train, validation, test, got train"):
        experiment.run(folder, Callback())


def test_it_learns_and_writes_history():
    trainer = make_trainer()
    history = trainer.fit(epochs=8)
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["val_accuracy"] == 1.0
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert trainer.finished


def test_history_is_what_the_figures_mean():
    """Without dropout and with a learning rate of 0, loss and accuracy can be computed apart."""
    nanoemo.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    images = toy_images()
    trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.0), ops.cross_entropy,
                      data.DataLoader(images, 7, shuffle=True, transform=data.Scale()))
    row, = trainer.fit(epochs=1)
    scores = model(nanoemo.Tensor(images.images.astype(np.float32) / np.float32(255)))
    assert row["loss"] == pytest.approx(ops.cross_entropy(scores, images.labels).item(), rel=1e-6)
    assert row["accuracy"] == (scores.numpy().argmax(axis=1) == images.labels).mean()
    assert row["val_loss"] is None and row["val_accuracy"] is None


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam, optim.RMSprop])
@pytest.mark.parametrize("steps", [1, 7, 8, 9, 16, 20, 24])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(tmp_path, steps, optimizer):
    """8 steps an epoch: within an epoch, at its end, after it; through a file each time."""
    whole = make_trainer(optimizer=optimizer)
    whole.fit(epochs=3)

    first = make_trainer(callbacks=[stop := StopAfter(steps)], optimizer=optimizer)
    first.fit(epochs=3, stop=stop)
    folder = RunFolder(tmp_path)
    folder.write_config({})
    Recorder(folder).save(first)

    second = make_trainer(seed=99, optimizer=optimizer)     # another seed: all must come from the file
    second.train_loader = make_trainer().train_loader
    second.restore(*checkpoint.load(folder.last_path))
    second.fit(epochs=3)
    assert everything(second) == everything(whole)


def augmented_trainer(seed=0, **options):
    trainer = make_trainer(seed=seed, **options)
    changes, mix = data.parse_augment("flip,vflip,rotate,zoom,shift,brightness,contrast,noise,cutout=2,mixup,cutmix")
    trainer.train_loader = data.DataLoader(toy_images(), 8, shuffle=True, mix=mix,
                                           transform=data.Compose([*changes, data.Scale()]))
    return trainer


def test_stopped_with_every_augmentation_it_goes_on_to_the_same_bits():
    whole = augmented_trainer()
    whole.fit(epochs=2)
    first = augmented_trainer(callbacks=[stop := StopAfter(5)])
    first.fit(epochs=2, stop=stop)
    state = first.state()
    second = augmented_trainer(seed=99)
    second.restore(*state)
    second.fit(epochs=2)
    assert everything(second) == everything(whole)
    plain = make_trainer()
    plain.fit(epochs=2)
    assert everything(plain) != everything(whole)


def test_with_mixed_labels_the_likeliest_class_counts(device):
    """Training only: validation sees the images and labels as they are."""
    nanoemo.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).to(device)
    images = toy_images()
    mixed = data.DataLoader(images, 7, shuffle=True, transform=data.Scale(), mix=data.CutMix(1))
    validation = data.DataLoader(images, 7, transform=data.Scale())
    trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.0), ops.cross_entropy, mixed, validation)
    row, = trainer.fit(epochs=1)
    seen, labels = (np.concatenate(parts) for parts in zip(*mixed.epoch(0)))
    assert labels.shape == (60, 3) and (labels.max(axis=1) < 1).any()
    scores = model(nanoemo.Tensor(seen, device=device)).cpu().numpy()
    assert row["accuracy"] == pytest.approx((scores.argmax(axis=1) == labels.argmax(axis=1)).mean())
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    assert row["loss"] == pytest.approx(-(labels * log_p).sum(axis=1).mean(), rel=1e-4)
    plain = predict(model, validation, ops.cross_entropy)
    assert (row["val_loss"], row["val_accuracy"]) == (plain.loss, (plain.truth == plain.predicted).mean())
    np.testing.assert_array_equal(plain.truth, images.labels)


def test_the_time_without_a_batch_is_measured():
    class Slow:
        def __init__(self, loader, seconds):
            self.loader, self.seconds = loader, seconds

        def __len__(self):
            return len(self.loader)

        def epoch(self, epoch, start):
            for batch in self.loader.epoch(epoch, start):
                time.sleep(self.seconds)
                yield batch

    class SlowStep(Callback):
        def step_end(self, trainer):
            time.sleep(0.2)

    starving = make_trainer()
    starving.train_loader = Slow(starving.train_loader, 0.1)
    fed = make_trainer(callbacks=[SlowStep()])
    assert starving.fit(1)[0]["waiting"] > 0.5
    assert fed.fit(1)[0]["waiting"] < 0.25          # of the first batch at least, which nothing hides


def test_stopped_in_validation_it_validates_again():
    whole = make_trainer()
    whole.fit(epochs=2)
    halted = make_trainer()
    validation = halted.validation_loader

    class StopInValidation:
        def __iter__(self):
            stop.requested = True
            yield from validation

    halted.validation_loader = StopInValidation()
    with catch_interrupt() as stop:
        halted.fit(epochs=2, stop=stop)
    assert (halted.epoch, halted.step, halted.history) == (0, 8, [])
    state = halted.state()
    second = make_trainer(seed=99)
    second.train_loader = make_trainer().train_loader
    second.restore(*state)
    second.fit(epochs=2)
    assert everything(second) == everything(whole)


def test_a_loss_that_is_no_number_stops_with_advice():
    class Poison(Callback):
        def step_end(self, trainer):
            if trainer.epoch == 1 and trainer.step == 3:
                trainer.model.parameters()[0].array[...] = np.nan

    trainer = make_trainer(callbacks=[Poison()])
    with pytest.raises(TrainingDiverged, match="nan at epoch 2, step 4.*lower learning rate.*0.01"):
        trainer.fit(epochs=3)


def test_a_validation_loss_that_is_no_number_stops_too():
    class Poison(Callback):
        def step_end(self, trainer):
            if trainer.step == trainer.steps_per_epoch:
                trainer.model.parameters()[0].array[...] = np.nan

    trainer = make_trainer(callbacks=[Poison()])
    with pytest.raises(TrainingDiverged, match="nan in the validation after epoch 1"):
        trainer.fit(epochs=3)
    assert trainer.history == []


def test_restore_refuses_another_models_state():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    other = Trainer(model, optim.Adam(model.parameters(), lr=0.01), ops.cross_entropy,
                    make_trainer().train_loader)
    with pytest.raises(CheckpointError, match="does not fit"):
        other.restore(*make_trainer().state())


def test_a_state_stays_as_it_was_and_can_be_gone_back_to():
    trainer = make_trainer()
    trainer.fit(epochs=1)
    before, state = everything(trainer), trainer.state()
    for _ in range(2):
        trainer.fit(epochs=3)
        assert [row["epoch"] for row in trainer.history] == [1, 2, 3]
        trainer.restore(*state)
        assert everything(trainer) == before and len(trainer.history) == 1


def test_a_loader_whose_epoch_is_a_list():
    class Listed(data.DataLoader):
        def epoch(self, epoch, start=0):
            return list(super().epoch(epoch, start))

    trainer = make_trainer()
    trainer.train_loader.__class__ = Listed
    trainer.fit(epochs=1)
    assert trainer.history[0]["loss"] == make_trainer().fit(epochs=1)[0]["loss"]


def test_a_state_that_does_not_fit_changes_nothing():
    trainer = make_trainer()
    trainer.fit(epochs=1)
    arrays, meta = make_trainer(seed=5).state()
    before = everything(trainer)
    for arrays, meta in ((arrays, {**meta, "tally": {"pictures": 1}}), (arrays, {**meta, "random": None}),
                         ({**arrays, "optimizer.m.0": np.zeros(3)}, meta)):
        with pytest.raises(CheckpointError, match="does not fit"):
            trainer.restore(arrays, meta)
        assert everything(trainer) == before


def test_predict_keeps_truth_and_prediction_together_even_if_the_loader_shuffles():
    trainer = make_trainer()
    trainer.fit(epochs=8)
    shuffled = data.DataLoader(toy_images(), 8, shuffle=True, transform=data.Scale())
    result = predict(trainer.model, shuffled)
    assert (result.truth == result.predicted).mean() == 1.0
    assert result.truth.tolist() != toy_images().labels.tolist()
    assert result.loss is None


def test_predict_takes_probabilities_for_labels():
    one_hot = [(images, np.eye(3, dtype=np.float32)[labels]) for images, labels in data.DataLoader(toy_images(), 8)]
    result = predict(make_trainer().model, one_hot)
    assert result.truth.tolist() == toy_images().labels.tolist()


def test_best_epoch_of_equals_has_the_lower_loss():
    rows = [{"epoch": n, "loss": 1.0, "val_accuracy": a, "val_loss": b}
            for n, (a, b) in enumerate([(0.5, 1.0), (0.7, 2.0), (0.7, 1.5), (0.6, 0.1)])]
    assert best_epoch(rows)["epoch"] == 2
    assert best_epoch([{"epoch": n, "loss": x, "val_accuracy": None, "val_loss": None}
                       for n, x in enumerate([3.0, 1.0, 2.0])])["epoch"] == 1


@pytest.mark.parametrize("wrong", [
    {"epochs": 0}, {"batch_size": -1}, {"lr": -0.1}, {"lr": float("nan")}, {"lr": 0.0}, {"limit": 0},
    {"seed": -1}, {"model": "njoku.cn"}, {"optimizer": "adm"}, {"augment": "flp"}])
def test_settings_that_cannot_work(wrong):
    settings = {"model": "njoku.cnn", "limit": 70, **wrong}
    with pytest.raises(ValueError, match="|".join([*wrong, "did you mean"])):
        Experiment(Settings.from_recipe(**settings))


def test_versions_are_told_where_there_is_no_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = versions()
    assert found["numpy"] == np.__version__ and "commit" not in found


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_with_changes_in_what_computes_is_told_from_the_clean_one(tmp_path, monkeypatch):
    def git(*command):
        git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run([*git, *command], check=True, capture_output=True, text=True).stdout.strip()

    for path in ("nanoemo/__init__.py", "kernels/conv.py", "docs/a.md"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text("a = 1\n")
    monkeypatch.setattr(nanoemo, "__file__", str(tmp_path / "nanoemo" / "__init__.py"))
    git("init", "-q")
    assert versions()["commit"] is None
    git("add", ".")
    git("commit", "-qm", "a")
    head = git("rev-parse", "HEAD")
    (tmp_path / "docs/a.md").write_text("b")
    assert versions()["commit"] == head
    for path in ("kernels/conv.py", "nanoemo/new.py"):
        (tmp_path / path).write_text("a = 2\n")
        assert versions()["commit"] == f"{head}+changes"
        git("stash", "-qu")
        assert versions()["commit"] == head


def test_paper_settings_are_the_defaults():
    settings = Settings.from_recipe("njoku.cnn", data="fer2013.csv")
    assert (settings.epochs, settings.batch_size, settings.lr, settings.optimizer) == (100, 32, 1e-4, "adam")
    assert settings.augment == "flip,rotate=10,zoom=0.1"
    drawn = Settings.from_recipe("njoku.cnn")
    assert (drawn.epochs, drawn.augment, drawn.data) == (5, "", None)
    assert Settings.from_recipe("alizadeh.shallow", data="x").subtract_mean
    hears = Settings.from_recipe("alizadeh.shallow", data="x", features="log_mel")
    assert (hears.augment, hears.subtract_mean) == ("", False), "the recipe's are of images"
    assert Settings.from_recipe("alizadeh.shallow", data="x", features="log_mel", augment="noise").augment == "noise"


def test_each_epoch_trains_in_training_mode_and_in_an_order_of_its_own():
    class Watching(Callback):
        def __init__(self):
            self.modes = []

        def step_end(self, trainer):
            self.modes.append((trainer.epoch, trainer.model.training))

    watching = Watching()
    trainer = make_trainer(callbacks=[watching])
    trainer.model.eval()                    # as somebody may have left it
    epochs, epoch = [], trainer.train_loader.epoch
    trainer.train_loader.epoch = lambda number, start=0: epochs.append((number, start)) or epoch(number, start)
    trainer.fit(epochs=3)
    assert set(watching.modes) == {(0, True), (1, True), (2, True)}     # validation between them is in eval mode
    assert epochs == [(0, 0), (1, 0), (2, 0)]
    first, second = ([labels.tolist() for _, labels in epoch(number)] for number in (0, 1))
    assert first != second


def test_validation_is_in_eval_mode_and_teaches_nothing():
    trainer = make_trainer()                    # with batch norm and dropout
    row, = trainer.fit(1)
    found = predict(trainer.model, trainer.validation_loader, ops.cross_entropy)
    assert row["val_loss"] == pytest.approx(found.loss, rel=1e-6)
    assert row["val_accuracy"] == (found.truth == found.predicted).mean()


def test_it_saves_every_so_many_seconds_and_the_best_before_the_last(tmp_path, monkeypatch):
    """Eight steps of 20 seconds."""
    class Clock(Callback):
        now = 0

        def step_end(self, trainer):
            self.now += 20

    clock, written = Clock(), []
    monkeypatch.setattr("nanoemo.training.recorder.time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(checkpoint, "save", lambda path, arrays, meta: written.append((path.stem, meta["epoch"], meta["step"])))
    make_trainer(callbacks=[clock, Recorder(RunFolder(tmp_path))]).fit(1)
    assert written == [("last", 0, 0), ("last", 0, 3), ("last", 0, 6), ("best", 1, 0), ("last", 1, 0)]


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path):
    class Judged(Callback):
        def epoch_end(self, trainer):
            trainer.history[-1]["val_accuracy"] = (0.5, 0.9, 0.7)[trainer.epoch - 1]

    folder = RunFolder(tmp_path)
    folder.write_config({})
    make_trainer(callbacks=[Judged(), Recorder(folder)]).fit(3)
    assert [checkpoint.load(path)[1]["epoch"] for path in (folder.best_path, folder.last_path)] == [2, 3]
