"""`nanoemo show`: each figure from a small run, and what cannot be shown."""
import json
import shutil

import numpy as np
import pytest

import nanoemo
from nanoemo import features, interpret, load_state
from nanoemo.cli import main, show_network
from nanoemo.training import Experiment, RunFolder, Settings, checkpoint
from small_data import write_bands, write_pictures
from training_runs import begun

MODEL = "chater.dcnn"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_bands(folder / "small.csv")
    return folder / "small.csv"


def train(*args):
    assert main(["train", *map(str, args)]) == 0


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A run of two epochs that kept its snapshots."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    train(MODEL, "--data", data, "--batch-size", 7, "--epochs", 2, "--snapshots", "--out", folder)
    return folder


def untrained(model, data, path, **settings):
    """The folder of a run of `model` as after one epoch, but with the initial weights: quicker."""
    experiment = Experiment(Settings.from_recipe(model, data, epochs=1, batch_size=7, **settings))
    folder = RunFolder.create(path)
    experiment.begin(folder)
    row = {"epoch": 1, "loss": 2.0, "accuracy": 0.1, "val_loss": 1.9, "val_accuracy": 0.2, "seconds": 5.0,
           "images_per_second": 7.0, "lr": 0.01}
    experiment.trainer.history = [row]
    folder.write_history([row])
    checkpoint.save(folder.best_path, *experiment.trainer.state())
    return path


@pytest.fixture(scope="module")
def other(data, tmp_path_factory):
    return untrained("series.cnn1", data, tmp_path_factory.mktemp("runs") / "other")


