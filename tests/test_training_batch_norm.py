"""Batch norm's statistics, measured anew without dropout."""
import json

import numpy as np
import pytest

from nanoemo import Tensor, data, nn
from nanoemo.cli import main
from nanoemo.training import update_batch_norm

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
    assert main(["train", "alizadeh.deep", "--limit", "14", "--batch-size", "7", "--epochs", "1", "--option", "hidden=(8, 8)",
                 "--out", str(run)]) == 0
    best = (run / "checkpoints" / "best.safetensors").read_bytes()
    assert main(["evaluate", str(run), "--split", "test"]) == 0
    plain = json.loads((run / "test" / "classification_report.json").read_text())
    assert main(["evaluate", str(run), "--split", "test", "--update-batch-norm"]) == 0
    anew = json.loads((run / "batch-norm-updated" / "test" / "classification_report.json").read_text())
    assert anew["loss"] != plain["loss"] and json.loads((run / "test" / "classification_report.json").read_text()) == plain
    assert (run / "checkpoints" / "best.safetensors").read_bytes() == best
    assert f"tables and figures: {run / 'batch-norm-updated'}" in capsys.readouterr().out
