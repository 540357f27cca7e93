"""What `nanoemo fuse` has learned: kept, loaded, applied to a photograph and a recording; and `nanoemo predict` with it."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoemo import data, viz
from nanoemo.cli import main
from nanoemo.cli.predict_together import Outline
from nanoemo.data.clipset import RATE
from nanoemo.data.recordings import Silent
from nanoemo.data.windows import windows
from nanoemo.recognition import NoFace, Together
from nanoemo.training import RunFolder, RunFolderError, checkpoint, fused, fusion, joint, listening, ways
from nanoemo.training.ensemble import predictions

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: clips cannot be read")
pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")

WAYS = ["face", "voice", "weighted", "learned", "joint"]
CLASSES = ("angry", "happy", "sad")


@pytest.fixture(scope="module")
def members(fused_runs):
    return fusion.load_senses(fused_runs["FACE"], fused_runs["VOICE"])


@pytest.fixture(scope="module")
def kept(members, tmp_path_factory):
    """What was judged, and the folder that it was written to."""
    result = fused.judge(*members, seed=3)
    with RunFolder.create(tmp_path_factory.mktemp("kept") / "fusion") as folder:
        fused.write(result, folder)
    return result, folder.path


@pytest.fixture
def copy(kept, tmp_path):
    """A folder of the fusion that a test may spoil."""
    return Path(shutil.copytree(kept[1], tmp_path / "copy", ignore=shutil.ignore_patterns(".lock")))


def noise(seconds):
    return np.random.default_rng(1).normal(0, 0.1, round(seconds * RATE))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder to work in, with a picture that is a face, one that is none, and recordings."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(data.drawn_faces(1).images[0, ..., 0]).save("photo.png")
    Image.fromarray(np.full((200, 300, 3), 128, np.uint8)).save("wall.png")
    wave = noise(14)
    wave[5 * RATE:10 * RATE] = 0
    soundfile.write("clip.wav", noise(1), RATE)
    soundfile.write("talk.flac", wave, RATE)
    soundfile.write("silent.wav", np.zeros(RATE), RATE)


# ---- kept and loaded


def test_what_is_loaded_judges_as_what_was_learned(members, kept):
    """To the bit: for the test pairs the loaded fusion says just what was judged."""
    result, folder = kept
    loaded = ways.load(folder)
    assert loaded.ways.classes == CLASSES and loaded.note == result.note
    assert (loaded.face, loaded.voice) == tuple(Path(member.path).resolve() for member in members)
    answers, features = (fusion.pairs_of(senses, "test", result.seed) for senses in joint.senses(*members))
    before, after = result.ways(answers, features), loaded.ways(answers, features)
    assert list(after) == list(result.found) == WAYS
    for way, rows in after.items():
        np.testing.assert_array_equal(rows, before[way])
        again = predictions(rows, answers.truth)
        assert again.loss == result.found[way].loss and (again.predicted == result.found[way].predicted).all()
    assert (loaded.ways.layer.epoch, loaded.ways.layer.drawn) == (result.ways.layer.epoch, result.pairs["train"])


def test_pictures_and_waves_are_judged_as_the_runs_own_examples_were(members, kept):
    face, voice = members
    images, settings = face.experiment.splits["test"].images, voice.experiment.settings
    clips = listening.load_clips(settings, [])["test"]
    count = min(len(images), len(clips))
    told = Together(kept[1]).probabilities(images[:count], [clips.wave(index) for index in range(count)])
    senses = [tuple(sense.rows[:count] for sense in kind) for kind in zip(*(joint.ask(member, "test", CLASSES)
                                                                           for member in members))]
    expected = kept[0].ways(*(fusion.Pairs(*rows, None) for rows in senses))
    for way in WAYS:
        assert told[way].shape == (count, 3)
        np.testing.assert_allclose(told[way], expected[way], atol=1e-5)


def test_numbers_of_faces_and_voices_must_agree(kept):
    with pytest.raises(ValueError, match="2 faces, but 1 voices"):
        Together(kept[1]).probabilities(data.drawn_faces(2).images, [noise(1)])


def test_a_long_recording_gets_the_mean_over_what_is_not_silent(kept, files):
    together = Together(kept[1])
    judged = together("photo.png", "talk.flac", whole=True)
    assert judged.spans.shape == (12, 2) and judged.silent.tolist() == [5 <= start <= 7 for start in range(12)]
    with open("talk.flac", "rb") as file:
        waves = [piece.wave for piece in windows(file) if piece.wave.any()]
    rows = together.probabilities(np.stack([data.drawn_faces(1).images[0]] * 9), waves)
    for way, shares in judged.probabilities.items():
        assert tuple(shares) == CLASSES and sum(shares.values()) == pytest.approx(1)
        np.testing.assert_allclose(list(shares.values()), rows[way].mean(axis=0), atol=1e-5)
        assert judged.labels[way] == CLASSES[rows[way].mean(axis=0).argmax()]
    assert together.drawn and together.note.startswith("the pairs are made")


def test_nothing_seen_or_heard_is_an_error(kept, files):
    together = Together(kept[1])
    with pytest.raises(NoFace, match="no face found in the picture"):
        together("wall.png", "clip.wav")
    with pytest.raises(Silent, match="silent.wav: silent"):
        together("photo.png", "silent.wav", whole=True)


def test_what_is_written_last_makes_it_a_fusion(kept, tmp_path, monkeypatch):
    def full(*anything):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(viz, "save", full)
    with pytest.raises(OSError), RunFolder.create(tmp_path / "full") as folder:
        fused.write(kept[0], folder)
    assert not ways.is_fusion(folder.path)
    with pytest.raises(RunFolderError, match="is not the folder of a fusion: it has no fusion.json; `nanoemo fuse FACE_RUN"):
        ways.load(folder.path)


# ---- nanoemo predict


@pytest.mark.parametrize("order", [["photo.png", "clip.wav"], ["clip.wav", "photo.png"]])
def test_predict_says_what_each_way_says(kept, files, capsys, order):
    assert main(["predict", str(kept[1]), *order, "--whole", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(Path("out/predictions.json").read_text())
    assert told["classes"] == list(CLASSES) and told["drawn"] and "and series.cnn1, trained on clips" in told["model"]
    pair, = told["pairs"]
    assert (pair["picture"], pair["recording"], pair["figure"]) == ("photo.png", "clip.wav", "photo.png") and not err
    judged = Together(kept[1])("photo.png", "clip.wav", whole=True)
    assert list(pair["answers"]) == WAYS
    for way, answer in pair["answers"].items():
        assert answer["probabilities"] == {name: round(share, 4) for name, share in judged.probabilities[way].items()}
        assert answer["label"] == judged.labels[way] and f"\n{way:<9} {answer['label']}" in out
    assert "photo.png: a face; clip.wav: 1.0 s\n" in out and "the pairs are made" in out
    assert "trained on drawn faces: what it says of photographs means nothing" in out
    assert Path("out/photo.png").read_bytes()[:4] == b"\x89PNG"


def test_of_several_faces_the_largest_is_judged(kept, files, monkeypatch, capsys):
    images = data.drawn_faces(2).images
    faces = [data.Face(72, 24, 48.0, 0.0), data.Face(24, 24, 48.0, 0.0)]
    monkeypatch.setattr(data, "find_faces", lambda picture, **search: faces)
    Image.fromarray(np.concatenate(list(images), axis=1)[..., 0]).save("two.png")
    assert main(["predict", str(kept[1]), "two.png", "talk.flac", "--out", "out"]) == 0
    assert ("two.png: the largest of 2 faces; talk.flac: 14.0 s, mean over 9 windows, 3 more are silent\n"
            in capsys.readouterr().out)
    pair, = json.loads(Path("out/predictions.json").read_text())["pairs"]
    assert pair["faces"] == 2 and pair["face"]["x"] == 72 and (pair["windows"], pair["silent"]) == (12, 3)
    alone = Together(kept[1]).probabilities(images[1:], [noise(1)])["face"][0]
    np.testing.assert_allclose(list(pair["answers"]["face"]["probabilities"].values()), alone, atol=1e-4)


def refused(capsys, *words):
    """The one line of the error; nothing is written."""
    assert main(["predict", *map(str, words)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("nanoemo predict: error: ") and err.count("\n") == 1
    assert not Path("predictions").exists() and not Path("out").exists()
    return err


@pytest.mark.parametrize("words, message", [
    (["photo.png"], "give one picture and one recording"), (["photo.png", "wall.png"], "got photo.png and wall.png"),
    (["clip.wav", "clip.wav"], "got clip.wav and clip.wav"), (["photo.png", "clip.wav", "talk.flac"], "got 3 files"),
    (["phot.png", "clip.wav"], "did you mean photo.png?"), (["photo.png", "."], "not an ordinary file but a folder"),
    (["wall.png", "clip.wav"], "wall.png: no face found in the picture; for smaller faces: --search 4000"),
    (["photo.png", "silent.wav", "--whole"], "silent.wav: silent"),
    (["photo.png", "clip.wav", "--out", "photo.png"], "nothing is overwritten")])
def test_files_that_cannot_be_judged(kept, files, capsys, words, message):
    assert message in refused(capsys, kept[1], *words)


def rewrite(folder, change):
    about = json.loads((folder / "fusion.json").read_text())
    change(about)
    (folder / "fusion.json").write_text(json.dumps(about))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def numbers(folder):
    return folder / "fusion.safetensors"


def older(folder):
    numbers(folder).unlink()
    rewrite(folder, lambda about: about.pop("numbers"))


def of_other_classes(folder):
    rewrite(folder, lambda about: about["classes"].reverse())


SPOILT = {
    "was written by a version that did not keep": older,
    "fusion.safetensors is gone": lambda folder: numbers(folder).unlink(),
    "cut short, damaged": lambda folder: numbers(folder).write_bytes(numbers(folder).read_bytes()[:-8]),
    "damaged, or of another fusion than the fusion.json": lambda folder: flip(numbers(folder), -3),
    "of another fusion than the fusion.json beside it": of_other_classes,
    "not readable as JSON": lambda folder: (folder / "fusion.json").write_text("{"),
    "not what `nanoemo fuse` wrote": lambda folder: (folder / "fusion.json").write_text("[]"),
    "bring it back, or fuse the two runs anew": lambda folder: rewrite(folder, lambda about: about.pop("face")),
}


@pytest.mark.parametrize("message", SPOILT)
def test_a_fusion_that_cannot_be_used(kept, copy, files, capsys, message):
    SPOILT[message](copy)
    err = refused(capsys, copy, "photo.png", "clip.wav", "--whole")
    assert message in err
    if "fusion.json:" not in err:                       # where it is known how it was made
        runs = " ".join(str(Path(member.path).resolve()) for member in (kept[0].face, kept[0].voice))
        assert f"make it anew: nanoemo fuse {runs} --seed 3" in err


def test_a_run_that_has_moved(members, copy, files, capsys):
    rewrite(copy, lambda about: about["voice"].update(run=str(Path("gone").resolve())))
    err = refused(capsys, copy, "photo.png", "clip.wav", "--whole")
    assert "gone: the run on voices that" in err and 'fusion.json as "run" of "voice"' in err
    shutil.copytree(members[1].path, "elsewhere")
    rewrite(copy, lambda about: about["voice"].update(run="elsewhere"))
    assert main(["predict", str(copy), "photo.png", "clip.wav", "--whole", "--out", "out"]) == 0


def test_a_run_that_was_trained_on_since(members, copy, files, capsys):
    other = Path(shutil.copytree(members[0].path, "other"))
    arrays, meta = checkpoint.load(RunFolder.open(other).best_path)
    name = next(iter(arrays))
    checkpoint.save(RunFolder.open(other).best_path, {**arrays, name: arrays[name] * 2}, meta)
    rewrite(copy, lambda about: about["face"].update(run=str(other)))
    assert "other: its weights are not those that" in refused(capsys, copy, "photo.png", "clip.wav", "--whole")


# ---- the figure


def test_the_outline_of_windows_is_that_of_the_recording(files):
    for name, length in (("clip.wav", 1), ("talk.flac", 14)):
        outline = Outline()
        with open(name, "rb") as file:
            wave = np.zeros(length * RATE)
            for piece in outline(windows(file)):
                wave[round(piece.start * RATE):round(piece.end * RATE)] = piece.wave
        low, high = outline.halves
        np.testing.assert_array_equal(low, wave.reshape(len(low), -1).min(axis=1))
        np.testing.assert_array_equal(high, wave.reshape(len(high), -1).max(axis=1))
        assert len(low) == 150 * length


def test_the_figure_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"face_and_voice: probabilities of shape \(1, 3\) for 1 ways and 2 classes"):
        viz.face_and_voice(np.zeros((9, 9, 3), np.uint8), (4, 4, 4, 0), ([0], [0]), 1, {"face": [0.2, 0.3, 0.5]}, ["a", "b"])
