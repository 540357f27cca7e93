"""Batch norm's statistics, measured anew without dropout."""
import json

import numpy as np
import pytest

from nanoemo import Tensor, data, nn
from nanoemo.cli import main
from nanoemo.training import UpdateBatchNorm, catch_interrupt, checkpoint, update_batch_norm
from training_runs import everything, make_trainer

pytestmark = pytest.mark.usefixtures("blank_pictures")


def test_statistics_are_those_of_the_network_without_dropout(rng, device):
    """The mean over the batches of each batch's; nothing is dropped, and nothing else changes."""
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(3, momentum=0.3), nn.Dropout(0.9)).to(device).train()
    model[3].freeze()
    before = {name: array for name, array in model.state_dict().items() if "running" not in name}
    images = data.ImageSet(rng.integers(0, 256, (10, 1, 1, 3), np.uint8), np.zeros(10, int), ("sad", "happy"))
    assert update_batch_norm(model, data.DataLoader(images, 4, drop_last=True)) == 2
    batches = images.images[:8].reshape(2, 4, 3).astype(np.float64)
    after = model.state_dict()
    np.testing.assert_allclose(after["2.running_mean"], batches.mean(axis=1).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(after["2.running_var"], batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-5)
    assert all((after[name] == array).all() for name, array in before.items())
    assert [layer.training for layer in model] == [True, True, True, False] and model[2].momentum == 0.3


def test_dropout_in_front_of_batch_norm_spoils_its_variance(rng):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(300)).train()
    images = data.ImageSet(rng.integers(100, 156, (64, 1, 1, 300), np.uint8), np.zeros(64, int), ("sad", "happy"))
    loader = data.DataLoader(images, 64)
    for _ in range(50):
        model(Tensor(images.images.astype(np.float32)))
    with_dropout = model(Tensor(images.images.astype(np.float32))).numpy().std(), model[2].running_var.numpy().mean()
    update_batch_norm(model, loader)
    assert with_dropout[1] > 20 * model[2].running_var.numpy().mean()
    assert model.eval()(Tensor(images.images.astype(np.float32))).numpy().std() == pytest.approx(with_dropout[0], rel=0.05)


def test_evaluating_with_statistics_measured_anew(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "alizadeh.shallow", "--limit", "14", "--batch-size", "7", "--epochs", "1", "--option", "hidden=8",
                 "--out", str(run)]) == 0
    best = (run / "checkpoints" / "best.safetensors").read_bytes()
    assert main(["evaluate", str(run), "--split", "test"]) == 0
    plain = json.loads((run / "test" / "classification_report.json").read_text())
    assert main(["evaluate", str(run), "--split", "test", "--update-batch-norm"]) == 0
    anew = json.loads((run / "batch-norm-updated" / "test" / "classification_report.json").read_text())
    assert anew["loss"] != plain["loss"] and json.loads((run / "test" / "classification_report.json").read_text()) == plain
    assert (run / "checkpoints" / "best.safetensors").read_bytes() == best
    assert f"tables and figures: {run / 'batch-norm-updated'}" in capsys.readouterr().out


def measuring(stop=None, calls=None):
    """A trainer that measures batch norm anew; asked to stop after so many of these batches."""
    loader = make_trainer().train_loader

    class Counted:
        def epoch(self, number):
            for batch in loader.epoch(number):
                yield batch
                if stop is not None:
                    calls.append(number)
                    stop.requested = len(calls) == 11

    return make_trainer(callbacks=[UpdateBatchNorm(Counted())])


def test_a_training_that_measures_after_each_epoch_learns_the_same_weights():
    """Training does not use the running statistics, and validation sees those of the network without dropout."""
    plain = make_trainer()
    plain.fit(epochs=2)
    anew = measuring()
    anew.fit(epochs=2)
    before, after = plain.model.state_dict(), anew.model.state_dict()
    assert {name for name in before if (before[name] != after[name]).any()} == {"1.running_mean", "1.running_var"}
    update_batch_norm(plain.model, plain.train_loader.epoch(1))
    assert all((after[name] == array).all() for name, array in plain.model.state_dict().items())
    assert plain._validate()["val_loss"] == anew.history[-1]["val_loss"] != plain.history[-1]["val_loss"]


def test_stopped_while_it_measures_it_measures_again():
    whole, calls = measuring(), []
    whole.fit(epochs=3)
    with catch_interrupt() as stop:
        halted = measuring(stop, calls)
        halted.fit(epochs=3, stop=stop)
    assert len(calls) == 11 and (halted.epoch, halted.step) == (1, 8)
    state = halted.state()
    second = measuring()
    second.restore(*state)
    second.fit(epochs=3)
    assert everything(second) == everything(whole)


def test_frozen_batch_norm_keeps_its_statistics(rng):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    model[1].freeze()
    images = data.ImageSet(rng.integers(0, 256, (8, 1, 1, 3), np.uint8), np.zeros(8, int), ("sad", "happy"))
    assert update_batch_norm(model, data.DataLoader(images, 4)) == 2
    assert not model[1].running_mean.numpy().any() and model[2].running_mean.numpy().all()
    assert update_batch_norm(nn.Linear(3, 2), data.DataLoader(images, 4)) == 0
    with pytest.raises(TypeError, match="UpdateBatchNorm: expected a loader, got ImageSet"):
        UpdateBatchNorm(images)


def test_measured_anew_by_a_setting(tmp_path, capsys):
    short = ["train", "alizadeh.shallow", "--limit", "14", "--batch-size", "7", "--epochs", "1", "--option", "hidden=8"]
    plain, anew = tmp_path / "plain", tmp_path / "anew"
    assert main([*short, "--out", str(plain)]) == 0
    assert main([*short, "--update-batch-norm", "--out", str(anew)]) == 0
    assert "update batch norm True" in capsys.readouterr().out
    before, after = (checkpoint.load(run / "checkpoints" / "best.safetensors")[0] for run in (plain, anew))
    changed = {name.rpartition(".")[2] for name in before if (before[name] != after[name]).any()}
    assert changed == {"running_mean", "running_var"}
    assert main(["train", "njoku.cnn", "--limit", "14", "--batch-size", "7", "--update-batch-norm"]) == 2
    assert "update batch norm: njoku.cnn has no batch norm; leave it out" in capsys.readouterr().err
