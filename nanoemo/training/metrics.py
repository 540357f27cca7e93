"""How good are the predictions? Accuracy, confusion matrix and the classification report, from their
definitions.

Everything here takes two integer arrays of one length: the true class of each sample, and the predicted
one, *in the same order*. That condition is easily broken: ask a shuffling loader once for the labels and a
second time for the predictions, and each prediction is compared with some other image's label. The figures
then describe chance (one of the papers prints a report of accuracy 0.18 for a network that is right 65
times in 100). So `nanoemo.training.predict` returns both arrays from one pass.

For class k, over all samples, with TP, FP and FN the true positives, false positives and false negatives:

    precision = TP / (TP + FP)       of what was called k, the share that is k
    recall    = TP / (TP + FN)       of what is k, the share that was found (the papers' "per-class accuracy")
    F1        = 2 TP / (2 TP + FP + FN)
    support   = TP + FN              how many samples are k
"""
import numpy as np

__all__ = ["accuracy", "confusion_matrix", "per_class_accuracy", "classification_report", "format_report"]


def accuracy(truth, prediction):
    """Share of samples whose predicted class is the true one, in [0, 1].

    Raises ValueError where the arrays are empty, of different lengths, or not integers.

    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 0])
    0.75
    """
    truth, prediction = _check(truth, prediction)
    return float(np.mean(truth == prediction))


def confusion_matrix(truth, prediction, num_classes):
    """Counts of shape (num_classes, num_classes): row = true class, column = predicted class.

    A class that never occurs has a row (or column) of zeros. Raises ValueError for a label outside
    0 … num_classes − 1.

    >>> confusion_matrix([0, 1, 2, 2], [0, 1, 2, 0], num_classes=3).tolist()
    [[1, 0, 0], [0, 1, 0], [1, 0, 1]]
    """
    truth, prediction = _check(truth, prediction, num_classes)
    cells = truth * num_classes + prediction
    return np.bincount(cells, minlength=num_classes ** 2).reshape(num_classes, num_classes)


def per_class_accuracy(matrix):
    """Recall of each class from a confusion matrix, shape (K,); NaN for a class without a single true sample.

    >>> per_class_accuracy([[3, 1], [0, 0]]).tolist()
    [0.75, nan]
    """
    matrix = np.asarray(matrix)
    support = matrix.sum(axis=1)
    return np.divide(np.diag(matrix), support, out=np.full(len(matrix), np.nan), where=support > 0)


def classification_report(truth, prediction, classes):
    """Precision, recall, F1 and support of each class, and their averages, as plain data (ready for JSON).

    `classes` are the K names in the order of the labels. The macro average weighs each class alike, the
    weighted average weighs it by its support. Where a denominator is zero (precision of a class never
    predicted, recall of a class that does not occur) the value is 0, and the class still counts in the
    macro average.

    >>> report = classification_report([0, 0, 1], [0, 1, 1], ["sad", "happy"])
    >>> report["classes"]["sad"]
    {'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'support': 2}
    >>> report["accuracy"], report["macro average"]["recall"]
    (0.6666666666666666, 0.75)
    """
    classes = list(classes)
    if len(set(classes)) != len(classes):
        raise ValueError(f"classification_report: two classes have one name: {', '.join(classes)}")
    matrix = confusion_matrix(truth, prediction, len(classes))
    hits, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = _ratio(hits, predicted), _ratio(hits, support)
    scores = np.stack([precision, recall, _ratio(2 * hits, predicted + support)], axis=1)
    total = int(support.sum())
    return {
        "classes": {name: _row(scores[k], support[k]) for k, name in enumerate(classes)},
        "accuracy": float(hits.sum() / total),
        "macro average": _row(scores.mean(axis=0), total),
        "weighted average": _row(support @ scores / total, total),
    }


def format_report(report):
    """The report as a text table.

    >>> print(format_report(classification_report([0, 0, 1], [0, 1, 1], ["sad", "happy"])))
                      precision    recall        F1   support
    <BLANKLINE>
                 sad       1.00      0.50      0.67         2
               happy       0.50      1.00      0.67         1
    <BLANKLINE>
            accuracy                           0.67         3
       macro average       0.75      0.75      0.67         3
    weighted average       0.83      0.67      0.67         3
    """
    averages = ("macro average", "weighted average")
    width = max(len(name) for name in (*report["classes"], *averages))

    def line(name, row):
        return (f"{name:>{width}}  {row['precision']:>9.2f} {row['recall']:>9.2f} "
                f"{row['f1']:>9.2f} {row['support']:>9}")

    support = report["macro average"]["support"]
    return "\n".join([
        f"{'':>{width}}  {'precision':>9} {'recall':>9} {'F1':>9} {'support':>9}",
        "",
        *(line(name, row) for name, row in report["classes"].items()),
        "",
        f"{'accuracy':>{width}}  {'':>9} {'':>9} {report['accuracy']:>9.2f} {support:>9}",
        *(line(name, report[name]) for name in averages),
    ])


def _ratio(part, whole):
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _row(scores, support):
    precision, recall, f1 = map(float, scores)
    return {"precision": precision, "recall": recall, "f1": f1, "support": int(support)}


def _check(truth, prediction, num_classes=None):
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise ValueError(f"metrics: truth and prediction are one class a sample, so of one length; "
                         f"got shapes {truth.shape} and {prediction.shape}")
    if truth.size == 0:
        raise ValueError("metrics: there are no samples to judge")
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"metrics: {name} holds {labels.dtype}, but classes are integers "
                             "(of scores, take .argmax(axis=1) first)")
        wrong = np.flatnonzero((labels < 0) | (labels >= num_classes)) if num_classes else ()
        if len(wrong):
            raise ValueError(f"metrics: {name}[{wrong[0]}] is {labels[wrong[0]]}, "
                             f"but the {num_classes} classes are 0 to {num_classes - 1}")
    return truth.astype(np.int64), prediction.astype(np.int64)
