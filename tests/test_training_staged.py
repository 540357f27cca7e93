"""The series paper's procedure: each stage begins with the best of the one before; broken off, it ends with the same bits."""
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nanoemo import data, models
from nanoemo.cli import main
from nanoemo.training import Callback, RunFolder, RunFolderError, Settings, StagedExperiment, checkpoint, report, staged
from nanoemo.training.stages import PAPER, REVERSED, build_stage

pytestmark = pytest.mark.usefixtures("blank_pictures")

ARCHITECTURES = ("series.architecture1", "series.architecture2", "series.speech")


# ---- a run ------------------------------------------------------------------------------------------------


SETTINGS = {"epochs": 2, "batch_size": 4, "lr": 1e-3, "optimizer": "adam", "stages": True}


def experiment(name="series.architecture2", device="cpu", **options):
    """Twelve noisy images a split, in two classes, one darker: 3 steps an epoch, 30 in all."""
    splits = {}
    for number, split in enumerate(("train", "validation", "test")):
        labels = np.arange(12) % 2
        images = np.random.default_rng(number).integers(0, 120, (12, 12, 12, 1)) + 120 * labels[:, None, None, None]
        splits[split] = data.ImageSet(images.astype(np.uint8), labels, ("dark", "light"), name=f"noise {split}")
    settings = Settings(name, options={"cnn": "cnn1", **options}, device=device, **SETTINGS)
    return StagedExperiment(settings, splits)


class Stop(Callback):
    """Asks to stop after so many steps; is itself the flag."""

    def __init__(self, steps=None):
        self.left = steps

    def __bool__(self):
        return self.left == 0

    def step_end(self, trainer):
        if self.left:
            self.left -= 1


def carry_out(path, stop=None, say=lambda line: None, **how):
    """Begin the run in `path`, or go on with it, until `stop`; whether it is done."""
    made, folder, stop = experiment(**how), RunFolder(path), Stop() if stop is None else stop
    if folder.config_path.exists():
        made.resume(folder)
    else:
        path.mkdir()
    with folder:
        made.begin(folder)
        return made.run(folder, stop, stop, say=say)


def left_behind(path):
    """All weights and histories of a run, without what depends on the clock."""
    states = {}
    for file in sorted(path.rglob("*.safetensors")):
        arrays, meta = checkpoint.load(file)
        clock = {"seconds", "images_per_second", "waiting"}
        history = [{key: value for key, value in row.items() if key not in clock} for row in meta["history"]]
        states[file.relative_to(path)] = {k: v.tobytes() for k, v in arrays.items()}, history, meta["random"]
    return states


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    lines = []
    assert carry_out(path, say=lines.append)
    return path, lines


def test_a_run_leaves_a_folder_a_stage(whole_run):
    path, lines = whole_run
    assert sorted(p.name for p in path.iterdir() if (p / "config.json").exists()) == [
        "1-cnn", "2-auto-encoder", "3-auto-encoder-tuned", "4-classifier", "5-classifier-tuned"]
    for number, stage in enumerate(PAPER, start=1):
        place = path / f"{number}-{stage.name}"
        plot = "loss" if stage.reconstructs else "accuracy"
        for name in ("network.png", f"{plot}.png", "checkpoints/best.safetensors", "report.html", "summary.txt"):
            assert (place / name).stat().st_size > 0, (stage.name, name)
        assert (place / "reconstructions.png").exists() == stage.reconstructs
        assert (place / "test" / "confusion_matrix.png").exists() == (not stage.reconstructs)
        rate = json.loads((place / "config.json").read_text())["settings"]["lr"]
        assert rate == pytest.approx(1e-4 if stage.fine_tunes else 1e-3)
        assert any(line.startswith(f"stage {number} of 5: {stage.does}") for line in lines)
    page = (path / "report.html").read_text()
    assert page.count("<h3>Stage ") == 5 and "5–9" in page and "Total params" in page
    assert page.count("data:image/png;base64,") == 5 + 5 + 2 + 6       # networks, plots, reconstructions, two splits


def test_frozen_weights_are_those_of_the_stage_before(whole_run):
    path, _ = whole_run

    def part(stage, name, which="best"):
        arrays, _ = checkpoint.load(path / stage / "checkpoints" / f"{which}.safetensors")
        return {k: v.tobytes() for k, v in arrays.items() if k.startswith(f"model.{name}.")}

    assert part("1-cnn", "extractor") == part("2-auto-encoder", "extractor", "last")
    assert part("2-auto-encoder", "extractor") != part("3-auto-encoder-tuned", "extractor")
    for name in ("extractor", "encoder"):
        assert part("3-auto-encoder-tuned", name) == part("4-classifier", name, "last")
        assert part("4-classifier", name) != part("5-classifier-tuned", name)


