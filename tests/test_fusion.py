"""A face and a voice together: matching classes, making pairs, weighing, learning; and `nanoemo fuse`."""
import json

import numpy as np
import pytest

from nanoemo.cli import main
from nanoemo.data import classnames
from nanoemo.training import Experiment, RunFolder, RunFolderError, checkpoint, ensemble, fused, fusion, joint


def said(rng, truth, share, classes=3):
    """Probabilities of one that prefers the true class in `share` of the rows, and else another."""
    wrong = (truth + rng.integers(1, classes, len(truth))) % classes
    return np.eye(classes)[np.where(rng.random(len(truth)) < share, truth, wrong)] * 0.6 + 0.4 / classes


def pairs(rng, face, voice, count=3000):
    truth = rng.integers(0, 3, count)
    return fusion.Pairs(said(rng, truth, face), said(rng, truth, voice), truth)


def accuracy(answer):
    return (answer.truth == answer.predicted).mean()


def test_classes_are_matched_by_what_they_mean():
    ckplus = ["anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"]
    emodb = ["angry", "disgust", "fear", "happy", "sad", "neutral", "boredom"]
    assert classnames.common_classes(ckplus, emodb) == ("angry", "disgust", "fear", "happy", "sad")
    with pytest.raises(ValueError, match="have 1 in common"):
        classnames.common_classes(["anger", "calm"], ["angry", "happy"])
    rows = fusion.on_common([[0.1, 0.5, 0.3, 0.1], [0, 1, 0, 0]], ["sadness", "contempt", "anger", "rage"], ("angry", "sad"))
    np.testing.assert_allclose(rows, [[0.75, 0.25], [0.5, 0.5]])


def test_pairs_are_of_one_class_and_share_nothing(rng):
    faces, voices = rng.integers(-1, 4, 300), rng.integers(-1, 4, 100)
    left, right = fusion.draw_pairs(faces, voices, np.random.default_rng(1))
    assert (faces[left] == voices[right]).all() and (faces[left] >= 0).all()
    assert len(set(left)) == len(left) and len(set(right)) == len(right) == (voices >= 0).sum()
    again, other = (fusion.draw_pairs(faces, voices, np.random.default_rng(seed))[0] for seed in (1, 2))
    assert (again == left).all() and not (other == left).all()


def test_two_that_err_apart_are_better_together(rng):
    weight, found = fusion.judge(pairs(rng, 0.7, 0.7), pairs(rng, 0.7, 0.7))
    assert 0.35 <= weight <= 0.65
    assert list(found) == ["face", "voice", "weighted", "learned"]
    # Alike in strength they only break each other's ties: with the learned way no worse than either.
    assert min(accuracy(found["weighted"]), accuracy(found["learned"])) > accuracy(found["face"]) - 0.02
    assert found["weighted"].loss < min(found["face"].loss, found["voice"].loss) - 0.05


def test_the_better_one_is_trusted_more_and_noise_hardly(rng):
    weight, found = fusion.judge(pairs(rng, 0.5, 0.9), pairs(rng, 0.5, 0.9))
    assert weight < 0.4
    weight, found = fusion.judge(pairs(rng, 0.9, 1 / 3), pairs(rng, 0.9, 1 / 3))
    assert weight > 0.8 and abs(accuracy(found["learned"]) - accuracy(found["face"])) < 0.02


def test_nothing_is_learned_from_the_test_pairs(rng):
    """On the validation pairs the face is the better one, on the test pairs the voice: weight and stack go by the former."""
    weight, found = fusion.judge(pairs(rng, 0.95, 0.4), pairs(rng, 0.4, 0.95))
    assert weight > 0.8
    assert accuracy(found["learned"]) < 0.6 < accuracy(found["voice"])


def test_each_half_of_a_pair_is_of_the_pairs_class(rng):
    labels = rng.integers(0, 3, 40), rng.integers(-1, 3, 60)
    faces, voices = (fusion.Sense(np.column_stack([own, np.arange(len(own))]), own) for own in labels)
    made = fusion.pair(faces, voices, np.random.default_rng(0))
    assert (made.face[:, 0] == made.truth).all() and (made.voice[:, 0] == made.truth).all()
    for half in (made.face, made.voice):
        assert len(set(half[:, 1])) == len(half)


def test_each_split_has_pairs_of_its_own_drawing():
    numbers = {fusion.drawing(seed, split).integers(2**62) for seed in (0, 1) for split in ("validation", "test", "train")}
    assert len(numbers) == 6


