"""What a trial's run came to: the numbers and the pictures that a page shows, kept beside it.

They stay when the run, with its weights, is thrown away, so that a page can be written anew without training anew.
"""
import math
from dataclasses import asdict, dataclass, fields

from nanoemo.files import read_json, write_file, write_json
from nanoemo.training import RunFolder, Settings
from nanoemo.training.evaluation import read_table
from nanoemo.training.recorder import best_epoch

__all__ = ["FIGURES", "JUDGED", "Result", "done_before", "figure_path", "keep", "keep_and_load", "result_path", "run_path"]

JUDGED = "validation", "test"
FIGURES = "loss", "accuracy", "confusion"
SETTINGS = ("model", "epochs", "batch_size", "optimizer", "lr", "schedule", "update_batch_norm", "weight_decay", "augment",
            "limit", "seed", "stages", "fine_tuning")
UNSAID = {name: getattr(Settings, name) for name in             # what older runs and results do not say
          ("fine_tuning", "schedule", "update_batch_norm")}
DATA = "name", "drawn", "note", "images"


@dataclass(frozen=True)
class Result:
    """What a page says of a finished run.

    settings, data: what of its config is shown, which does not tell where the data lie
    versions: of nanoemo, Python …, that it was begun and gone on with
    accuracies: {set: share of right answers}; of the training set in the epoch whose weights are judged
    unseen: {set: {"subject" or "sequence": {"images", "accuracy"}}} of those that are not in the training set
    stages: of a training part by part, {"does", "steps", "epochs", "validation", "test"} each; empty for one in one go
    best, epochs: the epoch that is judged, of how many, in the last stage
    all_epochs, seconds: of all stages together
    classes: [name, accuracy on the test set (None where it has none), its examples] of each class
    """
    settings: dict
    data: dict
    versions: list
    accuracies: dict
    unseen: dict
    stages: list
    best: int
    epochs: int
    all_epochs: int
    seconds: float
    classes: list

    @classmethod
    def of_run(cls, path):
        """The result of the finished run in `path`."""
        folder = RunFolder(path)
        config, stages = folder.config(), folder.stages()
        histories = [stage.history() for stage in stages]
        best = best_epoch(histories[-1])
        reports = {split: _report(path, split) for split in JUDGED}
        names, numbers = read_table(folder, "test", "per_class_accuracy.csv")
        settings = {**UNSAID, **config["settings"]}
        return cls(
            settings={name: settings[name] for name in SETTINGS}, data={name: config["data"][name] for name in DATA},
            versions=[*config.get("earlier_versions", ()), config["versions"]],
            accuracies={"training": best["accuracy"], **{split: report["accuracy"] for split, report in reports.items()}},
            unseen={split: report.get("unseen", {}) for split, report in reports.items()},
            stages=[_stage(stage, place.path, history)
                    for stage, place, history in zip(config.get("stages", ()), stages, histories)],
            best=best["epoch"], epochs=len(histories[-1]), all_epochs=sum(map(len, histories)),
            seconds=sum(row["seconds"] for history in histories for row in history),
            classes=[[name, None if math.isnan(accuracy) else accuracy, int(examples)]
                     for name, (accuracy, examples) in zip(names, numbers)])

    @classmethod
    def load(cls, path):
        """From a file that `keep` wrote; ValueError that names it where it is none."""
        try:
            values = read_json(path)
            if not isinstance(values, dict) or values.keys() != {field.name for field in fields(cls)} \
                    or not isinstance(values["settings"], dict):
                raise ValueError(f"{path}: not a result of `nanoemo reproduce`")
        except ValueError as error:
            raise ValueError(f"{error}; remove the file, and the trial counts as not run") from None
        values["settings"] = {**UNSAID, **values["settings"]}
        return cls(**values)


def run_path(folder, trial):
    """Where a trial's run lies, in the folder of a reproduction."""
    return folder / "runs" / trial.name.replace(",", "").replace(" ", "-")


def figure_path(folder, trial, kind):
    """Where one of the `FIGURES` of a trial lies."""
    return folder / "figures" / f"{run_path(folder, trial).name}-{kind}.png"


def keep(folder, trial):
    """Copy what a page needs of a trial's finished run to folder/figures and folder/results."""
    run = run_path(folder, trial)
    result, last = Result.of_run(run), RunFolder(run).stages()[-1].path
    sources = last / "loss.png", last / "accuracy.png", run / "test" / "confusion_matrix_normalised.png"
    for name in ("figures", "results"):
        (folder / name).mkdir(exist_ok=True)
    for kind, source in zip(FIGURES, sources):
        write_file(figure_path(folder, trial, kind), source.read_bytes())
    write_json(result_path(folder, trial), asdict(result))


def keep_and_load(folder, trial):
    """The `Result` of a trial, None where it has not been run; that of a finished run is written anew (`keep`) before it is read.
    """
    if RunFolder(run_path(folder, trial)).is_finished:
        keep(folder, trial)
    path = result_path(folder, trial)
    return Result.load(path) if path.exists() else None


def done_before(folder, trial, settings):
    """Whether a trial's result is kept, and its run gone, so that there is nothing to do: the `Result`, or None.

    Raises ValueError where what is kept has other settings, or more epochs: a run would take its place.
    """
    path = result_path(folder, trial)
    if run_path(folder, trial).exists() or not path.exists():
        return None
    result = Result.load(path)
    wanted = {**asdict(settings), "drawn": settings.data is None}
    for name, value in {"drawn": result.data["drawn"], **result.settings}.items():
        if name != "epochs" and wanted[name] != value or name == "epochs" and wanted[name] < value:
            raise ValueError(f"{path} is of a run with {name} {value!r}, not {wanted[name]!r}, and would be written over; give "
                             "another folder with --out, or move it away")
    return result if result.settings["epochs"] == settings.epochs else None


def result_path(folder, trial):
    return folder / "results" / f"{run_path(folder, trial).name}.json"


def _report(path, split):
    return read_json(path / split / "classification_report.json")


def _stage(stage, path, history):
    """What one stage came to; accuracies where it ends in a classifier."""
    accuracies = {split: _report(path, split)["accuracy"] for split in JUDGED
                  if (path / split / "classification_report.json").exists()}
    return {"does": stage["does"], "steps": stage["steps"], "epochs": len(history), **accuracies}
