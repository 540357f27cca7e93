"""Writes the page about a real run of njoku.cnn on FER2013, from the run's folder.

    nanoemo train njoku.cnn --data fer2013.csv --out RUN
    python docs/make_njoku.py RUN > docs/njoku.md

    --machine "2 cores of a …"      what to call the machine; by default what the run noted of it
    --figures FOLDER                where the figures go; by default docs/figures

Exit status 2, and one line that says why, where RUN is not the folder of such a run, finished.
"""
import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from nanoemo import viz
from nanoemo.files import read_json, write_file
from nanoemo.training import RunFolder
from nanoemo.training.metrics import classification_report, format_report

# Table 3 of the paper: epoch (the first is 0), loss, accuracy, val_loss, val_accuracy.
PAPER_EPOCHS = 100
PAPER = {0: (1.796232, 0.260906, 1.709540, 0.317522), 1: (1.702466, 0.317118, 1.570815, 0.400946),
         2: (1.614819, 0.367542, 1.498884, 0.427595), 3: (1.552526, 0.399100, 1.443179, 0.447405),
         4: (1.487143, 0.425742, 1.386566, 0.475307), 95: (0.770499, 0.715138, 0.998365, 0.654157),
         96: (0.764864, 0.716184, 0.990512, 0.657227), 97: (0.760478, 0.718346, 0.990424, 0.655971),
         98: (0.755445, 0.719601, 1.004973, 0.652204), 99: (0.761355, 0.718660, 0.997931, 0.653599)}
COLUMNS = "loss", "accuracy", "val_loss", "val_accuracy"

# Its table 5, the report on the validation set: precision, recall.
PAPER_REPORT = {"angry": (0.14, 0.15), "disgust": (0.01, 0.01), "fear": (0.15, 0.13), "happy": (0.26, 0.26),
                "sad": (0.19, 0.17), "surprise": (0.11, 0.12), "neutral": (0.19, 0.21)}

PAGE = """# njoku.cnn on FER2013: a real run

Written by [make_njoku.py](make_njoku.py) from the folder of a run of
`nanoemo train njoku.cnn --data fer2013.csv --epochs {asked}`.

## The network, table 2

Code: [nanoemo/models/njoku.py](../nanoemo/models/njoku.py); each row of the paper's table, and the line of code that is that row.

| layer | output | params | code |
|---|---|---|---|
| convolution 3×3 `same`, ReLU | 48, 48, 32 | 320 | `Conv2d(input_shape[-1], 32, 3, padding="same"), ReLU()` |
| convolution 3×3, ReLU | 46, 46, 64 | 18,496 | `Conv2d(32, 64, 3), ReLU()` |
| max pooling 2×2, dropout | 23, 23, 64 | 0 | `MaxPool2d(2), Dropout(dropout)` |
| convolution 3×3, ReLU | 21, 21, 128 | 73,856 | `Conv2d(64, 128, 3), ReLU()` |
| max pooling 2×2, dropout | 10, 10, 128 | 0 | `MaxPool2d(2), Dropout(dropout)` |
| convolution 3×3, ReLU | 8, 8, 256 | 295,168 | `Conv2d(128, 256, 3), ReLU()` |
| max pooling 2×2, dropout | 4, 4, 256 | 0 | `MaxPool2d(2), Dropout(dropout)` |
| flatten | 4096 | 0 | `Flatten()` |
| dense, ReLU, dropout | 512 | 2,097,664 | `Linear(size, 512), ReLU(), Dropout(dense_dropout)` |
| dense | 7 | 3,591 | `Linear(512, num_classes)` |
| total | | 2,489,095 | |

A convolution with a kh×kw kernel has (kh·kw·C + 1)·O parameters for C channels in and O out, the 1 being the bias of each
output channel: (3·3·1 + 1)·32 in the first row. For a dense layer leave out kh·kw: (4096 + 1)·512.

Not in the paper: where its dropout of "0.1 and 0.2" stands (0.1 after the pools, 0.2 after the dense layer), how far images are
rotated and zoomed (10 degrees, 0.1), and how weights start (Glorot uniform).

## Setting

{setting}

## Epoch by epoch

The columns of the paper's table 3, beside its values for the same epochs. As in the paper, the first epoch is 0; the
plots below count from 1. `loss` and `accuracy` are means over an epoch in which the network keeps changing, with augmentation
and dropout; `val_…` are measured after the epoch, without either. Our `val_…` are for the public test set, 3,589 images; the
paper's for 7,178 (its table 5), which are the public and the private test together. The images went through JPEG on their way
here ([reproduction/README.md](reproduction/README.md)).

{history}

{beyond}

![Loss of each epoch, training and validation](figures/njoku_loss.png)

![Accuracy of each epoch, training and validation](figures/njoku_accuracy.png)

## The test set

The private test set, {images:,} images, none of them used to train or to choose weights (but FER2013 has 288 of them among its
training images, too: [data.md](data.md)), with the weights of epoch {best}, which did best
on the public test set (highest val_accuracy). Accuracy {accuracy:.2f} %, loss {loss:.4f}.

```
{report}
```

![Confusion matrix on the private test set](figures/njoku_confusion_matrix.png)

## A report of 0.18 for a network of 0.65

The paper's classification report gives an accuracy of 0.18 (its tables 4 and 5) for a network that has 0.65 in its table 3. Both
can be computed from the same predictions. A loader that shuffles gives a new order each time it is asked. Ask it once for
the predictions and once for the labels, and each prediction is compared with the label of some other image.

To see it without waiting for a network, take images of one pixel, whose value is the answer of a network that is
right 65 times in 100. There are as many of each class as in the paper's table 5:

```python
>>> import numpy as np
>>> from nanoemo import data
>>> from nanoemo.training.metrics import accuracy
>>> rng = np.random.default_rng(0)
>>> names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
>>> labels = np.repeat(np.arange(7), [958, 111, 1024, 1774, 1247, 831, 1233])
>>> answers = np.where(rng.random(7178) < 0.575, labels, rng.permutation(labels))   # the rest: guessed
>>> images = data.ImageSet(answers.astype(np.uint8).reshape(-1, 1, 1, 1), labels, names)
>>> network = lambda batch: batch[:, 0, 0, 0].astype(int)
>>> loader = data.DataLoader(images, 32, shuffle=True)
>>> predicted = np.concatenate([network(batch) for batch, _ in loader])
>>> truth = np.concatenate([labels for _, labels in loader])            # a second pass, in another order
>>> print(f"{{accuracy(truth, predicted):.2f}}")
0.18
>>> pairs = [(labels, network(batch)) for batch, labels in loader]      # one pass: each label with its image
>>> truth, predicted = (np.concatenate(arrays) for arrays in zip(*pairs))
>>> print(f"{{accuracy(truth, predicted):.2f}}")
0.65
```

What is left in the first case is chance. With p_k the share of images that are of class k, and q_k the share that the network
takes for it, an answer and a label that have nothing to do with each other agree with probability Σ_k p_k q_k. For the run on
this page, whose right report stands above, the wrong one is this: the same predictions
and the same labels, but the labels in another order.

```
{wrong_report}
```

Precision and recall of each class come out near its share of the images. In the paper's table 5 they do, too:

{beside}

Nothing in the two arrays shows the mistake, and no error is raised. So [`predict`](../nanoemo/training/trainer.py) takes both
from one pass.
"""


