"""What is written about a trained model's predictions on one split: tables and figures."""
import csv

import numpy as np

from nanoemo import viz
from nanoemo.training import metrics
from nanoemo.files import write_csv, write_file, write_json

__all__ = ["describe_unseen", "read_table", "write_evaluation"]

ENOUGH = 30             # images: of so many the accuracy is known to within 18 points, 19 times of 20


def write_evaluation(folder, predictions, classes, title, about, unseen=None):
    """Write the figures of merit of `predictions` (`nanoemo.training.Predictions`) into `folder`.

    classes: names in the order of the labels; title: for the figures ("njoku.cnn on FER2013, test set");
    about: plain data to keep beside the figures (which checkpoint, which data); unseen: {"subject": bool (N,)},
    which images are of a group that was not trained on (`nanoemo.data.unseen`).
    Returns the classification report, with the accuracy over those images as report["unseen"]["subject"].
    """
    folder.mkdir(exist_ok=True)
    truth, predicted = predictions.truth, predictions.predicted
    matrix = metrics.confusion_matrix(truth, predicted, len(classes))
    recalls = metrics.per_class_accuracy(matrix)
    report = metrics.classification_report(truth, predicted, classes)
    report["unseen"] = {group: _part(truth, predicted, chosen) for group, chosen in (unseen or {}).items()}

    write_csv(folder / "confusion_matrix.csv", ["true class", *classes],
              [[name, *row] for name, row in zip(classes, matrix.tolist())])
    write_csv(folder / "per_class_accuracy.csv", ["class", "accuracy", "examples"],
              [[name, "" if value != value else value, sum(row)]            # NaN: a class without images
               for name, value, row in zip(classes, recalls.tolist(), matrix.tolist())])
    text = "\n".join([title, "", metrics.format_report(report), *describe_unseen(report)])
    write_file(folder / "classification_report.txt", f"{text}\n")
    figures = {
        "confusion_matrix": viz.confusion_matrix(matrix, classes, title=title),
        "confusion_matrix_normalised": viz.confusion_matrix(matrix, classes, normalised=True,
                                                            title=f"{title} (% of true class)"),
        "per_class_accuracy": viz.per_class_accuracy(recalls, classes, title=title),
    }
    for name, figure in figures.items():
        write_file(folder / f"{name}.png", viz.to_png(figure))
    write_json(folder / "classification_report.json",
               {**about, "title": title, "loss": predictions.loss, **report})
    return report


def read_table(folder, split, name):
    """(names of the rows, numbers (rows, columns)) of a CSV file with a line of names first; NaN where nothing stands."""
    path, known = folder.path / split / name, folder.config()["data"]["classes"]
    if not path.exists():
        raise ValueError(f"{folder.path} has no {split}/{name}; of a classifier it is made by: nanoemo evaluate {folder.path} "
                         f"--split {split}")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        names, numbers = [row[0] for row in rows], np.array([[float(cell or "nan") for cell in row[1:]] for row in rows])
        if names != known:
            raise ValueError(f"its rows are {', '.join(names) or 'none'}, the run's classes {', '.join(known)}")
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path}: damaged, or not a table of nanoemo's ({error})") from None
    return names, numbers


def _part(truth, predicted, chosen):
    """Accuracy over some of the images; None where there are none of them."""
    right = metrics.accuracy(truth[chosen], predicted[chosen]) if chosen.any() else None
    return {"images": int(chosen.sum()), "accuracy": right}


def describe_unseen(report):
    """A line for people for each group of images that a report tells apart, as a list.

    >>> describe_unseen({"macro average": {"support": 90}, "unseen": {"subject": {"images": 30, "accuracy": 2 / 3}}})
    ['accuracy 66.67 % on 30 of them, whose subject is not in the training set']
    """
    lines = []
    for group, part in report.get("unseen", {}).items():
        if part["images"] == report["macro average"]["support"]:
            lines.append(f"no {group} of it is in the training set")
        elif part["images"]:
            few = f" (too few to tell; --split-by {group} gives the real figure)" if part["images"] < ENOUGH else ""
            lines.append(f"accuracy {100 * part['accuracy']:.2f} % on {part['images']} of them, whose {group} "
                         f"is not in the training set{few}")
        else:
            lines.append(f"each {group} of it is in the training set too")
    return lines
