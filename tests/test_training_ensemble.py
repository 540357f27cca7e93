"""Ensembles: the mean and the stacking of made-up members, and of two runs from the command line."""
import json
import os
import shutil

import numpy as np
import pytest

from nanoemo.cli import main
from nanoemo.training import ensemble

RUN = ["--batch-size", "7", "--epochs", "1"]


def member(rng, truth, share, classes=3):
    """Probabilities of one that prefers the true class in `share` of the rows, and else another."""
    wrong = (truth + rng.integers(1, classes, len(truth))) % classes
    preferred = np.where(rng.random(len(truth)) < share, truth, wrong)
    return np.eye(classes)[preferred] * 0.6 + 0.4 / classes


def accuracy(probabilities, truth):
    return (probabilities.argmax(axis=1) == truth).mean()


def test_the_mean_of_many_is_better_than_each(rng):
    truth = rng.integers(0, 3, 3000)
    members = np.stack([member(rng, truth, 0.6) for _ in range(9)])
    together = ensemble.average(members)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    assert accuracy(together, truth) > 0.85 > 0.65 > max(accuracy(one, truth) for one in members)


def test_stacking_learns_whom_to_trust(rng):
    truth = rng.integers(0, 3, 4000)
    members = np.stack([member(rng, truth, 0.9)] + [member(rng, truth, 0.2) for _ in range(3)])
    combine = ensemble.stack(members[:, :2000], truth[:2000])
    unseen = members[:, 2000:], truth[2000:]
    assert accuracy(combine(unseen[0]), unseen[1]) > 0.88 > 0.6 > accuracy(ensemble.average(unseen[0]), unseen[1])
    np.testing.assert_allclose(combine(unseen[0]).sum(axis=1), 1)
    again = ensemble.stack(members[:, :2000], truth[:2000])
    assert (again(unseen[0]) == combine(unseen[0])).all()


def test_without_a_step_stacking_is_the_geometric_mean(rng):
    truth = rng.integers(0, 3, 20)
    members = np.stack([member(rng, truth, 0.5) for _ in range(3)])
    expected = np.prod(members, axis=0) ** (1 / 3)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ensemble.stack(members, truth, steps=0)(members), expected)


def test_a_member_that_is_sure_and_wrong_costs_no_infinity():
    told = ensemble.predictions(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1]))
    assert told.predicted.tolist() == [0, 1] and told.loss == pytest.approx(-np.log(ensemble.FLOOR) / 2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on small bright bands, of two models, one of which subtracts the mean image."""
    folder = tmp_path_factory.mktemp("runs")
    rng, lines = np.random.default_rng(0), ["emotion,pixels,Usage"]
    for n in range(42):
        image = rng.integers(0, 50, (48, 48))
        image[6 * (n % 7):6 * (n % 7) + 8] += 200
        lines.append(f"{n % 7},{' '.join(map(str, image.ravel()))},{('Training', 'PublicTest', 'PrivateTest')[n // 14]}")
    (folder / "small.csv").write_text("\n".join(lines) + "\n")
    before, os.environ["NANOEMO_CACHE"] = os.environ.get("NANOEMO_CACHE"), str(folder / "cache")
    data = ["--data", str(folder / "small.csv")]
    for name, words in (("a", ["chater.dcnn"]), ("b", ["alizadeh.shallow", "--option", "hidden=8"])):
        assert main(["train", *words, *RUN, *data, "--out", str(folder / name)]) == 0
    yield folder
    del os.environ["NANOEMO_CACHE"]
    os.environ.update({"NANOEMO_CACHE": before} if before else {})


def reported(folder, split):
    return json.loads((folder / split / "classification_report.json").read_text())


def test_members_say_what_their_own_reports_say(runs):
    for member in ensemble.load_members([runs / "a", runs / "b"]):
        for split in ("validation", "test"):
            told = ensemble.predictions(*ensemble.probabilities(member, split))
            report = reported(runs / member.path.split("/")[-1], split)
            assert (told.truth == told.predicted).mean() == pytest.approx(report["accuracy"])
            assert told.loss == pytest.approx(report["loss"], rel=1e-4)


@pytest.mark.parametrize("words, method, splits", [([], "averaging", {"validation", "test"}),
                                                   (["--stacking"], "stacking", {"test"})])
def test_the_command_judges_members_and_ensemble(runs, tmp_path, capsys, words, method, splits):
    out = tmp_path / "together"
    assert main(["ensemble", str(runs / "a"), str(runs / "b"), *words, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.count(str(runs / "a")) == len(splits) and f"  {method}\n" in printed
    assert {path.name for path in out.iterdir() if path.is_dir()} == splits
    assert reported(out, "test")["method"] == method and (out / "test" / "confusion_matrix.png").exists()


def test_what_cannot_be_judged_together(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, other = str(runs / "a"), tmp_path / "other"
    shutil.copytree(runs / "b", other)
    config = json.loads((other / "config.json").read_text())
    config["data"]["fingerprint"] = "0"
    (other / "config.json").write_text(json.dumps(config))
    empty = tmp_path / "empty"
    shutil.copytree(runs / "b", empty)
    (empty / "checkpoints" / "best.safetensors").unlink()
    (empty / "report.html").unlink(missing_ok=True)
    for words, message in (([a], "two different runs"), ([a, a], "two different runs"),
                           ([a, "nope"], "nope: there is no such folder"),
                           ([a, str(other)], "was trained on other data"), ([a, str(empty)], "no epoch of it is finished")):
        assert main(["ensemble", *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()