# ---- nanoemo fuse


def test_fuse_says_that_its_pairs_are_made(fused_runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fuse", fused_runs["FACE"], fused_runs["VOICE"]]) == 0
    out = capsys.readouterr().out
    assert "the pairs are made: a face of drawn faces and a voice of clips" in out
    assert "3 classes in common: angry, happy, sad" in out and "weight of the face" in out
    result = json.loads((tmp_path / "runs/fusion-1/fusion.json").read_text())
    assert list(result["test"]) == ["face", "voice", "weighted", "learned", "joint"] and "the pairs are made" in result["note"]
    assert result["joint"]["features"] == 256 + 126 and f"chose epoch {result['joint']['epoch']}\n" in out
    assert 1 <= result["pairs"]["test"] <= 6 and result["classes"] == ["angry", "happy", "sad"]
    assert (tmp_path / "runs/fusion-1/accuracy.png").read_bytes()[:4] == b"\x89PNG"


def test_other_faces_are_fused_on_the_classes_that_all_know(fused_runs, tmp_path, monkeypatch, capsys):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for kind, name in enumerate(("anger", "contempt", "joy")):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(20):
            image.new("L", (48, 48), 50 * kind + number).save(tmp_path / "faces" / name / f"{number}.png")
    assert main(["fuse", fused_runs["FACE"], fused_runs["VOICE"], "--faces", "faces"]) == 0
    out, err = capsys.readouterr()
    assert "2 classes in common: angry, happy" in out and "Left out: 20 of its 60 images" in err


def test_each_network_runs_once_over_each_split(fused_runs, monkeypatch):
    face, voice = fusion.load_senses(fused_runs["FACE"], fused_runs["VOICE"])
    asked, loader = [], Experiment.loader
    monkeypatch.setattr(Experiment, "loader", lambda self, split: asked.append((self.noun, split)) or loader(self, split))
    answers, features = joint.senses(face, voice)
    assert len(asked) == len(set(asked)) == 6
    for member, place in ((face, 0), (voice, 1)):
        for split in ("validation", "test"):
            rows, _ = ensemble.probabilities(member, split)             # what it says alone, to the bit
            expected = fusion.on_common(rows, member.experiment.classes, fusion.common_of(face, voice))
            np.testing.assert_array_equal(answers[split][place].rows, expected)
            assert (answers[split][place].labels == features[split][place].labels).all()


def test_the_same_seed_gives_the_same_file(fused_runs, tmp_path, capsys):
    for name, seed in (("one", "5"), ("again", "5"), ("other", "6")):
        assert main(["fuse", fused_runs["FACE"], fused_runs["VOICE"], "--seed", seed, "--out", str(tmp_path / name)]) == 0
    one, again, other = ((tmp_path / name / "fusion.json").read_bytes() for name in ("one", "again", "other"))
    assert one == again != other


def test_ctrl_c_leaves_nothing(fused_runs, tmp_path, monkeypatch, capsys):
    def stopped(*anything):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(joint, "learn", stopped)
    assert main(["fuse", fused_runs["FACE"], fused_runs["VOICE"]]) == 130
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == "nanoemo: stopped\n"


@pytest.mark.parametrize("args, message", [
    (["VOICE", "FACE"], "was trained on voices; a run that was trained on faces is wanted"),
    (["FACE", "FACE"], "was trained on faces; a run that was trained on voices is wanted"),
    (["FACE", "absent"], "absent: there is no such folder"), (["FACE", "VOICE", "--voices", "absent"], "absent: no such file")])
def test_bad_input_is_one_clear_error(fused_runs, tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    assert main(["fuse", *(fused_runs.get(arg, arg) for arg in args)]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_the_folder_is_held_while_it_is_written(fused_runs, tmp_path, monkeypatch, capsys):
    def second(result, folder):
        with pytest.raises(RunFolderError, match="in use by another process"), RunFolder(folder.path):
            pass

    monkeypatch.setattr(fused, "write", second)
    assert main(["fuse", fused_runs["FACE"], fused_runs["VOICE"], "--out", str(tmp_path / "out")]) == 0


def test_the_networks_have_their_best_weights(fused_runs):
    folders = fused_runs["FACE"], fused_runs["VOICE"]
    for run, member in zip(folders, fusion.load_senses(*folders)):
        kept, _ = checkpoint.load(RunFolder.open(run).best_path)
        for name, array in member.experiment.trainer.model.state_dict().items():
            np.testing.assert_array_equal(array, kept[f"model.{name}"])