def main():
    args = parse_arguments()
    run = RunFolder.open(args.run)
    config, history = run.config(), read_history(run.path / "history.csv")
    report = read_report(run.path / "test" / "classification_report.json", run.path)
    if config["settings"]["model"] != "njoku.cnn" or config["data"]["name"] != "fer2013":
        raise ValueError(f"{run.path} is a run of {config['settings']['model']} on {config['data']['name']}, "
                         f"not of njoku.cnn on fer2013")
    classes = config["data"]["classes"]
    matrix = read_matrix(run.path / "test" / "confusion_matrix.csv")
    draw(history, matrix, classes, args.figures)
    total = matrix.sum()
    wrong = report_of_shuffled_labels(matrix, classes)
    sys.stdout.write(PAGE.format(
        asked=config["settings"]["epochs"], setting=setting_table(config, history, args.machine), history=history_table(history),
        beyond=beyond(history), images=total, best=report["epoch"] - 1, accuracy=100 * report["accuracy"],
        loss=report["loss"], report=format_report(report), wrong_report=format_report(wrong),
        beside=reports_beside(report, wrong)))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--machine")
    parser.add_argument("--figures", type=Path, default=Path(__file__).parent / "figures")
    return parser.parse_args()


# ---- reading -----------------------------------------------------------------------------------------------