def show(capsys, *args):
    """The path that `nanoemo show` prints, checked to be that of a picture, and the figure as it was saved."""
    capsys.readouterr()
    assert main(["show", *map(str, args)]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("figure: ")
    return line.removeprefix("figure: ")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, for a look at what they show."""
    figures, save = [], nanoemo.viz.save
    monkeypatch.setattr(nanoemo.viz, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    return figures


@pytest.mark.parametrize("args, name", [
    (["curves"], "curves.png"),
    (["confusion"], "confusion_test.png"),
    (["confusion", "--normalised", "--split", "validation"], "confusion_normalised_validation.png"),
    (["classes"], "classes_test.png"),
    (["time"], "time.png"),
    (["activations", "--count", "5"], "activations.png"),
    (["activations", "--count", "2", "--layer", "4", "--layer", "7"], "activations.png"),
    (["filters"], "filters.png"),
    (["filters", "--layer", "3"], "filters.png"),
    (["dream", "--steps", "2"], "dream.png"),
    (["dream", "--steps", "2", "--class", "happy", "--count", "2"], "dream_happy.png"),
    (["dream", "--steps", "2", "--layer", "4", "--unit", "3", "--count", "1"], "dream_4_3.png"),
    (["saliency"], "saliency.png"),
    (["saliency", "--class", "sad", "--split", "train"], "saliency.png"),
    (["gradcam"], "gradcam.png"),
    (["gradcam", "--layer", "4", "--count", "3"], "gradcam.png"),
    (["samples"], "samples.png"),
])
def test_each_figure_goes_to_the_run(trained, capsys, args, name):
    path = show(capsys, args[0], trained, *args[1:])
    assert path == str(trained / "figures" / name)
    assert (trained / "figures" / name).read_bytes().startswith(b"\x89PNG")


def test_several_runs(trained, other, capsys, drawn, tmp_path):
    assert show(capsys, "curves", trained, other, "--out", tmp_path / "both.svg") == str(tmp_path / "both.svg")
    show(capsys, "time", trained, other)
    assert [line.get_label() for line in drawn[0].axes[0].get_lines()][::2] == [f"{MODEL}, training", "series.cnn1, training"]
    names = [label.get_text().splitlines() for label in drawn[1].axes[0].get_yticklabels()]
    history = json.loads((trained / "history.json").read_text())
    speed = sum(row["images_per_second"] * row["seconds"] for row in history) / sum(row["seconds"] for row in history)
    assert names == [[MODEL, f"2 epochs, {speed:,.0f} examples/s"], ["series.cnn1", "1 epoch, 7 examples/s"]]
    np.testing.assert_allclose(drawn[0].axes[0].get_lines()[1].get_ydata(), [row["val_loss"] for row in history])
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    show(capsys, "classes", trained, copy)
    names = [label.get_text() for label in drawn[2].axes[0].get_xticklabels()]
    assert names == ["trained", "copy"], "the same model twice goes by its folders"


def test_time_of_a_step(tmp_path, capsys, drawn):
    (tmp_path / "bench.json").write_text(json.dumps({"models": [
        {"model": "njoku.cnn", "batch_size": 32, "nanoemo": {"median_ms": 110.0}}]}))
    assert show(capsys, "time", tmp_path / "bench.json") == str(tmp_path / "bench.png")
    assert drawn[0].axes[0].texts[0].get_text() == "110"
    assert drawn[0].axes[0].get_yticklabels()[0].get_text() == "njoku.cnn\nbatches of 32"


def test_snapshots_are_the_weights_on_the_way(trained, data, tmp_path):
    """Before training and after 1, 2, 4 … epochs; the same bits where the run was broken off in between."""
    names = [f"epoch-{epoch:04}.safetensors" for epoch in (0, 1, 2)]
    assert [path.name for path in RunFolder.open(trained).snapshots().values()] == names
    arrays, _ = checkpoint.load(trained / "checkpoints" / "last.safetensors")
    last = load_state(trained / "snapshots" / names[2])
    assert last and all(np.array_equal(value, arrays[f"model.{name}"]) for name, value in last.items())
    folder = tmp_path / "run"
    train(MODEL, "--data", data, "--batch-size", 7, "--epochs", 1, "--snapshots", "--out", folder)
    train("--resume", folder, "--epochs", 3)
    for name in names:
        assert (folder / "snapshots" / name).read_bytes() == (trained / "snapshots" / name).read_bytes()
    assert len(list((folder / "snapshots").iterdir())) == 3, "3 is no power of two"


def test_activations_are_those_of_each_snapshot(trained, capsys, drawn):
    show(capsys, "activations", trained, "--layer", "7", "--count", "6")
    experiment = Experiment.of_run(RunFolder.open(trained))
    best = experiment.load_best(RunFolder.open(trained))
    assert [axes.get_title() for axes in drawn[0].axes] == [f"epoch {n}" + (", best" if n == best else "") for n in range(3)]
    images = experiment.splits["test"].take(6)
    for axes, path in zip(drawn[0].axes, RunFolder.open(trained).snapshots().values()):
        experiment.model.load_state_dict(load_state(path))
        found = interpret.outputs_of(experiment.model, experiment.inputs(images.images), ["7"])["7"]
        assert axes.get_xlabel() == f"{100 * interpret.sparsity(found):.0f} % zeros"


def test_a_run_that_can_be_resumed_knows_that_it_keeps_snapshots(data, tmp_path, monkeypatch):
    """However soon after its config.json it is killed."""
    def killed(self, folder):
        raise MemoryError("killed")

    monkeypatch.setattr(Experiment, "begin", killed)
    assert main(["train", MODEL, "--data", str(data), "--batch-size", "7", "--snapshots", "--out", str(tmp_path / "run")]) != 0
    assert (tmp_path / "run" / "snapshots").is_dir()


def test_the_trained_network_is_among_the_snapshots(trained, tmp_path, capsys, drawn):
    """Also where its epoch is no power of two."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    best = Experiment.of_run(RunFolder.open(folder)).load_best(RunFolder.open(folder))
    (folder / "snapshots" / f"epoch-{best:04}.safetensors").unlink()
    (folder / "snapshots" / "epoch-x.safetensors").write_text("not ours")
    show(capsys, "activations", trained, "--layer", "7", "--count", "6")
    show(capsys, "activations", folder, "--layer", "7", "--count", "6")
    whole, without = ([(axes.get_title(), axes.get_xlabel()) for axes in figure.axes] for figure in drawn)
    assert without == whole
    other = folder / "snapshots" / "epoch-0004.safetensors"
    nanoemo.save_state({"0.weight": np.ones(3, np.float32)}, other)
    assert main(["show", "activations", str(folder)]) == 2
    assert "epoch-0004.safetensors: not weights of chater.dcnn" in capsys.readouterr().err


def test_classes_that_the_data_do_not_have_are_no_answers(trained, tmp_path, capsys, drawn):
    write_pictures(tmp_path / "mine", "happy", "sad")
    show(capsys, "samples", trained, "--data", tmp_path / "mine")
    assert {label.get_text() for axes in drawn[0].axes[1::2] if axes.get_visible() for label in axes.get_yticklabels()} == {
        "happy", "sad"}
    assert [axes.get_title() for axes in drawn[0].axes[::2] if axes.get_visible()] == ["happy"] * 3 + ["sad"] * 3
    show(capsys, "saliency", trained, "--data", tmp_path / "mine")
    assert {axes.get_title().splitlines()[1] for axes in drawn[1].axes[:6]} <= {"→ happy", "→ sad"}


def test_without_snapshots_only_the_trained_network(other, capsys, drawn):
    assert main(["show", "activations", str(other)]) == 0
    assert "only the trained network" in capsys.readouterr().out
    assert [axes.get_title() for axes in drawn[0].axes] == ["epoch 1, best", "", ""]


def test_a_dream_is_of_what_was_asked(trained, capsys, drawn):
    show(capsys, "dream", trained, "--class", "sad", "--steps", "5", "--count", "3")
    captions = [axes.get_title() for axes in drawn[0].axes[:3]]
    for caption in captions:
        name, scores = caption.split("\n")
        before, after = (float(part.replace("−", "-")) for part in scores.split(" → "))
        assert name == "sad" and after > before


@pytest.mark.parametrize("model", ["alizadeh.hybrid_deep", "series.architecture1"])
def test_models_of_two_inputs_and_without_an_end_in_maps(model, data, tmp_path, capsys):
    """HOG features as a second input, mean image taken away; and maps that are not the last thing before the classifier."""
    run = untrained(model, data, tmp_path / "run", limit=7)
    for args in (["activations"], ["filters"], ["dream", "--steps", "1"], ["saliency"], ["gradcam"], ["samples"]):
        show(capsys, args[0], run, *args[1:])


@pytest.mark.parametrize("args, message", [
    (["curves", "absent"], "absent: there is no such folder"),
    (["dream", "RUN", "--class", "hapy"], "no class 'hapy'; did you mean happy?"),
    (["saliency", "RUN", "--class", "joy"], "no class 'joy'; there are angry, disgust"),
    (["gradcam", "RUN", "--layer", "conv"], "no layer 'conv'; there are 0 (Conv2d), 1 (ReLU)"),
    (["gradcam", "RUN", "--layer", "10"], "layer '10' gives (7, 512); expected maps"),
    (["activations", "RUN", "--layer", "10"], "layer 10 gives (512,), not maps"),
    (["filters", "RUN", "--layer", "1"], "1 is no 2-D convolution; there are 0, 3, 6"),
    (["dream", "RUN", "--layer", "0", "--unit", "99"], "no unit of layer '0' number 99; they run from 0 to 31"),
    (["dream", "RUN", "--unit", "3"], "--unit says which unit of a layer"),
    (["dream", "RUN", "--layer", "0", "--class", "sad"], "not allowed with argument"),
    (["dream", "RUN", "--smoothness", "3"], "smoothness is 3.0; expected a number from 0 to 0.25"),
    (["dream", "RUN", "--jitter", "-1"], "--jitter is -1"),
    (["samples", "RUN", "--count", "0"], "expected a whole number of at least 1, got '0'"),
    (["samples", "RUN", "--data", "absent.csv"], "absent.csv"),
    (["samples", "RUN", "--out", "a.gif"], "a.gif: a figure's name ends in .png, .svg or .pdf"),
    (["samples", "RUN", "--out", "nowhere/a.png"], "there is no folder nowhere"),
    (["confusion", "RUN", "--split", "train"], "has no train/confusion_matrix.csv; of a classifier it is made by: nanoemo"),
    (["classes", "RUN", "RUN"], "the same run twice"),
    (["time", "RUN", "bench.json"], "do not go on one axis"),
    (["time", "absent.json"], "absent.json"),
    (["show"], "invalid choice"),
])
def test_what_cannot_be_shown_is_one_clear_error(trained, tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in trained.rglob("*.png")}
    try:
        status = main(["show", *(str(trained) if arg == "RUN" else arg for arg in args)])
    except SystemExit as left:
        status = left.code
    err = capsys.readouterr().err
    assert status == 2 and message in err and "Traceback" not in err, err
    assert not list(tmp_path.iterdir()) and before == {path: path.read_bytes() for path in trained.rglob("*.png")}


@pytest.mark.parametrize("figure", ["activations", "dream", "saliency", "gradcam", "samples"])
def test_figures_of_images_are_refused_of_a_run_on_voices(voice_run, capsys, figure):
    assert main(["show", figure, str(voice_run)]) == 2
    assert "was trained on voices, and this figure shows images" in capsys.readouterr().err


def test_filters_need_no_data_and_say_where_there_are_none(trained, voices, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(show_network.Experiment, "of_run", lambda *anything: pytest.fail("the data are loaded"))
    show(capsys, "filters", trained)
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    begun(tmp_path / "conv1d", "chater.conv1d", {split: features.extract(clips, "vector162") for split, clips in voices.items()})
    assert main(["show", "filters", str(tmp_path / "conv1d")]) == 2
    assert "conv1d: its network has no 2-D convolution, so there are no filters to show" in capsys.readouterr().err


def test_a_run_that_is_not_ready_and_files_that_are_damaged(trained, tmp_path, capsys):
    def error_of(*args):
        assert main(["show", *map(str, args)]) == 2
        return capsys.readouterr().err

    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    path = folder / "snapshots" / "epoch-0001.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    assert "epoch-0001.safetensors" in error_of("activations", folder)
    (folder / "history.json").write_text("[")
    assert "history.json: damaged" in error_of("curves", folder)
    (folder / "history.json").unlink()
    assert "no epoch of it is finished" in error_of("curves", folder)
    (folder / "checkpoints" / "best.safetensors").unlink()
    (folder / "report.html").unlink(missing_ok=True)
    assert "no epoch of it is finished" in error_of("saliency", folder)
    table = folder / "test" / "confusion_matrix.csv"
    lines = table.read_text().splitlines()
    for damaged in ("true class,sad\nsad,many\n", "", "\n".join(lines[:3]), "\n".join([*lines[:-1], lines[-1][:-1] + "1.7"]),
                    "\n".join([*lines[:-1], lines[-1][:-1]]), "\n".join([*lines[:-1], lines[-1][:-1] + "-5"])):
        table.write_text(damaged)
        assert "confusion_matrix.csv: damaged" in error_of("confusion", folder)
    (folder / "test" / "per_class_accuracy.csv").write_text("")
    assert "per_class_accuracy.csv: damaged" in error_of("classes", folder)
    (tmp_path / "bench.json").write_text("{}")
    assert "bench.json: not what `nanoemo bench --json` writes" in error_of("time", tmp_path / "bench.json")
