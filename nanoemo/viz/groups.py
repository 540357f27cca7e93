"""Accuracy of one group of examples beside another: people above all, who differ more than pictures do."""
import numpy as np

from nanoemo.viz.style import BLUE, LABEL_SIZE, ORANGE, TICK_SIZE, check_shares, new_axes, remove_box

__all__ = ["group_accuracy"]

NAMED = 40              # up to so many groups there is room for their names


def group_accuracy(values, chance, title="Accuracy of each person", what="person"):
    """Figure with a bar a group, the most accurate first, and their mean and spread (one standard deviation) across it.

    values: {name of the group: accuracy, a share in [0, 1]}; chance: the accuracy of guessing; what: the groups are
    Raises ValueError where there is no group, or a value that is not in [0, 1].

    >>> figure = group_accuracy({"KA": 0.5, "KL": 0.75, "KM": 0.4}, chance=1 / 7)
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['KL', 'KA', 'KM']
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['mean 55 %', 'spread 15 points', 'chance 14 %']
    """
    shares = np.array(list(values.values()), float)
    if shares.size == 0 or np.isnan(shares).any():
        raise ValueError(f"group_accuracy: expected a share from 0 to 1 for at least one {what}, got {values}")
    check_shares("group_accuracy", [*shares, chance])
    order = np.argsort(-shares, kind="stable")
    shares, names = 100 * shares[order], [list(values)[place] for place in order]
    mean, spread, places = shares.mean(), shares.std(), range(len(names))
    digits = 0 if spread >= 10 else 1
    named = len(names) <= NAMED
    figure, axes = new_axes(title, what if named else f"{what}, {len(names)} of them, the most accurate first", "accuracy (%)",
                            size=(max(8.0, 2 + 0.35 * min(len(names), NAMED)), 5.0))
    axes.bar(places, shares, color=BLUE, width=0.75 if named else 1.0)
    line = axes.axhline(mean, color=ORANGE, linewidth=3)
    band = axes.axhspan(mean - spread, mean + spread, color=ORANGE, alpha=0.25, linewidth=0)
    guess = axes.axhline(100 * chance, color="black", linewidth=2, linestyle=":")
    axes.set_xticks(places if named else [], names if named else [], fontsize=TICK_SIZE,
                    **({"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(names) > 8 else {}))
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 100)
    figure.legend([line, band, guess],
                  [f"mean {mean:.{digits}f} %", f"spread {spread:.{digits}f} points", f"chance {100 * chance:.0f} %"],
                  loc="outside lower center", ncols=3, fontsize=LABEL_SIZE)
    remove_box(axes)
    axes.grid(False, axis="x")
    return figure