def test_each_stage_begins_with_the_best_weights_of_all_that_it_keeps(whole_run):
    folder = RunFolder(whole_run[0])
    for number, stage in enumerate(PAPER[1:], start=2):
        kind = staged.AutoEncoderStage if stage.reconstructs else staged.ClassifierStage
        model = kind(experiment(), number, folder).make_model()
        before, _ = checkpoint.load(folder.stage(number - 1, PAPER[number - 2].name).best_path)
        for name, array in model.state_dict().items():
            if name.split(".")[0] in stage.keeps:
                assert array.tobytes() == before[f"model.{name}"].tobytes(), (number, name)


def test_not_with_the_last_weights(whole_run, tmp_path):
    """Which are the best ones in that run."""
    path = tmp_path / "run"
    shutil.copytree(whole_run[0], path)
    folder = RunFolder(path)
    before = folder.stage(1, PAPER[0].name)
    best, meta = checkpoint.load(before.best_path)
    checkpoint.save(before.last_path, {name: array + 1 if name.startswith("model.") else array for name, array in best.items()},
                    meta)
    model = staged.AutoEncoderStage(experiment(), 2, folder).make_model()
    for name, array in model.state_dict().items():
        if name.split(".")[0] in PAPER[1].keeps:
            assert array.tobytes() == best[f"model.{name}"].tobytes(), name


def test_the_architecture_has_the_best_weights_of_the_last_stage(whole_run, tmp_path):
    """Which need not be the last ones, as they are in that run."""
    path = tmp_path / "run"
    shutil.copytree(whole_run[0], path)
    last = path / "5-classifier-tuned" / "checkpoints" / "best.safetensors"
    arrays, meta = checkpoint.load(last)
    checkpoint.save(last, {name: 2 * array if name.startswith("model.") else array for name, array in arrays.items()}, meta)
    assert carry_out(path)
    assert (path / "checkpoints" / "best.safetensors").read_bytes() == last.read_bytes()


def test_the_table_of_stages_tells_of_their_best_epochs(whole_run, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(whole_run[0], path)
    folder = RunFolder(path)
    history = folder.stages()[0].path / "history.json"
    best = {**json.loads(history.read_text())[-1], "epoch": 1, "val_loss": 0.125, "val_accuracy": 0.875}
    last = {**best, "epoch": 2, "val_loss": 2.5, "val_accuracy": 0.25, "seconds": 0.0}
    tables = []
    for rows in ([best], [best, last], [last]):
        history.write_text(json.dumps(rows))
        tables.append(report._stages(folder, folder.config()))
    assert tables[0] == tables[1] != tables[2]


def test_settings_that_do_not_speak_of_stages_are_of_a_training_in_stages_all_the_same():
    whole = experiment()
    again = StagedExperiment(replace(whole.settings, stages=False), whole.splits)
    assert again.config()["settings"] == whole.config()["settings"]


@pytest.mark.parametrize("damage", [lambda stages: stages[0].update(colour="red"), lambda stages: stages[1].pop("keeps"),
                                    lambda stages: stages[2].update(name="")])
def test_stages_in_a_damaged_folder_are_one_clear_error(whole_run, tmp_path, damage):
    path = tmp_path / "run"
    shutil.copytree(whole_run[0], path)
    config = json.loads((path / "config.json").read_text())
    damage(config["stages"])
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunFolderError, match="config.json: its 'stages' are not those of a run"):
        experiment().resume(RunFolder(path))


def test_other_data_is_refused_when_a_run_goes_on(whole_run):
    other = experiment()
    other.splits["train"] = other.splits["train"].take(11)
    with pytest.raises(ValueError, match="began on other data"):
        StagedExperiment(other.settings, other.splits).resume(RunFolder(whole_run[0]))


def test_what_is_left_is_a_run_of_the_architecture(whole_run):
    path, _ = whole_run
    arrays, _ = checkpoint.load(path / "checkpoints" / "best.safetensors")
    model = models.build("series.architecture2", 2, (12, 12, 1), cnn="cnn1")
    model.load_state_dict({k.removeprefix("model."): v for k, v in arrays.items() if k.startswith("model.")})


def test_stopped_again_and_again_it_ends_with_the_same_bits(whole_run, tmp_path):
    """Every fourth step of 30: within an epoch, at the end of one, and at the end of a stage."""
    times = 0
    while not carry_out(tmp_path / "run", Stop(4)):
        times += 1
    assert times == 7
    assert left_behind(tmp_path / "run") == left_behind(whole_run[0])