def read_history(path):
    """Rows of history.csv as dictionaries of numbers."""
    if not path.exists():
        raise ValueError(f"{path.parent} has no history.csv: not one epoch of the run is done")
    with open(path, newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def read_report(path, run):
    if not path.exists():
        raise ValueError(f"{run} has no test report, so the run has not ended; `nanoemo train --resume {run} "
                         f"--epochs N` ends it after N epochs")
    return read_json(path)


def read_matrix(path):
    """Counts (K, K) of confusion_matrix.csv, without the names."""
    with open(path, newline="", encoding="utf-8") as file:
        return np.array([row[1:] for row in list(csv.reader(file))[1:]], dtype=int)


# ---- writing -----------------------------------------------------------------------------------------------


def setting_table(config, history, machine):
    settings, versions, images = config["settings"], config["versions"], config["data"]["images"]
    seconds = sum(row["seconds"] for row in history)
    hours, minutes = divmod(round(seconds / 60), 60)
    rows = [("epochs", f"{len(history)} (the paper: {PAPER_EPOCHS})"), ("batch size", settings["batch_size"]),
            ("optimiser", f"{settings['optimizer']}, learning rate {settings['lr']:g}"),
            ("augmentation", settings["augment"] or "none"), ("seed", settings["seed"]),
            ("images", ", ".join(f"{count:,} {name}" for name, count in images.items())),
            ("time", f"{hours} h {minutes:02} min by the clock, {seconds / len(history):.0f} s an epoch, other work included"),
            ("machine", machine or describe_system(versions["machine"])),
            ("versions", f"nanoemo {versions['nanoemo']}{commits(config)}, Python {versions['python']}, "
                         f"NumPy {versions['numpy']}")]
    return table(["", ""], rows)


def commits(config):
    """Of all the sittings of the run, in their order."""
    found = [each["commit"][:12] for each in [*config.get("earlier_versions", ()), config["versions"]] if each.get("commit")]
    return f" at {', then '.join(dict.fromkeys(found))}" if found else ""


def describe_system(platform):
    """Of platform.platform(), the system and the kind of processor."""
    kinds = [kind for kind in ("x86_64", "aarch64", "arm64") if kind in platform]
    return " ".join([platform.split("-")[0], *kinds])


def shown_epochs(history):
    """All of a short run; of a long one the first, the last, each tenth, and those the paper prints."""
    last = len(history) - 1
    return [e for e in range(last + 1) if last < 30 or e in PAPER or e % 10 == 0 or e == last]


def history_table(history):
    header = ["epoch", *COLUMNS, *(f"paper's {name}" for name in COLUMNS)]
    return table(header, [[epoch, *(f"{history[epoch][name]:.4f}" for name in COLUMNS),
                           *(f"{value:.4f}" for value in PAPER.get(epoch, ()))]
                          for epoch in shown_epochs(history)])


def beyond(history):
    """What to know of epochs that only one of the two runs shows."""
    sentences, last = [], max(PAPER)
    if not PAPER.keys() >= set(shown_epochs(history)):
        sentences.append("Dashes: epochs that the paper's table leaves out.")
    if len(history) <= last:
        values = ", ".join(f"{name} {value:.4f}" for name, value in zip(COLUMNS, PAPER[last]))
        sentences.append(f"The paper's run went on to epoch {last}: {values}.")
    return " ".join(sentences)


def report_of_shuffled_labels(matrix, classes):
    """The report of the predictions in a confusion matrix, (true class, predicted), with the labels in another order."""
    truth, predicted = (np.repeat(index.ravel(), matrix.ravel()) for index in np.indices(matrix.shape))
    return classification_report(np.random.default_rng(0).permutation(truth), predicted, classes)


def reports_beside(right, wrong):
    """Precision / recall of each class in both reports and in the paper's."""
    total = right["macro average"]["support"]
    rows = [[name, f"{row['support'] / total:.2f}", *(f"{of['precision']:.2f} / {of['recall']:.2f}"
                                                     for of in (row, wrong["classes"][name])),
             "{:.2f} / {:.2f}".format(*PAPER_REPORT[name])] for name, row in right["classes"].items()]
    accuracies = ["accuracy", "", *(f"{report['accuracy']:.2f}" for report in (right, wrong)), "0.18"]
    return table(["class", "share of images", "right report: precision / recall", "labels in another order", "paper's table 5"],
                 [*rows, accuracies])


def table(header, rows):
    """Markdown; short rows are filled up with dashes."""
    lines = [header, ["---"] * len(header), *([*row, *["–"] * (len(header) - len(row))] for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def draw(history, matrix, classes, folder):
    """The figures, anew from the numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    loss, accuracy, val_loss, val_accuracy = ([row[name] for row in history] for name in COLUMNS)
    chance = 1 / len(classes)
    figures = {
        "loss": viz.loss_curves(loss, val_loss, title="njoku.cnn on FER2013: loss"),
        "accuracy": viz.accuracy_curves(accuracy, val_accuracy, "njoku.cnn on FER2013: accuracy", chance),
        "confusion_matrix": viz.confusion_matrix(
            matrix, classes, normalised=True, title="njoku.cnn on FER2013, private test (% of true class)"),
    }
    for name, figure in figures.items():
        write_file(folder / f"njoku_{name}.png", viz.to_png(figure, dpi=90))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        print(f"make_njoku.py: {error}", file=sys.stderr)
        sys.exit(2)
