"""A run's network on photographs: prepared as in validation; and `nanoemo predict` with every kind of file."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from nanoemo import Tensor, data, files, no_grad, ops, viz
from nanoemo.cli import main, predict_kinds
from nanoemo.data import drawn_faces
from nanoemo.data.photo import gray as to_gray
from nanoemo.data.pictures import read_set
from nanoemo.data.source import open_source
from nanoemo.recognition import Recognizer
from nanoemo.training import Experiment, RunFolder, Settings, checkpoint

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


@pytest.fixture
def portrait(tmp_path):
    path = tmp_path / "portrait.jpg"
    Image.fromarray(astronaut()).save(path, quality=95)
    return path


# ---- the recognizer


@pytest.mark.parametrize("model", ["chater.dcnn", "alizadeh.shallow", "alizadeh.hybrid_shallow"])
def test_prepares_images_as_the_runs_validation_did(model, device, trains_a_paper, tmp_path):
    """Scaled alone; with the mean image taken away; with HOG features as a second input."""
    experiment = Experiment(Settings.from_recipe(model, limit=14, batch_size=14))
    folder = RunFolder.create(tmp_path / "run")
    experiment.begin(folder)
    checkpoint.save(folder.best_path, *experiment.trainer.state())
    *inputs, _ = next(iter(experiment.loader("validation")))
    experiment.model.eval()
    with no_grad():
        expected = ops.softmax(experiment.model(*map(Tensor, inputs))).numpy()
    recognizer = Recognizer(folder, device)
    found = recognizer.probabilities(experiment.splits["validation"].images[:2])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[:2], rtol=0, atol=1e-6 if device == "cpu" else 1e-4)


def test_recognizes_a_face_in_a_photograph(tiny_run, portrait):
    recognizer = Recognizer(tiny_run)
    found, = recognizer(portrait)
    assert list(found.probabilities) == NAMES and found.label == max(NAMES, key=found.probabilities.get)
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert np.hypot(found.face.x - 224, found.face.y - 117) < 8
    assert recognizer(str(portrait)) == recognizer(portrait) == recognizer(portrait)
    assert recognizer.drawn and recognizer.title == "chater.dcnn, trained on drawn faces"


def test_a_picture_that_is_a_face_already(tiny_run):
    """The whole picture reaches the network as it is."""
    image = drawn_faces(1).images[0]
    recognizer = Recognizer(tiny_run)
    found, = recognizer(image.repeat(3, axis=2), whole=True)
    np.testing.assert_allclose(list(found.probabilities.values()), recognizer.probabilities(image[None])[0], atol=1e-6)


def test_each_face_has_its_own_answer(tiny_run, monkeypatch):
    images = drawn_faces(2).images
    faces = [data.Face(72, 24, 48.0, 0.0), data.Face(24, 24, 48.0, 0.0)]
    monkeypatch.setattr(data, "find_faces", lambda picture: faces)
    recognizer = Recognizer(tiny_run)
    found = recognizer(np.concatenate(list(images), axis=1).repeat(3, axis=2))
    assert [one.face for one in found] == faces
    rows = recognizer.probabilities(images[::-1])
    np.testing.assert_allclose([list(one.probabilities.values()) for one in found], rows, atol=1e-6)
    assert np.abs(rows[0] - rows[1]).max() > 1e-4


@pytest.mark.parametrize("search, found_at, asked, searched", [
    ({}, 400, [{}], 400), ({}, 1000, [{}, {"longest": 1000}], 1000), ({"longest": 320}, 1000, [{"longest": 320}], 320),
    ({"longest": 2000}, 2000, [{"longest": 2000}], 2000)])
def test_where_no_face_is_found_it_is_searched_once_more(tiny_run, monkeypatch, search, found_at, asked, searched):
    """But not where the caller has said how: frames of a camera come several a second."""
    calls, face = [], data.Face(150, 150, 90.0, 0.0)
    monkeypatch.setattr(data, "find_faces", lambda picture, **given: calls.append(given) or (
        [face] if given.get("longest", 400) == found_at else []))
    found, at = Recognizer(tiny_run).recognize(np.zeros((300, 1200, 3), np.uint8), **search)
    assert calls == asked and at == searched and len(found) == (found_at == searched)


def test_a_picture_searched_at_its_own_size_is_not_searched_again(tiny_run, monkeypatch):
    calls = []
    monkeypatch.setattr(data, "find_faces", lambda picture: calls.append(1) or [])
    assert Recognizer(tiny_run).recognize(np.zeros((300, 400, 3), np.uint8)) == ([], 400) and len(calls) == 1


@pytest.mark.parametrize("height, width", [(30, 60), (60, 30)])
def test_of_a_whole_picture_the_square_about_its_centre_is_taken(tiny_run, height, width):
    found, = Recognizer(tiny_run)(astronaut()[:height, :width], whole=True)
    assert found.face[:4] == (width / 2, height / 2, 30, 0)


def test_a_whole_picture_is_read_as_pictures_to_train_on_are(tiny_run, tmp_path, rng):
    """So `predict --whole` gives what `evaluate` counts."""
    (tmp_path / "mine" / "happy").mkdir(parents=True)
    for number, size in enumerate(((50, 70), (70, 50), (150, 150), (48, 48), (20, 30))):
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(tmp_path / "mine" / "happy" / f"{number}.png")
    with open_source(tmp_path / "mine") as source:
        names = sorted(source.names)
        images = read_set(source, names, (48, 48, 1), ["happy"] * 5, ("happy",)).images
    recognizer = Recognizer(tiny_run)
    rows = [list(recognizer(tmp_path / "mine" / name, whole=True)[0].probabilities.values()) for name in names]
    np.testing.assert_allclose(rows, recognizer.probabilities(images), atol=1e-6)


def test_a_network_for_gray_pictures_is_shown_the_gray_of_all_colours(tiny_run):
    recognizer, photo = Recognizer(tiny_run), astronaut()
    assert recognizer(photo, whole=True) == recognizer(to_gray(photo), whole=True) != recognizer(photo[..., 0], whole=True)


def test_a_gray_array_is_answered_as_one_in_colour(tiny_run):
    recognizer, image = Recognizer(tiny_run), drawn_faces(1).images[0]
    for gray in (image, image[..., 0]):
        assert recognizer(gray, whole=True) == recognizer(image.repeat(3, axis=2), whole=True)
    photo = astronaut()[..., 0]
    assert recognizer(photo) == recognizer(np.stack([photo] * 3, axis=-1)) != []


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("picture, message", [
    (np.zeros((0, 0, 3), np.uint8), r"got uint8 \(0, 0, 3\)$"),
    (np.zeros((9, 9, 4), np.uint8), r"got uint8 \(9, 9, 4\)$"),
    (np.zeros((9, 9, 3)), r"got float64 \(9, 9, 3\); \(255 \* pixels\).astype\(np.uint8\) makes bytes"),
    (np.zeros(9, np.uint8), r"got uint8 \(9,\)$"),
])
def test_arrays_that_are_no_picture(tiny_run, picture, message, whole):
    with pytest.raises(ValueError, match=r"recognizer: expected a picture of dtype uint8 and shape \(H, W, 3\).*" + message):
        Recognizer(tiny_run)(picture, whole=whole)


@pytest.mark.parametrize("images", [np.zeros((2, 48, 48, 1), np.float32), np.zeros((2, 48, 48, 3), np.uint8),
                                    np.zeros((48, 48, 1), np.uint8)])
def test_probabilities_are_of_bytes_of_the_networks_size(tiny_run, images):
    with pytest.raises(ValueError, match=r"probabilities: expected images of dtype uint8 and shape \(N, 48, 48, 1\), got"):
        Recognizer(tiny_run).probabilities(images)


def damaged(run, tmp_path, **changes):
    """A copy of the run whose config.json has other settings."""
    folder = tmp_path / "damaged"
    shutil.copytree(run, folder)
    config = json.loads((folder / "config.json").read_text())
    config["settings"].update(changes.get("settings", {}))
    config["data"].update(changes.get("data", {}))
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("changes, message", [
    ({"settings": {"model": "series.dense_ae"}}, "is an auto-encoder"),
    ({"settings": {"model": "njoku.cnn"}}, "best.safetensors: the weights do not fit"),
    ({"settings": {"subtract_mean": True}}, "mean_image.npy"),
    ({"data": {"image_shape": [48, 64, 1]}}, "48×64"),
])
def test_runs_that_do_not_fit(tiny_run, tmp_path, changes, message):
    with pytest.raises((ValueError, OSError), match=message):
        Recognizer(damaged(tiny_run, tmp_path, **changes))


def test_run_without_a_finished_epoch(tiny_run, tmp_path):
    folder = damaged(tiny_run, tmp_path)
    (folder / "checkpoints" / "best.safetensors").unlink()
    (folder / "report.html").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="no epoch of it is finished"):
        Recognizer(folder)


# ---- the figure


def test_figure_shows_every_face():
    rows = np.eye(7)[[3, 0]]
    figure = viz.faces_in_photo(np.zeros((90, 60, 3), np.uint8), [(30, 20, 20, 10), (10, 85, 20, 0)], rows, NAMES, "two")
    photo, *bars = figure.axes
    assert [text.get_text() for text in photo.texts] == ["1  happy 100 %", "2  angry 100 %"]
    assert len(photo.patches) == 4 and len(bars) == 2
    corners = photo.patches[0].get_xy()[:4]
    np.testing.assert_allclose(corners.mean(axis=0), (30, 20))
    assert np.hypot(*(corners[1] - corners[0])) == pytest.approx(20)
    assert corners[1][1] > corners[0][1], "turned clockwise, the upper right corner lies lower"
    assert viz.to_png(figure)[:4] == b"\x89PNG"


def test_figure_without_faces_and_with_too_many():
    assert len(viz.faces_in_photo(np.zeros((1, 1, 3), np.uint8), [], [], NAMES).axes) == 1
    figure = viz.faces_in_photo(np.zeros((9, 9, 3), np.uint8), [(4, 4, 2, 0)] * 30, [np.full(7, 1 / 7)] * 30, NAMES)
    assert len(figure.axes) == 25 and "first 24 of 30 faces" in figure.get_suptitle()
    with pytest.raises(ValueError, match="1 faces, but probabilities for 2"):
        viz.faces_in_photo(np.zeros((9, 9, 3), np.uint8), [(4, 4, 2, 0)], np.full((2, 7), 1 / 7), NAMES)


# ---- nanoemo predict


def test_predict_writes_pictures_and_json(tiny_run, portrait, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(tiny_run), "portrait.jpg"]) == 0
    out = capsys.readouterr().out
    assert "portrait.jpg: 1 face: " in out and "drawn faces: what it says of photographs means nothing" in out
    folder = tmp_path / "predictions" / "tiny-1"
    result = json.loads((folder / "predictions.json").read_text())
    assert result["classes"] == NAMES and result["drawn"] and result["model"] == "chater.dcnn, trained on drawn faces"
    picture, = result["pictures"]
    assert (picture["file"], picture["width"], picture["height"], picture["figure"]) == ("portrait.jpg", 512, 512, "portrait.png")
    face, = picture["faces"]
    assert set(face) == {"x", "y", "side", "tilt", "support", "label", "probabilities"}
    assert Image.open(folder / "portrait.png").size[0] == 1320
    assert main(["predict", str(tiny_run), "portrait.jpg"]) == 0
    assert (tmp_path / "predictions" / "tiny-2" / "portrait.png").exists()


def test_predict_goes_on_after_a_file_that_is_none(tiny_run, portrait, tmp_path, capsys):
    (portrait.parent / "letter.jpg").write_text("Dear Sir")
    Image.new("RGB", (1, 1)).save(portrait.parent / "tiny.png")
    (tmp_path / "more").mkdir()
    shutil.copy(portrait, tmp_path / "more" / "Portrait.png")           # of the same name, and a JPEG by content
    out = tmp_path / "out"
    assert main(["predict", str(tiny_run), str(tmp_path), str(tmp_path / "more"), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.err == f"nanoemo predict: error: {tmp_path / 'letter.jpg'}: not a readable image; expected a JPEG or PNG " \
                       "file\n"
    assert "tiny.png: no face found" in said.out and "--whole" in said.out
    pictures = json.loads((out / "predictions.json").read_text())["pictures"]
    assert [len(picture.get("faces", "error")) for picture in pictures] == [5, 1, 0, 1]
    assert sorted(path.name for path in out.iterdir()) == ["Portrait-2.png", "portrait.png", "predictions.json", "tiny.png"]


def test_predict_goes_on_after_a_figure_that_cannot_be_drawn(tiny_run, tmp_path, monkeypatch, capsys):
    for name in ("a.png", "b.png"):
        Image.fromarray(drawn_faces(1).images[0, :, :, 0]).save(tmp_path / name)
    draw = viz.faces_in_photo

    def fails(picture, faces, rows, classes, title):
        if title.startswith("a.png"):
            raise ValueError("no such\nfigure")
        return draw(picture, faces, rows, classes, title)

    monkeypatch.setattr(viz, "faces_in_photo", fails)
    out = tmp_path / "out"
    assert main(["predict", str(tiny_run), str(tmp_path), "--whole", "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.err == f"nanoemo predict: error: {tmp_path / 'a.png'}: its figure cannot be drawn (no such figure); what was " \
                       "found is in predictions.json\n"
    assert "a.png: 1 face: " in said.out and "b.png: 1 face: " in said.out
    pictures = json.loads((out / "predictions.json").read_text())["pictures"]
    assert [(len(picture["faces"]), picture.get("figure")) for picture in pictures] == [(1, None), (1, "b.png")]


def test_predict_keeps_what_is_done_before_each_file(tiny_run, tmp_path, monkeypatch, capsys):
    """The next one may have the process killed; and one that needs too much memory is no reason to stop."""
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(drawn_faces(1).images[0, :, :, 0]).save(tmp_path / name)
    read, seen, out = data.read_photo, [], tmp_path / "out"

    def reads(path):
        if out.exists():
            seen.append([entry["file"][-5:] for entry in json.loads((out / "predictions.json").read_text())["pictures"]])
        if path.name == "b.png":
            raise MemoryError("Unable to allocate 9.5 GiB\nfor an array")
        return read(path)

    monkeypatch.setattr(data, "read_photo", reads)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)                     # each is written at once: writing takes no time
    assert main(["predict", str(tiny_run), str(tmp_path), "--whole", "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.err == f"nanoemo predict: error: {tmp_path / 'b.png'}: not enough memory (Unable to allocate 9.5 GiB for an " \
                       "array)\n"
    assert seen == [["a.png"], ["a.png", "b.png"]] and "c.png: 1 face: " in said.out
    entries = json.loads((out / "predictions.json").read_text())["pictures"]
    assert ["error" in entry for entry in entries] == [False, True, False]


def test_predict_does_not_write_after_each_of_thousands(tiny_run, tmp_path, monkeypatch):
    """Writing takes a tenth of the time at most, and the last is written all the same."""
    Image.fromarray(drawn_faces(1).images[0, :, :, 0]).save(tmp_path / "a.png")
    write, now, written = files.write_json, [0.0], []

    def slowly(path, value):
        now[0] += 1.0
        written.append(len(value["pictures"]))
        write(path, value)

    answer = predict_kinds.Faces.answer
    monkeypatch.setattr(files, "write_json", slowly)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(predict_kinds.Faces, "answer",
                        lambda kind, photo: now.__setitem__(0, now[0] + 2.0) or (*answer(kind, photo)[:2], None))
    out = tmp_path / "out"
    assert main(["predict", str(tiny_run), *[str(tmp_path / "a.png")] * 12, "--whole", "--out", str(out)]) == 0
    assert written == [1, 6, 11, 12] and len(json.loads((out / "predictions.json").read_text())["pictures"]) == 12


def test_predict_a_file_whose_name_is_no_utf8(tiny_run, tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        Image.fromarray(drawn_faces(1).images[0, :, :, 0]).save(tmp_path / name)
    except OSError:
        pytest.skip("this file system has no such names")
    (tmp_path / name).with_suffix(".jpg").write_text("none")
    out = tmp_path / "out"
    assert main(["predict", str(tiny_run), str(tmp_path), "--whole", "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert r"caf\xe9.png: 1 face: " in said.out and r"caf\xe9.jpg: not a readable image" in said.err
    files = [entry["file"] for entry in json.loads((out / "predictions.json").read_text())["pictures"]]
    assert files == [f"{tmp_path}/caf\\xe9.jpg", f"{tmp_path}/caf\\xe9.png"] and (out / r"caf\xe9.png").exists()


def small_face(size):
    """A picture (size, size, 3) whose only face has 6 % of the side at most."""
    picture = np.full((size, size, 3), 128, np.uint8)
    picture[:256, :256] = np.asarray(Image.fromarray(astronaut()).resize((256, 256)))        # its face has 48 pixels
    return Image.fromarray(picture)


def test_predict_finds_a_small_face_where_there_is_no_larger_one(tiny_run, portrait, tmp_path, capsys):
    small_face(1250).save(tmp_path / "small.png")
    out = tmp_path / "out"
    assert main(["predict", str(tiny_run), str(tmp_path), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "small.png: 1 face: " in said and "no face found" not in said
    assert ("scaled down for the search: 2 of 2 pictures; faces under 31 pixels in portrait.jpg were not searched for; "
            "--search 512 finds those from 24 pixels on\n") in said
    pictures = json.loads((out / "predictions.json").read_text())["pictures"]
    assert [picture["smallest"] for picture in pictures] == [30.7, 30.0]


def test_predict_says_which_faces_were_not_searched_for(tiny_run, tmp_path, capsys):
    """The face that is found hides that a smaller one is missed."""
    picture = small_face(1500)
    picture.paste(Image.fromarray(astronaut()).resize((1000, 1000)), (500, 500))
    picture.save(tmp_path / "two.png")
    assert main(["predict", str(tiny_run), str(tmp_path / "two.png"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "two.png: 1 face: " in said
    assert ("scaled down for the search: 1 of 1 pictures; faces under 90 pixels in two.png were not searched for; "
            "--search 1000 finds those from 36 pixels on\n") in said
    assert main(["predict", str(tiny_run), str(tmp_path / "two.png"), "--search", "1000", "--out", str(tmp_path / "more")]) == 0
    said = capsys.readouterr().out
    assert "two.png: 2 faces: " in said and "faces under 36 pixels" in said and "--search 1500 finds those from 24" in said
    assert main(["predict", str(tiny_run), str(tmp_path / "two.png"), "--search", "1500", "--out", str(tmp_path / "all")]) == 0
    assert "scaled down" not in capsys.readouterr().out


def test_beyond_the_finest_search_no_finer_one_is_advised():
    faces = predict_kinds.Faces(SimpleNamespace(search=4000))
    faces.shrunk = [(36.0, 4000, 6000, Path("wide.png"))]
    assert faces.advice(1) == ("scaled down for the search: 1 of 1 pictures; faces under 36 pixels in wide.png were not searched "
                               "for; cut the picture into parts to find them")


def test_predict_whole(tiny_run, tmp_path, capsys):
    Image.fromarray(drawn_faces(1).images[0, :, :, 0]).save(tmp_path / "face.png")
    assert main(["predict", str(tiny_run), str(tmp_path / "face.png"), "--whole", "--out", str(tmp_path / "out")]) == 0
    face, = json.loads((tmp_path / "out" / "predictions.json").read_text())["pictures"][0]["faces"]
    assert (face["x"], face["y"], face["side"], face["tilt"]) == (24, 24, 48, 0)


@pytest.mark.parametrize("args, message", [
    (["RUN", "portrat.jpg"], "did you mean portrait.jpg"),
    (["RUN", "empty"], "no pictures in this folder"),
    (["RUN", "letter.jpg"], "not a readable image"),
    (["RUN", "portrait.jpg", "--out", "full"], "nothing is overwritten"),
    (["RUN", "portrait.jpg", "--out", "letter.jpg"], "nothing is overwritten"),
    (["RUN", "portrait.jpg", "--search", "5"], "from 24 to 4000"),
    (["elsewhere", "portrait.jpg"], "no such folder"),
])
def test_bad_input_is_one_clear_error(tiny_run, portrait, tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "letter.jpg").write_text("Dear Sir")
    before = sorted(tmp_path.rglob("*"))
    try:
        status = main(["predict", *(str(tiny_run) if arg == "RUN" else arg for arg in args)])
    except SystemExit as left:
        status = left.code
    err = capsys.readouterr().err
    assert status == 2 and message in err and "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before, "nothing may be left behind"


def test_ctrl_c_keeps_what_is_done(tiny_run, portrait, tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "nanoemo", "predict", str(tiny_run), *[str(portrait)] * 50,
                                "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while ": 1 face" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == "nanoemo: stopped\n"
    done = json.loads((tmp_path / "out" / "predictions.json").read_text())["pictures"]
    assert 1 <= len(done) < 50 and all((tmp_path / "out" / picture["figure"]).exists() for picture in done)


def test_a_face_of_a_large_picture_is_marked_where_it_is_shown(tiny_run, tmp_path, monkeypatch):
    """Pictures are drawn smaller than they are, and the squares with them."""
    drawn, draw = [], viz.faces_in_photo
    monkeypatch.setattr(viz, "faces_in_photo", lambda *all_of_it: drawn.append(all_of_it[:2]) or draw(*all_of_it))
    size = 2 * predict_kinds.SHOWN
    Image.fromarray(np.full((size, size), 128, np.uint8)).save(tmp_path / "large.png")
    assert main(["predict", str(tiny_run), str(tmp_path / "large.png"), "--whole", "--out", str(tmp_path / "out")]) == 0
    (photo, ((x, y, side, _),)), = drawn
    assert photo.shape[:2] == (predict_kinds.SHOWN,) * 2
    assert (x, y, side) == pytest.approx((predict_kinds.SHOWN / 2, predict_kinds.SHOWN / 2, predict_kinds.SHOWN), abs=1)
