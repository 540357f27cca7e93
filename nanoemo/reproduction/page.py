"""The page of a reproduction: the paper's figures, ours and the difference, with everything that ours depend on.

Markdown, README.md with its pictures in figures/, made from what was kept of the runs; nothing in it is typed by hand.
"""
import textwrap

from nanoemo import models
from nanoemo.files import write_file
from nanoemo.reproduction.results import FIGURES, JUDGED, figure_path, keep_and_load
from nanoemo.reproduction.trials import noun
from nanoemo.training.evaluation import ENOUGH
from nanoemo.training.progress import counted, duration

__all__ = ["write_page"]

WIDTH = 125             # of the page's prose

WRITTEN_BY = "Written by `nanoemo reproduce"
PAGE = """# {title}

Written by `{command}`.
{warnings}
{outcome}

Accuracies. "training" is measured while the network learns, with dropout and augmentation, in the epoch whose weights are
judged: the best on the validation set. "difference" is ours less the paper's, in percentage points.
{side_by_side}
{reading}

## Settings

{settings}

{details}
"""


def write_page(folder, paper, command):
    """Write README.md of `paper` (a `Paper`) into `folder`, from folder/runs/<trial>, or, of runs that are there no longer,
    from folder/results and folder/figures; returns its path.

    command: what was typed. Trials without a finished run are named as not run.
    """
    results = [(trial, keep_and_load(folder, trial)) for trial in paper.trials]
    done = [(trial, result) for trial, result in results if result]
    page = PAGE.format(title=paper.title, command=command, warnings=_warnings(paper, done),
                       reading=textwrap.fill(paper.reading, WIDTH), outcome=_outcome(results),
                       side_by_side=_side_by_side(done), settings=_settings(done),
                       details="\n\n".join(_detail(folder, trial, result) for trial, result in done))
    path = folder / "README.md"
    write_file(path, "\n".join(line.rstrip() for line in page.strip().splitlines()) + "\n")
    return path


def _warnings(paper, done):
    lines, results, kind = [], [result for _, result in done], noun(paper.trials[0])
    quick = [(trial.name, result.settings["limit"]) for trial, result in done if result.settings["limit"] is not None]
    if quick:
        which = "" if len(quick) == len(done) else f" ({', '.join(name for name, _ in quick)})"
        most = max(limit for _, limit in quick)
        lines.append(f"**Quick runs{which}: few epochs on at most {most} {kind} of each split. They show that everything "
                     "runs; their figures mean nothing.**")
    names = {result.data["name"] for result in results}
    if any(result.data["drawn"] for result in results):
        said = {"images": "Drawn faces: the images are drawn by formula and show nobody.",
                "clips": "Made voices: the clips are made by formula and are nobody's."}
        lines.append(f"**{said[kind]} The paper's figures are for {paper.data}, and no comparison with them is meant.**")
    elif other := {name for name in names if name.lower() != paper.data.lower()}:
        lines.append(f"**Other data: these runs are on {', '.join(sorted(other))}, the paper's on {paper.data}.**")
    return "".join(f"\n{line}\n" for line in lines)


def _outcome(results):
    rows, missing = [], []
    for trial, result in results:
        if result is None:
            says = trial.says or {"test": None}
            missing += [[trial.name, split, _percent(theirs), "not run", "", "", ""] for split, theirs in says.items()]
            continue
        for split, ours in result.accuracies.items():
            theirs = trial.says.get(split)
            difference = "" if theirs is None else f"{100 * (ours - theirs):+.1f}"
            rows.append([trial.name, split, _percent(theirs), _percent(ours), difference, result.all_epochs,
                         duration(result.seconds)])
    return _table(["", "set", "paper", "ours", "difference", "epochs", "time"], rows + missing)


def _side_by_side(done):
    """The networks for which the paper gives the accuracy of each class, where two at least have run: all in one table."""
    given = [(trial, result) for trial, result in done if trial.classes]
    networks = {trial.model: trial.classes for trial, _ in given}
    if len(networks) < 2:
        return ""
    columns = {f"paper, {name.partition('.')[2]}": classes for name, classes in networks.items()}
    columns |= {trial.name: {name: accuracy for name, accuracy, _ in result.classes} for trial, result in given}
    rows = [[name, *(_percent(column.get(name), 1) for column in columns.values())] for name, *_ in given[0][1].classes]
    return f"\nEach class of the test set:\n\n{_table(['class', *columns], rows)}\n"


