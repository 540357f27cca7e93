"""Figures a class at a time: confusion matrices, per-class accuracy, how many examples there are."""
import numpy as np

from nanoemo.viz.style import (
    BLUE, GREY, LABEL_SIZE, ORANGE, SEVERAL, TICK_SIZE, check_shares, color_bar, new_axes, remove_box, tick_names)

__all__ = ["class_counts", "class_table", "confusion_matrix", "per_class_accuracy"]


def confusion_matrix(matrix, classes, normalised=False, title="Confusion matrix"):
    """Figure of a confusion matrix of counts, shape (K, K), rows = true class.

    `normalised=True` prints each cell as the per cent of its row, so that the diagonal is the recall of
    each class; the row of a class that does not occur stays empty. Raises ValueError where the shape is not
    (K, K).

    >>> figure = confusion_matrix([[8, 2], [1, 9]], ["sad", "happy"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['8', '2', '1', '9']
    """
    counts = np.asarray(matrix)
    size = len(classes)
    if counts.shape != (size, size):
        raise ValueError(f"confusion_matrix: {size} classes need a matrix of shape {(size, size)}, "
                         f"got {counts.shape}")
    support = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, support, out=np.full(counts.shape, np.nan), where=support > 0)

    side = max(6.5, 3.0 + 0.8 * size)
    figure, axes = new_axes(title, "predicted class", "true class", size=(side + 1, side))
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(size), tick_names(classes), rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), tick_names(classes))
    for (row, column), value in np.ndenumerate(share):
        if np.isfinite(value) or not normalised:
            text = f"{100 * value:.0f}" if normalised else f"{counts[row, column]}"
            axes.text(column, row, text, ha="center", va="center", fontsize=TICK_SIZE,
                      color="white" if value > 0.55 else "black")
    bar = color_bar(axes, image, "share of the true class (%)", fraction=0.045, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0", "25", "50", "75", "100"])
    return figure


def per_class_accuracy(values, classes, title="Accuracy of each class"):
    """Figure with a bar a class; `values` are shares in [0, 1], NaN for a class without samples. Raises ValueError for
    other numbers, and where there is not one a class.

    >>> figure = per_class_accuracy([0.5, float("nan")], ["sad", "happy"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['50', 'no samples']
    """
    values = check_shares("per_class_accuracy", values)
    if values.shape != (len(classes),):
        raise ValueError(f"per_class_accuracy: {len(classes)} classes but values have shape {values.shape}")
    figure, axes = new_axes(title, "accuracy (% of the class)", "",
                            size=(8, 1.8 + 0.5 * len(classes)))
    axes.barh(range(len(classes)), 100 * np.nan_to_num(values), color=BLUE, height=0.7)
    axes.set_yticks(range(len(classes)), tick_names(classes))
    axes.invert_yaxis()                      # first class on top, as in the tables
    axes.set_xlim(0, 109)
    axes.set_xticks(range(0, 101, 20))
    for row, value in enumerate(values):
        text = f"{100 * value:.0f}" if np.isfinite(value) else "no samples"
        axes.text(100 * np.nan_to_num(value) + 1, row, text, va="center", fontsize=TICK_SIZE)
    remove_box(axes)
    axes.grid(False, axis="y")
    return figure


def class_table(values, classes, title="Accuracy of each class (%)"):
    """Figure of a table: a row a class, a column a model, the best of each row in bold (Alizadeh & Fazel, table 3).

    values: {model: shares in [0, 1], one a class}, NaN for a class without samples, which gets a dash. None is bold where
        all are equal. Raises ValueError where there is no model, numbers are no shares, or they and the classes do not fit
        together.

    >>> figure = class_table({"shallow": [0.32, 0.75], "deep": [0.63, 0.805]}, ["sad", "happy"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['32.0', '63.0', '75.0', '80.5']
    """
    table = np.array([np.asarray(shares, float) for shares in values.values()])
    if table.shape != (len(values), len(classes)) or not values:
        raise ValueError(f"class_table: expected {len(classes)} values, one a class, for each of at least one model, "
                         f"got shape {table.shape}")
    check_shares("class_table", table)
    width = max(1.5, 0.13 * max(map(len, values)))           # inches of a column, by the longest name
    figure, axes = new_axes(title, "", "", size=(max(8.0, 2.6 + width * len(values)), 1.7 + 0.5 * len(classes)))
    axes.imshow(table.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(values)), values)
    axes.set_yticks(range(len(classes)), tick_names(classes))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    known = np.nan_to_num(table, nan=-1)
    best = np.where(known.max(axis=0) > known.min(axis=0), known.max(axis=0), np.nan)           # none among equals
    for (row, column), share in np.ndenumerate(table.T):
        axes.text(column, row, f"{100 * share:.1f}" if np.isfinite(share) else "–", ha="center", va="center",
                  fontsize=TICK_SIZE + 1, fontweight="bold" if share == best[row] else "normal",
                  color="white" if share > 0.55 else "black")
    return figure


def class_counts(sets, title="Examples of each class"):
    """Figure of how many examples of each class several sets have, the sets' bars one on the other.

    sets: {name of the set: {class: number}}, as `ImageSet.counts` and `ClipSet.counts` give them; at most eight sets
    Chater, figure 7.

    >>> figure = class_counts({"SAVEE": {"sad": 60, "neutral": 120}, "EMO-DB": {"sad": 62, "boredom": 81}})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['122', '120', '81']
    """
    colors = (BLUE, ORANGE, GREY, "#F0E442", *SEVERAL[2:6])
    if not 1 <= len(sets) <= len(colors):
        raise ValueError(f"class_counts: {len(sets)} sets; expected 1 to {len(colors)}")
    classes = list(dict.fromkeys(name for counts in sets.values() for name in counts))
    below = np.zeros(len(classes))
    figure, axes = new_axes(title, "", "number", size=(2 + 0.9 * max(5, len(classes)), 5))
    bars = []
    for counts, color in zip(sets.values(), colors):
        heights = np.array([counts.get(each, 0) for each in classes])
        bars.append(axes.bar(range(len(classes)), heights, bottom=below, color=color, width=0.7))
        below += heights
    for place, height in enumerate(below):
        axes.text(place, height, f"{height:.0f}", ha="center", va="bottom", fontsize=TICK_SIZE)
    axes.set_xticks(range(len(classes)), tick_names(classes), rotation=30, ha="right", rotation_mode="anchor")
    if len(sets) > 1:
        figure.legend(bars, sets, loc="outside lower center", ncols=3, fontsize=LABEL_SIZE, frameon=False)
    remove_box(axes)
    axes.grid(False, axis="x")
    axes.margins(y=0.1)
    return figure
