"""The page of a reproduction: the paper's figures, ours and the difference, with everything that ours depend on.

Markdown, README.md with its pictures in figures/, made from the run folders alone; nothing in it is typed by hand.
"""
import math
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

from nanoemo import models
from nanoemo.files import read_json, write_file
from nanoemo.reproduction.trials import QUICK_LIMIT, noun
from nanoemo.training import RunFolder, Settings
from nanoemo.training.evaluation import read_table
from nanoemo.training.progress import counted, duration
from nanoemo.training.recorder import best_epoch

__all__ = ["write_page"]

SETS = "training", "validation", "test"
WIDTH = 125             # of the page's prose

PAGE = """# {title}

Written by `{command}`.
{warnings}
{outcome}

Accuracies. "training" is measured while the network learns, with dropout and augmentation, in the epoch whose weights are
judged: the best on the validation set. "difference" is ours less the paper's, in percentage points.

{reading}

## Settings

{settings}

{details}
"""


@dataclass(frozen=True)
class _Result:
    """What a finished run folder says.

    places: the folders of the stages of its training; `path` alone where it has none
    histories: of each of them
    """
    trial: object
    path: Path
    config: dict
    places: list
    histories: list
    reports: dict

    @classmethod
    def read(cls, trial, path):
        reports = {split: read_json(path / split / "classification_report.json") for split in SETS[1:]}
        folder = RunFolder(path)
        places = folder.stages()
        return cls(trial, path, folder.config(), [place.path for place in places], [place.history() for place in places], reports)

    @property
    def last(self):
        return self.places[-1]

    @property
    def history(self):
        return self.histories[-1]

    @property
    def accuracies(self):
        return {"training": best_epoch(self.history)["accuracy"],
                **{split: report["accuracy"] for split, report in self.reports.items()}}

    @property
    def seconds(self):
        return sum(row["seconds"] for history in self.histories for row in history)

    @property
    def epochs(self):
        return sum(map(len, self.histories))


def write_page(folder, paper, command, quick=False):
    """Write README.md and figures/ of `paper` (a `Paper`) into `folder`, from folder/runs/<trial>; returns its path.

    command: what was typed. Trials without a finished run are named as not run.
    """
    finished = {trial.name: RunFolder(run_path(folder, trial)).is_finished for trial in paper.trials}
    results = [_Result.read(trial, run_path(folder, trial)) for trial in paper.trials if finished[trial.name]]
    missing = [trial for trial in paper.trials if not finished[trial.name]]
    page = PAGE.format(title=paper.title, command=command, warnings=_warnings(paper, results, quick),
                       reading=textwrap.fill(paper.reading, WIDTH),
                       outcome=_outcome(results, missing), settings=_settings(results),
                       details="\n\n".join(_detail(folder, result) for result in results))
    path = folder / "README.md"
    write_file(path, "\n".join(line.rstrip() for line in page.strip().splitlines()) + "\n")
    return path


def run_path(folder, trial):
    """Where a trial's run folder lies."""
    return folder / "runs" / trial.name.replace(",", "").replace(" ", "-")


def _warnings(paper, results, quick):
    lines, kind = [], noun(paper.trials[0])
    if quick:
        lines.append(f"**Quick runs: few epochs on at most {QUICK_LIMIT[kind]} {kind} of each split. They show that everything "
                     "runs; their figures mean nothing.**")
    names = {result.config["data"]["name"] for result in results}
    if any(result.config["data"]["drawn"] for result in results):
        said = {"images": "Drawn faces: the images are drawn by formula and show nobody.",
                "clips": "Made voices: the clips are made by formula and are nobody's."}
        lines.append(f"**{said[kind]} The paper's figures are for {paper.data}, and no comparison with them is meant.**")
    elif other := {name for name in names if name.lower() != paper.data.lower()}:
        lines.append(f"**Other data: these runs are on {', '.join(sorted(other))}, the paper's on {paper.data}.**")
    return "".join(f"\n{line}\n" for line in lines)


def _outcome(results, missing):
    rows = []
    for result in results:
        for split, ours in result.accuracies.items():
            theirs = result.trial.says.get(split)
            difference = "" if theirs is None else f"{100 * (ours - theirs):+.1f}"
            rows.append([result.trial.name, split, "–" if theirs is None else f"{100 * theirs:.2f} %", f"{100 * ours:.2f} %",
                         difference, result.epochs, duration(result.seconds)])
    rows += [[trial.name, split, f"{100 * theirs:.2f} %", "not run", "", "", ""]
             for trial in missing for split, theirs in trial.says.items()]
    return _table(["", "set", "paper", "ours", "difference", "epochs", "time"], rows)