def _rates(settings):
    """The learning rate, its schedule if it has one, the rate of fine-tuning where a training in stages does that, and whether
    batch norm was measured anew."""
    tuned = f", tuned {settings['fine_tuning'] * settings['lr']:g}" if settings["stages"] else ""
    anew = ", batch norm measured anew" if settings["update_batch_norm"] else ""
    return f"{settings['lr']:g}{', ' if settings['schedule'] else ''}{settings['schedule']}{tuned}{anew}"


def _settings(done):
    rows = []
    for trial, result in done:
        settings, data = result.settings, result.data
        whole = trial.changes.get("epochs", models.recipe(settings["model"]).epochs)
        epochs = f"{settings['epochs']}" if settings["epochs"] == whole else f"{settings['epochs']} of {whole}"
        images = " + ".join(f"{count:,}" for count in data["images"].values())
        rows.append([trial.name, settings["model"], f"{data['name']}: {images}", epochs, settings["batch_size"],
                     f"{settings['optimizer']} {_rates(settings)}", f"{settings['weight_decay']:g}",
                     settings["augment"] or "none", settings["seed"], _commits(result.versions)])
    table = _table(["", "model", "data (train + validation + test)", "epochs", "batch", "optimiser, rate", "L2", "augmentation",
                    "seed", "commit"], rows)
    machines = {f"nanoemo {v['nanoemo']}, Python {v['python']}, NumPy {v['numpy']}, {_system(v['machine'])}, "
                f"{v.get('cores', 'unknown number of')} cores" for _, result in done for v in result.versions}
    where = f"\n\nRun with {'; '.join(sorted(machines))}." if machines else ""
    return table + where


def _detail(folder, trial, result):
    parts = [f"## {trial.name[0].upper()}{trial.name[1:]}"]
    stage = " of the last stage" if result.stages else ""
    note = f"Judged with the weights of epoch {result.best} of {result.epochs}{stage}. {result.data['note']}".strip()
    parts.append(textwrap.fill(note, WIDTH))
    if result.stages:
        parts.append(_stages(result.stages))
    parts += _unseen(result.unseen, noun(trial).removesuffix("s"))
    texts = "Loss of each epoch", "Accuracy of each epoch", "Confusion matrix on the test set"
    for kind, text in zip(FIGURES, texts):
        parts.append(f"![{text}: {trial.name}]({figure_path(folder, trial, kind).relative_to(folder).as_posix()})")
    parts.append(_classes(trial, result))
    return "\n\n".join(parts)


def _unseen(unseen, noun):
    """A line for each group of images of a split that the network had not been trained on."""
    lines = []
    for split, groups in unseen.items():
        for group, part in groups.items():
            if part["accuracy"] is not None:
                few = " (too few to tell)" if part["images"] < ENOUGH else ""
                lines.append(f"{split} set: {counted(part['images'], noun)} of a {group} that is not in the training set, "
                             f"accuracy {_percent(part['accuracy'])}{few}.")
    return lines


def _stages(stages):
    """What each stage of the training came to."""
    rows = [[number, stage["does"], stage["steps"], stage["epochs"],
             *(_percent(stage[split]) if split in stage else "" for split in JUDGED)]
            for number, stage in enumerate(stages, start=1)]
    return _table(["stage", "", "steps of section 4", "epochs", *JUDGED], rows)


def _classes(trial, result):
    """Accuracy of each class on the test set, beside the paper's where it gives them."""
    theirs = trial.classes
    rows = [[name, *([_percent(theirs.get(name), 1)] if theirs else []), _percent(accuracy, 1), examples]
            for name, accuracy, examples in result.classes]
    return _table(["class", *(["paper"] if theirs else []), "ours", "examples"], rows)


def _percent(share, digits=2):
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _commits(versions):
    """The commits, short; with "+changes" after one that had some (`nanoemo.training.versions`)."""
    parted = (each["commit"].partition("+") for each in versions if each.get("commit"))
    commits = [f"{commit[:12]}{plus}{changes}" for commit, plus, changes in parted]
    return ", ".join(dict.fromkeys(commits)) or "–"


def _system(platform):
    kinds = [kind for kind in ("x86_64", "aarch64", "arm64") if kind in platform]
    return " ".join([platform.split("-")[0], *kinds])


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
