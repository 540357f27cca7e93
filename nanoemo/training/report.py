"""One HTML file that tells a run: made from the files of the run folder alone, with the pictures inside
it."""
import base64
from html import escape

from nanoemo.files import read_json, write_file
from nanoemo.training import sanity
from nanoemo.training.evaluation import describe_unseen
from nanoemo.training.metrics import format_report
from nanoemo.training.progress import duration
from nanoemo.training.recorder import best_epoch

__all__ = ["write_report"]

JUDGED = "train", "validation", "test"          # the first where `nanoemo evaluate RUN --split train` was asked

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body>
{body}
</body></html>
"""

STYLE = """
body { font: 17px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { margin-bottom: 0.2rem; } h2 { margin-top: 2.5rem; border-bottom: 2px solid #0072B2; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.9rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
pre { background: #f4f4f4; padding: 0.8rem; overflow-x: auto; font-size: 14px; line-height: 1.35; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
.wide { overflow-x: auto; }
.note { background: #fff3cd; border: 2px solid #D55E00; padding: 0.7rem 1rem; }
"""

def write_report(folder):
    """Write report.html of a run folder (`RunFolder`) from what lies in it; parts that are missing are left
    out."""
    config = folder.config()
    data = config["data"]
    title = f"{config['settings']['model']} on {data['name']}"
    if "stage" in config:
        title += f", stage {config['stage']['name']}"
    drawn = f"<strong>{data['name'].capitalize()}.</strong> What follows shows that the network learns. " if data["drawn"] else ""
    note = f"<p class='note'>{drawn}{escape(data['note'])}</p>" if data["note"] else ""
    body = [f"<h1>{escape(title)}</h1>", note,
            _outcome(folder), _stages(folder, config), _sanity(folder), _augmentation(folder, config), _history(folder),
            _reconstructions(folder),
            *(_split(folder, split) for split in JUDGED),
            _summary(folder), _settings(config)]
    write_file(folder.report_path, PAGE.format(
        title=escape(title), style=STYLE, body="\n".join(part for part in body if part)))


def _outcome(folder):
    rows, parts = [], []
    for split in JUDGED:
        path = folder.path / split / "classification_report.json"
        if path.exists():
            report = read_json(path)
            parts += [f"<li>{split} set: {escape(line)}</li>" for line in describe_unseen(report)]
            rows.append([f"{split} set", f"{100 * report['accuracy']:.2f} %", f"{report['loss']:.4f}",
                         f"{report['macro average']['f1']:.3f}", report["macro average"]["support"]])
    if not rows:
        return ""
    return ("<h2>Outcome</h2>" + _table(["", "accuracy", "loss", "macro F1", "examples"], rows)
            + (f"<ul>{''.join(parts)}</ul>" if parts else "")
            + f"<p>Weights of epoch {report['epoch']}, the best on the validation set.</p>")


def _stages(folder, config):
    """Of a run in stages: a table of them, then for each its network, its plot and its reconstructions."""
    rows, parts = [], []
    for number, (stage, place) in enumerate(zip(config.get("stages", ()), folder.stages()), start=1):
        settings, history = place.config()["settings"], place.history()
        best = best_epoch(history)
        rows.append([f"{number}: {escape(stage['does'])}", stage["steps"], ", ".join(stage["frozen"]) or "–",
                     f"{settings['optimizer']}, {settings['lr']:g}", best["epoch"], _maybe(best["val_loss"]),
                     _maybe(best["val_accuracy"]), duration(sum(row["seconds"] for row in history))])
        plot = "loss" if best["accuracy"] is None else "accuracy"
        parts += [f"<h3>Stage {number}: {escape(stage['does'])}</h3>", _drawing(place),
                  _picture(place.path / f"{plot}.png", f"{plot.capitalize()} of each epoch"), _reconstructions(place)]
    header = ["stage", "section 4", "frozen", "optimiser, rate", "best epoch", "val. loss", "val. accuracy", "time"]
    return "<h2>Stages</h2>" + _table(header, rows) + "".join(parts) if rows else ""


def _reconstructions(folder):
    return _picture(folder.path / "reconstructions.png", "Images, and what the auto-encoder makes of their features")


def _sanity(folder):
    path = folder.path / "sanity.json"
    if not path.exists():
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in sanity.describe(sanity.read(path)))
    return f"<h2>Checks before training</h2><ul>{lines}</ul>"


def _augmentation(folder, config):
    picture = _picture(folder.path / "augmentation.png", "Training images and what augmentation makes of them")
    return picture and f"<h2>Augmentation</h2><p>{escape(config['settings']['augment'])}</p>{picture}"


def _history(folder):
    if not (folder.path / "history.json").exists():
        return ""
    rows = [[row["epoch"], f"{row['loss']:.4f}", _maybe(row["accuracy"]), _maybe(row["val_loss"]),
             _maybe(row["val_accuracy"]), duration(row["seconds"]), f"{row['images_per_second']:.0f}",
             _per_cent(row["waiting"]), f"{row['lr']:g}"] for row in folder.history()]
    header = ["epoch", "loss", "accuracy", "val. loss", "val. accuracy", "time", "examples/s", "waiting for them",
              "learning rate"]
    return ("<h2>History</h2>" + _picture(folder.path / "loss.png", "Loss of each epoch")
            + _picture(folder.path / "accuracy.png", "Accuracy of each epoch") + _table(header, rows))


def _split(folder, split):
    place = folder.path / split
    path = place / "classification_report.json"
    if not path.exists():
        return ""
    return (f"<h2>On the {split} set</h2>"
            + _picture(place / "confusion_matrix.png", f"Confusion matrix, {split} set: numbers")
            + _picture(place / "confusion_matrix_normalised.png", f"Confusion matrix, {split} set: per cent")
            + _picture(place / "per_class_accuracy.png", f"Accuracy of each class, {split} set")
            + f"<pre>{escape(format_report(read_json(path)))}</pre>")


def _summary(folder):
    path = folder.path / "summary.txt"
    if not path.exists():
        return ""
    return f"<h2>Model</h2>{_drawing(folder)}<pre>{escape(path.read_text(encoding='utf-8'))}</pre>"


def _drawing(folder):
    return _picture(folder.path / "network.png", "The network: its layers, and which of them learn")


def _settings(config):
    parts = []
    for heading in ("settings", "data", "versions"):
        rows = [[escape(str(name)), escape(str(value))] for name, value in config[heading].items()]
        parts.append(f"<h3>{heading.capitalize()}</h3>" + _table(["", ""], rows, header=False))
    return "<h2>Settings</h2>" + "".join(parts)


def _maybe(value):
    return "" if value is None else f"{value:.4f}"


def _per_cent(share):
    return "" if share is None else f"{100 * share:.1f} %"


def _table(names, rows, header=True):
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>" if header else ""
    lines = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='wide'><table>{head}{''.join(lines)}</table></div>"


def _picture(path, description):
    if not path.exists():
        return ""
    encoded = base64.b64encode(path.read_bytes()).decode()
    return (f"<figure><img alt='{escape(description)}' src='data:image/png;base64,{encoded}'>"
            f"</figure>")
