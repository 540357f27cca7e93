"""The commands with --device cuda: a run trained there is judged there and on the CPU."""
import functools
import json

import numpy as np
import pytest

from nanoemo import models, nn, viz
from nanoemo.cli import main
from nanoemo.models import registry
from nanoemo.training import sanity

pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """The name of a model so small that kernels on the host are quick about it; and data, files of 21 images a split."""
    monkeypatch.setattr(registry, "_models", dict(registry._models))
    recipe = models.Recipe(paper="", source="", data="", input_shape=(48, 48, 1), num_classes=7, epochs=1, batch_size=7,
                           optimizer="adam", lr=0.01)

    @registry.register("tests.tiny", recipe)
    def build(num_classes, input_shape):
        return nn.Sequential(nn.Conv2d(1, 4, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, num_classes))

    pixels = np.random.default_rng(0).integers(0, 50, (63, 48, 48))
    for n in range(63):
        pixels[n, 6 * (n % 7):6 * (n % 7) + 8] += 200
    lines = [f"{n % 7},{' '.join(map(str, image.ravel()))},{('Training', 'PublicTest', 'PrivateTest')[n // 21]}"
             for n, image in enumerate(pixels)]
    (tmp_path / "small.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return "tests.tiny", str(tmp_path / "small.csv")


def judged(folder):
    """(accuracy, loss) on the two sets that a run is judged on."""
    reports = [json.loads((folder / split / "classification_report.json").read_text()) for split in ("validation", "test")]
    return [(report["accuracy"], report["loss"]) for report in reports]


def test_train_and_evaluate(card, tiny, tmp_path, monkeypatch):
    model, data = tiny
    folder = tmp_path / "run"
    monkeypatch.setattr(sanity, "check", functools.partial(sanity.check, max_steps=2))
    monkeypatch.setattr(viz, "to_png", lambda figure: b"")          # drawn on the host in any case, and slowly
    assert main(["train", model, "--data", data, "--device", "cuda", "--epochs", "1", "--out", str(folder)]) == 0
    trained = judged(folder)
    assert main(["evaluate", str(folder), "--device", "cuda"]) == 0
    assert judged(folder) == trained
    assert main(["evaluate", str(folder), "--device", "cpu"]) == 0
    for (accuracy, loss), (on_card, loss_on_card) in zip(judged(folder), trained):
        assert accuracy == on_card and loss == pytest.approx(loss_on_card, rel=1e-5)