def _rates(settings):
    """The learning rate, and that of fine-tuning where a training in stages does that."""
    share = settings.get("fine_tuning", Settings.fine_tuning)           # runs before there was a choice do not say
    return f"{settings['lr']:g}" + (f", tuned {share * settings['lr']:g}" if settings["stages"] else "")


def _settings(results):
    rows = []
    for result in results:
        settings, data = result.config["settings"], result.config["data"]
        whole = result.trial.changes.get("epochs", models.recipe(settings["model"]).epochs)
        epochs = f"{settings['epochs']}" if settings["epochs"] == whole else f"{settings['epochs']} of {whole}"
        images = " + ".join(f"{count:,}" for count in data["images"].values())
        rows.append([result.trial.name, settings["model"], f"{data['name']}: {images}", epochs, settings["batch_size"],
                     f"{settings['optimizer']} {_rates(settings)}", f"{settings['weight_decay']:g}",
                     settings["augment"] or "none", settings["seed"], _commits(result.config)])
    table = _table(["", "model", "data (train + validation + test)", "epochs", "batch", "optimiser, rate", "L2", "augmentation",
                    "seed", "commit"], rows)
    machines = {f"nanoemo {v['nanoemo']}, Python {v['python']}, NumPy {v['numpy']}, {_system(v['machine'])}, "
                f"{v.get('cores', 'unknown number of')} cores"
                for result in results for v in _versions(result.config)}
    where = f"\n\nRun with {'; '.join(sorted(machines))}." if machines else ""
    return table + where


def _detail(folder, result):
    trial = result.trial
    parts = [f"## {trial.name[0].upper()}{trial.name[1:]}"]
    best = best_epoch(result.history)["epoch"]
    stage = " of the last stage" if result.last != result.path else ""
    note = f"Judged with the weights of epoch {best} of {len(result.history)}{stage}. {result.config['data']['note']}".strip()
    parts.append(textwrap.fill(note, WIDTH))
    if "stages" in result.config:
        parts.append(_stages(result))
    for split in SETS[1:]:
        for group, part in result.reports[split].get("unseen", {}).items():
            if part["accuracy"] is not None:
                images = counted(part["images"], noun(trial).removesuffix("s"))
                parts.append(f"{split} set: {images} of a {group} that is not in the training set, "
                             f"accuracy {100 * part['accuracy']:.2f} %.")
    for name, text in (("loss", "Loss"), ("accuracy", "Accuracy")):
        figure = _copy(folder, result, result.last / f"{name}.png", name)
        parts.append(f"![{text} of each epoch: {trial.name}]({figure})")
    figure = _copy(folder, result, result.path / "test" / "confusion_matrix_normalised.png", "confusion")
    parts.append(f"![Confusion matrix on the test set: {trial.name}]({figure})")
    parts.append(_classes(result))
    return "\n\n".join(parts)


def _stages(result):
    """What each stage of the training came to; accuracies where it ends in a classifier."""
    rows = []
    for number, (stage, place, history) in enumerate(zip(result.config["stages"], result.places, result.histories), start=1):
        reports = [place / split / "classification_report.json" for split in SETS[1:]]
        accuracies = [f"{100 * read_json(path)['accuracy']:.2f} %" if path.exists() else "" for path in reports]
        rows.append([number, stage["does"], stage["steps"], len(history), *accuracies])
    return _table(["stage", "", "steps of section 4", "epochs", *SETS[1:]], rows)


def _classes(result):
    """Accuracy of each class on the test set, beside the paper's where it gives them."""
    theirs = result.trial.classes
    names, numbers = read_table(RunFolder(result.path), "test", "per_class_accuracy.csv")
    rows = [[name, *([_share(theirs.get(name, math.nan))] if theirs else []), _share(accuracy), f"{examples:.0f}"]
            for name, (accuracy, examples) in zip(names, numbers)]
    return _table(["class", *(["paper"] if theirs else []), "ours", "examples"], rows)


def _share(value):
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def _copy(folder, result, source, kind):
    """Copy the picture `source` of a run beside the page; its path from there."""
    target = folder / "figures" / f"{result.path.name}-{kind}.png"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    return target.relative_to(folder).as_posix()


def _versions(config):
    """Those that a run was begun and gone on with."""
    return [*config.get("earlier_versions", ()), config["versions"]]


def _commits(config):
    commits = [versions["commit"][:12] for versions in _versions(config) if versions.get("commit")]
    return ", ".join(dict.fromkeys(commits)) or "–"


def _system(platform):
    kinds = [kind for kind in ("x86_64", "aarch64", "arm64") if kind in platform]
    return " ".join([platform.split("-")[0], *kinds])


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
