"""The checks before training: they find what they are for, and disturb nothing."""
import numpy as np
import pytest

from nanoemo import nn, ops
from nanoemo.modes import is_grad_enabled
from nanoemo.training import sanity
from training_runs import AfterChecks, everything, make_trainer, toy_images


def test_sanity_checks_disturb_nothing():
    """A run with the checks in front is the run without them, bit for bit."""
    plain = make_trainer()
    plain.fit(epochs=2)
    checked = make_trainer()
    images, labels = next(checked.train_loader.epoch(0))
    before = everything(checked)
    report = sanity.check(checked.model, (images, labels), 3, ops.cross_entropy)
    assert everything(checked) == before
    assert all(parameter.grad is None for parameter in checked.model.parameters())
    checked.fit(epochs=2)
    assert everything(checked) == everything(plain)
    assert report["expected_loss"] == pytest.approx(np.log(3))
    assert len(sanity.describe(report)) == 2


def test_sanity_checks_find_what_they_are_for():
    broken = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    broken.parameters()[0].array[...] *= 1000
    images = toy_images()
    x, noise = images.images.astype(np.float32) / 255, np.random.default_rng(0).integers(0, 3, 60)
    report = sanity.check(broken, (x, noise), 3, ops.cross_entropy, max_steps=10)
    assert "SUSPICIOUS" in sanity.describe(report)[0]
    frozen = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    frozen.parameters()[0].array[...] = 0
    frozen.parameters()[0].requires_grad = False                     # only the bias can learn
    report = sanity.check(frozen, (x, images.labels), 3, ops.cross_entropy, max_steps=10)
    assert report["overfit_accuracy"] < 1 and "SUSPICIOUS" in sanity.describe(report)[1]


def test_sanity_checks_refuse_a_network_of_nan():
    broken = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    broken.parameters()[0].array[...] = np.nan
    images = toy_images()
    with pytest.raises(ValueError, match="untrained network is nan"):
        sanity.check(broken, (images.images.astype(np.float32), images.labels), 3, ops.cross_entropy)


@pytest.mark.parametrize("limits, steps", [
    ({"max_steps": 0}, 0), ({"max_steps": 3}, 3), ({"stop": AfterChecks(0)}, 0), ({"stop": AfterChecks(2)}, 2)])
def test_the_steps_that_were_made_are_counted(limits, steps):
    images = toy_images()
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    report = sanity.check(model, (images.images.astype(np.float32) / 255, images.labels), 3, ops.cross_entropy, **limits)
    assert report["overfit_steps"] == steps


class Witness(nn.Module):
    """A layer of which a test looks in which mode it is asked."""


def test_what_is_learnt_by_heart_is_learnt_without_dropout_and_asked_in_evaluation_mode(monkeypatch):
    seen = []
    monkeypatch.setattr(Witness, "forward", lambda self, x: seen.append((is_grad_enabled(), self.training)) or x)
    images = toy_images()
    x = images.images[:12].astype(np.float32) / 255
    wide = nn.Sequential(nn.Flatten(), Witness(), nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.95), nn.Linear(64, 3))
    report = sanity.check(wide, (x, images.labels[:12]), 3, ops.cross_entropy)
    assert report["overfit_accuracy"] == 1
    first, *rest = seen
    assert first == (False, True), "the initial loss is that of the first step of training"
    assert set(rest) == {(True, True), (False, False)}
