"""Figures of what runs have written down: histories and tables. Each function gives (figure, default path)."""
from pathlib import Path

from nanoemo import viz
from nanoemo.files import read_json
from nanoemo.training import RunFolder
from nanoemo.training.evaluation import read_table
from nanoemo.training.progress import counted

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")
LOSSES = {(True,): "cross-entropy, nats", (False,): "binary cross-entropy, nats",         # of runs that know classes, or none
          (False, True): "cross-entropy, nats;\nof auto-encoders binary"}


def curves(args):
    folders = [RunFolder.open(path) for path in args.run]
    runs = {}
    for name, folder in named(folders).items():
        histories = histories_of(folder)
        if folder.config()["settings"].get("label_smoothing"):
            name += " (smoothed labels)"                # whose loss is another: it does not fall to 0
        for stage, history in histories.items():
            runs[name if len(histories) == 1 else f"{name}, {stage}"] = {
                column: [row[column] for row in history] for column in COLUMNS if history[0][column] is not None}
    classes = {len(folder.config()["data"]["classes"]) for folder in folders}
    chance = 1 / classes.pop() if len(classes) == 1 else None
    classify = {"accuracy" in columns for columns in runs.values()}
    loss = LOSSES[tuple(sorted(classify))]
    title = f"{'Loss and accuracy' if True in classify else 'Loss'} on {_data_of(folders)}"
    return viz.run_curves(runs, title, chance, loss), default_path(folders[0], "curves")


def confusion(args):
    folder = RunFolder.open(args.run)
    classes, counts = read_table(folder, args.split, "confusion_matrix.csv")
    if counts.shape != (len(classes),) * 2 or not ((counts >= 0) & (counts % 1 == 0)).all():
        raise ValueError(f"{folder.path / args.split / 'confusion_matrix.csv'}: damaged; expected how many images there are for "
                         "each pair of classes")
    name = "confusion_normalised" if args.normalised else "confusion"
    title = f"{title_of(folder)}, {args.split} set" + (" (% of true class)" if args.normalised else "")
    return (viz.confusion_matrix(counts.astype(int), classes, normalised=args.normalised, title=title),
            default_path(folder, f"{name}_{args.split}"))


def classes(args):
    folders = [RunFolder.open(path) for path in args.run]
    tables = {name: read_table(folder, args.split, "per_class_accuracy.csv") for name, folder in named(folders).items()}
    first, (names, _) = next(iter(tables.items()))
    for run, (others, _) in tables.items():
        if others != names:
            raise ValueError(f"{run} knows the classes {', '.join(others)}, but {first} {', '.join(names)}; "
                             f"a table needs the same")
    shares = {run: numbers[:, 0] for run, (_, numbers) in tables.items()}
    title = f"Accuracy of each class, {args.split} set of {_data_of(folders)} (%)"
    return viz.class_table(shares, names, title), default_path(folders[0], f"classes_{args.split}")


def time(args):
    """Of runs, their training; of the files of `nanoemo bench`, a step."""
    files = [path for path in args.run if Path(path).suffix == ".json"]
    if files and len(files) < len(args.run):
        raise ValueError("the time of a training and that of a step do not go on one axis: give folders of runs only, or "
                         "files of `nanoemo bench --json` only")
    if files:
        seconds, notes = times_of_steps(files)
        return viz.times(seconds, notes, "Time of a training step", "time of a step"), Path(files[0]).with_suffix(".png")
    folders = [RunFolder.open(path) for path in args.run]
    rows = {name: sum(histories_of(folder).values(), []) for name, folder in named(folders).items()}
    seconds = {name: sum(row["seconds"] for row in history) for name, history in rows.items()}
    notes = {name: f"{counted(len(history), 'epoch')}, {_speed(history):,.0f} examples/s" for name, history in rows.items()}
    return viz.times(seconds, notes, "Time of training"), default_path(folders[0], "time")


def _speed(history):
    """Examples a second over all epochs."""
    return sum(row["images_per_second"] * row["seconds"] for row in history) / sum(row["seconds"] for row in history)


def times_of_steps(files):
    """({model: median seconds a step}, {model: batch size in words}) from files of `nanoemo bench --json`.

    Of a GPU's steps those that are captured, as training has them.
    """
    seconds, notes = {}, {}
    for path in files:
        try:
            for row in read_json(path)["models"]:
                name = row["model"] + (", TF32" if row.get("tf32") else "")
                ours = row["nanoemo"]
                seconds[name] = ours.get("captured", ours)["median_ms"] / 1000
                notes[name] = f"batches of {row['batch_size']}"
        except (KeyError, TypeError):
            raise ValueError(f"{path}: not what `nanoemo bench --json` writes of timed models") from None
    return seconds, notes


FIGURES = {"curves": curves, "confusion": confusion, "classes": classes, "time": time}


def default_path(folder, name):
    return folder.path / "figures" / f"{name}.png"


def title_of(folder):
    config = folder.config()
    return f"{config['settings']['model']} on {config['data']['name']}"


def _data_of(folders):
    """What the runs in `folders` learnt from, as a title says it."""
    names = list(dict.fromkeys(folder.config()["data"]["name"] for folder in folders))
    return " and ".join(names) if len(names) < 3 else f"{len(names)} data sets"


def named(folders):
    """{name: folder}: the models' names where they differ, else the folders', else the paths. ValueError for one given twice."""
    places = [folder.path.resolve() for folder in folders]
    if len(set(places)) < len(places):
        raise ValueError(f"{', '.join(str(folder.path) for folder in folders)}: the same run twice")
    for name_of in (lambda folder: folder.config()["settings"]["model"], lambda folder: folder.path.resolve().name,
                    lambda folder: str(folder.path)):
        names = [name_of(folder) for folder in folders]
        if len(set(names)) == len(folders):
            return dict(zip(names, folders))


def histories_of(folder):
    """{name of the folder: history}, of each stage that has a finished epoch; of a run without stages, its own alone."""
    found = {place.path.name: place.history() for place in folder.stages() if (place.path / "history.json").exists()}
    if not found:
        raise ValueError(f"{folder.path}: no epoch of it is finished, so there is nothing to draw")
    return found