def test_stopped_while_it_measures_the_features_it_ends_with_the_same_bits(whole_run, tmp_path):
    stop = Stop()

    def say(line):
        if line.startswith("stage 2"):
            stop.left = 0

    assert not carry_out(tmp_path / "run", stop, say)
    assert carry_out(tmp_path / "run")
    assert left_behind(tmp_path / "run") == left_behind(whole_run[0])


def test_broken_off_while_it_writes_it_ends_with_the_same_bits(whole_run, tmp_path, monkeypatch):
    """An exception in place of a kill: when a stage is judged, and before another has saved anything."""
    with monkeypatch.context() as broken:
        broken.setattr(staged.AutoEncoderStage, "_draw_reconstructions", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            carry_out(tmp_path / "run")
    with monkeypatch.context() as broken:
        broken.setattr(staged.StageExperiment, "begin", lambda self, folder: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            carry_out(tmp_path / "run")
    assert carry_out(tmp_path / "run")
    assert left_behind(tmp_path / "run") == left_behind(whole_run[0])


@pytest.mark.parametrize("name", ARCHITECTURES[:2])
def test_the_ablation_trains_the_auto_encoder_first(tmp_path, name):
    assert carry_out(tmp_path / "run", name=name, reverse=True)
    model = build_stage(REVERSED, 5, name, 2, (12, 12, 1), "cnn1")
    arrays, _ = checkpoint.load(tmp_path / "run" / "checkpoints" / "best.safetensors")
    assert [k for k in arrays if k.startswith("model.")] == sorted(f"model.{k}" for k in model.state_dict())
    assert (tmp_path / "run" / "1-auto-encoder" / "reconstructions.png").exists()


def test_a_procedure_of_ones_own(tmp_path, monkeypatch, capsys):
    """The one in docs/series.md, which SGD fine-tunes: in the folder, and after a break from the command line."""
    page = (Path(__file__).parent.parent / "docs" / "series.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(from dataclasses.*?)```", page, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(staged.AutoEncoderStage, "_draw_reconstructions", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            exec(code, {})
    assert main(["train", "--resume", "runs/mine"]) == 0
    assert "Frozen: nothing; sgd, learning rate 0.001" in capsys.readouterr().out
    settings = [json.loads(path.read_text())["settings"] for path in sorted(Path("runs/mine").glob("*/config.json"))]
    assert [(each["optimizer"], each["lr"]) for each in settings] == [("adam", 1e-3)] * 2 + [
        ("sgd", 1e-3), ("adam", 1e-3), ("sgd", 1e-3)]


@pytest.mark.parametrize("stages, message", [
    (PAPER[1:], "stage 'auto-encoder' keeps 'extractor'; expected one of nothing"),
    ((PAPER[0], replace(PAPER[1], frozen=("classifier",))), "'auto-encoder' freezes 'classifier'; expected one of extractor"),
    ((replace(PAPER[0], adds="cnn1"),), "stage 'cnn' adds 'cnn1'; expected one of cnn, auto-encoder, perceptron"),
    (PAPER[:3], "the last stage, 'auto-encoder-tuned', does not end in series.architecture2: .* parameters differ"),
    ((*PAPER[:4], replace(PAPER[4], optimizer="sdg")), "optimizer is 'sdg'; expected one of sgd, "),
    ((*PAPER[:4], replace(PAPER[4], lr=0.0)), "lr is 0.0; expected a positive learning rate"),
    ((*PAPER[:4], replace(PAPER[4], frozen=PAPER[4].keeps)), "stage 'classifier-tuned' freezes all that could learn"),
    ([], r"expected one Stage or more, got \[\]"),
    ("paper", "expected one Stage or more, got 'paper'"),
])
def test_a_procedure_that_cannot_work_is_refused_before_it_begins(stages, message):
    whole = experiment()
    with pytest.raises((TypeError, ValueError), match=message):
        StagedExperiment(whole.settings, whole.splits, stages=stages)


def test_a_stage_must_have_a_name_that_a_folder_can_have():
    with pytest.raises(ValueError, match="a stage called 'a/b': its name is that of a folder"):
        replace(PAPER[0], name="a/b")
    with pytest.raises(ValueError, match="its name is that of a folder"):
        replace(PAPER[0], name="a" * 300)
    with pytest.raises(TypeError, match=r"stage 'classifier': expected a tuple of parts, got 'encoder'; write \('encoder',\)"):
        replace(PAPER[3], frozen="encoder")


def test_all_stages_on_the_card(tmp_path, card):
    assert carry_out(tmp_path / "run", device="cuda")
    histories = {place.parent.name: json.loads(place.read_text()) for place in (tmp_path / "run").glob("*/history.json")}
    assert len(histories) == 5 and all(len(rows) == 2 for rows in histories.values())
    assert histories["2-auto-encoder"][-1]["loss"] < histories["2-auto-encoder"][0]["loss"]


# ---- from the command line ----------------------------------------------------------------------------------


def train(*args):
    return main(["train", *map(str, args)])


def test_from_the_command_line(tmp_path, capsys):
    run = tmp_path / "run"
    small = ("--limit", 7, "--batch-size", 7, "--epochs", 1)
    assert train("series.architecture1", *small, "--option", "cnn=cnn1", "--fine-tuning", 0.5, "--out", run) == 0
    out = capsys.readouterr().out
    assert "(section 4: 5–9). Frozen: extractor; adam, learning rate 0.001" in out
    assert "(section 4: 10). Frozen: nothing; adam, learning rate 0.0005" in out
    assert "1 epoch in each stage" in out and "stage 5 of 5" in out and out.rstrip().endswith("report.html")
    assert main(["evaluate", str(run), "--split", "test"]) == 0
    assert "series.architecture1 on drawn faces, test set" in capsys.readouterr().out
    for figure in ("curves", "time"):
        assert main(["show", figure, str(run)]) == 0
    history = run / "2-auto-encoder" / "history.json"
    before = history.read_text()
    history.write_text("[{}]")
    assert train("--resume", run) == 0
    assert history.read_text() == before
    assert "5 of 5 stages are done" in capsys.readouterr().out
    for args, message in (
            (("--resume", run / "2-auto-encoder"), f"is one stage of the run {run}; give that folder"),
            (("--resume", run, "--epochs", 2), "was begun with 1 epoch a stage"),
            (("--resume", run, "--option", "cnn=cnn2"), "cannot change it to {'cnn': 'cnn2'}"),
            (("--resume", run, "--no-stages"), "was begun with stages True")):
        assert train(*args) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("args, message", [
    (("njoku.cnn", "--stages"), "njoku.cnn is trained as a whole"),
    (("njoku.cnn", "--fine-tuning", 1), "fine tuning 1: a stage does that, and this training has none; leave it out"),
    (("series.architecture1", "--fine-tuning", 0), "fine_tuning is 0.0; expected a positive share of the learning rate"),
    (("series.architecture1", "--option", "cnn=cnn9"), "cnn is 'cnn9'; expected one of cnn1, cnn2"),
    (("series.architecture1", "--option", "depth=2"), "no option depth; its options are cnn, reverse"),
    (("series.architecture1", "--option", "reverse=perhaps"), "reverse is 'perhaps'; expected True or False"),
])
def test_what_cannot_be_trained_is_refused_in_one_line(args, message, capsys, tmp_path):
    assert train(*args, "--limit", 7, "--out", tmp_path / "run") == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_option_without_a_value_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        train("series.architecture1", "--option", "cnn1")
    assert stopped.value.code == 2
    assert "expected NAME=VALUE, such as cnn=cnn1, got 'cnn1'" in capsys.readouterr().err


def test_all_at_once_is_one_training(tmp_path, capsys):
    assert train("series.architecture1", "--no-stages", "--limit", 7, "--batch-size", 7, "--epochs", 1,
                 "--option", "cnn=cnn1", "--out", tmp_path / "run") == 0
    assert "stage 1" not in capsys.readouterr().out
    assert not list((tmp_path / "run").glob("*/config.json"))


def test_snapshots_of_a_training_in_stages_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "series.architecture1", "--limit", "14", "--snapshots"]) == 2
    assert "--snapshots: none are kept of a training in stages" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["series.dense_ae", "series.conv_ae"])
def test_an_auto_encoder_alone_learns_to_make_its_input_again(tmp_path, monkeypatch, capsys, model):
    monkeypatch.chdir(tmp_path)
    args = ["train", model, "--limit", "70", "--batch-size", "7", "--out", "run"]
    assert main([*args, "--epochs", "2"]) == 0
    out = capsys.readouterr().out
    assert f"{model} on drawn faces" in out and "validation set: binary cross-entropy" in out and "accuracy" not in out
    first, second = json.loads((tmp_path / "run" / "history.json").read_text())
    assert second["loss"] < first["loss"] and second["accuracy"] is None
    assert (tmp_path / "run" / "reconstructions.png").exists()
    assert "what the auto-encoder makes of" in (tmp_path / "run" / "report.html").read_text()
    assert main(["train", "--resume", "run", "--epochs", "3"]) == 0
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == 3
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    assert f"{model} is an auto-encoder" in capsys.readouterr().err
