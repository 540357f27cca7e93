"""What is written about a trained model's predictions on one split: tables and figures."""
from nanoemo import viz
from nanoemo.training import metrics
from nanoemo.files import write_csv, write_file, write_json

__all__ = ["write_evaluation"]


def write_evaluation(folder, predictions, classes, title, about):
    """Write the figures of merit of `predictions` (`nanoemo.training.Predictions`) into `folder`.

    classes: names in the order of the labels; title: for the figures ("njoku.cnn on FER2013, test set");
    about: plain data to keep beside the figures (which checkpoint, which data).
    Returns the classification report.
    """
    folder.mkdir(exist_ok=True)
    truth, predicted = predictions.truth, predictions.predicted
    matrix = metrics.confusion_matrix(truth, predicted, len(classes))
    recalls = metrics.per_class_accuracy(matrix)
    report = metrics.classification_report(truth, predicted, classes)

    write_csv(folder / "confusion_matrix.csv", ["true class", *classes],
              [[name, *row] for name, row in zip(classes, matrix.tolist())])
    write_csv(folder / "per_class_accuracy.csv", ["class", "accuracy", "images"],
              [[name, "" if value != value else value, sum(row)]            # NaN: a class without images
               for name, value, row in zip(classes, recalls.tolist(), matrix.tolist())])
    write_file(folder / "classification_report.txt", f"{title}\n\n{metrics.format_report(report)}\n")
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
