"""Ensembles: the mean and the stacking of made-up members, and of two runs from the command line."""
import json
import shutil

import numpy as np
import pytest

from nanoemo.cli import main
from nanoemo.training import ensemble

pytestmark = pytest.mark.usefixtures("blank_pictures")

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


def test_stacking_of_members_that_are_sure_is_a_number():
    truth = np.arange(6) % 3
    sure, wrong = np.eye(3)[truth], np.eye(3)[(truth + 1) % 3]
    together = ensemble.stack(np.stack([sure, sure, wrong]), truth)(np.stack([sure, sure, wrong]))
    assert (together.argmax(axis=1) == truth).all() and np.isfinite(together).all()


def test_decay_pulls_towards_plain_averaging(rng):
    truth = rng.integers(0, 3, 60)
    members = np.stack([member(rng, truth, share) for share in (0.9, 0.3)])
    mean = ensemble.stack(members, truth, steps=0)(members)
    free, usual, pulled = (np.abs(ensemble.stack(members, truth, weight_decay=decay)(members) - mean).max()
                           for decay in (0, 0.01, 10))
    assert pulled < usual / 2 < usual < free


def test_stacking_learns_from_the_validation_set_alone_and_each_member_is_told_for_itself(monkeypatch):
    truth = np.arange(40) % 2
    right, wrong = np.eye(2)[truth] * 0.8 + 0.1, np.eye(2)[1 - truth] * 0.8 + 0.1
    told = {("a", "validation"): right, ("b", "validation"): wrong, ("a", "test"): wrong, ("b", "test"): right}
    monkeypatch.setattr(ensemble, "probabilities", lambda member, split: (told[member.path, split], truth))
    judged = ensemble.judge([ensemble.Member("a", None), ensemble.Member("b", None)], stacking=True)
    assert [(name, accuracy) for _, name, accuracy, _ in judged.table] == [("a", 0), ("b", 1), ("stacking", 0)]


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
    data = ["--data", str(folder / "small.csv")]
    for name, words in (("a", ["chater.dcnn"]), ("b", ["alizadeh.shallow", "--option", "hidden=8"])):
        assert main(["train", *words, *RUN, *data, "--out", str(folder / name)]) == 0
    return folder


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
    (empty / "history.json").unlink()
    (empty / "report.html").unlink(missing_ok=True)
    for words, message in (([a], "two different runs"), ([a, a], "two different runs"),
                           ([a, "nope"], "nope: there is no such folder"),
                           ([a, str(other)], "was trained on other data"), ([a, str(empty)], "no epoch of it is finished")):
        assert main(["ensemble", *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_one_run_by_two_names_and_data_that_have_changed(runs, tmp_path, capsys):
    for name in ("a", "b"):
        shutil.copytree(runs / name, tmp_path / name)
        config = json.loads((tmp_path / name / "config.json").read_text())
        config["data"]["fingerprint"] = "0"
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    for second, message in ((tmp_path / "b", "a was trained on any more; its images have changed"),
                            (tmp_path / "b" / ".." / "a", "two different runs")):
        assert main(["ensemble", str(tmp_path / "a"), str(second), "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err


def test_how_sure_a_member_is_counts_up_to_a_floor(rng):
    truth = rng.integers(0, 3, 60)
    members = np.stack([member(rng, truth, 0.8) for _ in range(2)])
    combine, other = ensemble.stack(members, truth), members[1, :1]
    sure, beyond = np.array([[1.0, ensemble.FLOOR, ensemble.FLOOR]]), np.array([[1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(combine(np.stack([sure, other])), combine(np.stack([beyond, other])))
    assert ensemble.FLOOR > 1e-15
