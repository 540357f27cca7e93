"""What a search found: accuracy over the values that were tried."""
import numpy as np

from nanoemo.viz.style import BLUE, LABEL_SIZE, TICK_SIZE, check_shares, color_bar, new_axes, remove_box

__all__ = ["search_results"]


def search_results(rows, names, title="Search"):
    """Figure of the accuracy over one searched setting (points with their spread) or two (a map).

    rows: dictionaries with the values of the settings, "accuracy" (a share, or None where training diverged) and "spread"
    names: of the one or two settings to draw; where several rows have the same values of them, the best is drawn
    Two settings whose every combination was tried make a table of cells; drawn at random, each is a disc.
    Raises ValueError for an accuracy that is no share.

    >>> rows = [{"lr": lr, "hidden": n, "accuracy": 0.5, "spread": 0.1} for lr in (0.1, 0.01) for n in (8, 16, 32)]
    >>> [text.get_text() for text in search_results(rows, ["lr", "hidden"]).axes[0].texts]
    ['50.0', '50.0', '50.0', '50.0', '50.0', '50.0']
    """
    check_shares("search_results", [row["accuracy"] for row in rows])
    best = {}
    for row in sorted(rows, key=lambda row: row["accuracy"] or 0):
        best[tuple(_hashable(row[name]) for name in names)] = row
    labels = [name.replace("_", " ") for name in names]
    if len(names) == 1:
        return _line(best, labels[0], title)
    values = [_in_order(key[axis] for key in best) for axis in (0, 1)]
    if len(best) == len(values[0]) * len(values[1]):
        return _cells(best, values, labels, title)
    return _discs(best, values, labels, title)


def _hashable(value):
    return tuple(value) if isinstance(value, list) else value


def _in_order(values):
    values = set(values)
    return sorted(values, key=str if any(isinstance(value, (str, tuple)) for value in values) else None)


def _per_cent(row):
    return np.nan if row["accuracy"] is None else 100 * row["accuracy"]


def _text(value):
    return "×".join(map(str, value)) if isinstance(value, tuple) else f"{value:.3g}" if isinstance(value, float) else str(value)


def _line(best, label, title):
    values = _in_order(value for value, in best)
    rows = [best[value,] for value in values]
    figure, axes = new_axes(title, label, "accuracy (%)")
    axes.errorbar(range(len(values)), [_per_cent(row) for row in rows], [100 * (row["spread"] or 0) for row in rows],
                  fmt="o-", color=BLUE, capsize=6, linewidth=2.5, markersize=8)
    axes.set_xticks(range(len(values)), [_text(value) for value in values])
    remove_box(axes)
    return figure


def _cells(best, values, labels, title):
    table = np.array([[_per_cent(best[x, y]) for x in values[0]] for y in values[1]])
    figure, axes = new_axes(title, *labels, size=(max(7.0, 3 + 1.3 * len(values[0])), max(4.0, 2 + 0.9 * len(values[1]))))
    image = axes.imshow(table, cmap="Blues", aspect="auto", origin="lower")
    axes.set_xticks(range(len(values[0])), [_text(value) for value in values[0]])
    axes.set_yticks(range(len(values[1])), [_text(value) for value in values[1]])
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (row, column), value in np.ndenumerate(table):
        axes.text(column, row, "diverged" if np.isnan(value) else f"{value:.1f}", ha="center", va="center",
                  fontsize=LABEL_SIZE, color="white" if value > middle else "black")
    color_bar(axes, image, "accuracy (%)")
    return figure


def _discs(best, values, labels, title):
    figure, axes = new_axes(title, *labels)
    places = [{value: place for place, value in enumerate(of_axis)} for of_axis in values]
    numeric = [all(isinstance(value, (int, float)) and value > 0 for value in of_axis) for of_axis in values]
    x, y = ([key[axis] if numeric[axis] else places[axis][key[axis]] for key in best] for axis in (0, 1))
    accuracy = np.array([_per_cent(row) for row in best.values()])
    image = axes.scatter(x, y, c=accuracy, s=260, cmap="Blues", edgecolors="black")
    failed = np.flatnonzero(np.isnan(accuracy))
    if len(failed):
        axes.scatter([x[i] for i in failed], [y[i] for i in failed], marker="x", s=160, color="black", label="diverged")
        axes.legend(fontsize=TICK_SIZE)
    for of_axis, is_numeric, scale, axis in ((values[0], numeric[0], axes.set_xscale, axes.xaxis),
                                             (values[1], numeric[1], axes.set_yscale, axes.yaxis)):
        if is_numeric:
            scale("log")
            _write_out(axis, max(of_axis) / min(of_axis))
        else:
            axis.set_ticks(range(len(of_axis)), [_text(value) for value in of_axis])
    axes.margins(0.12)
    remove_box(axes)
    color_bar(axes, image, "accuracy (%)")
    return figure


def _write_out(axis, ratio):
    """Numbers on a logarithmic axis as they are given to the command line: 0.001 and 0.003, not powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 3) if ratio < 1000 else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
