"""What was heard in a long recording: how probable each emotion is, over time."""
import numpy as np

from nanoemo.viz.style import TICK_SIZE, check_shares, color_bar, new_axes, tick_names

__all__ = ["timeline"]

SILENCE = "#BBBBBB"


def timeline(spans, probabilities, classes, title="Over time"):
    """Figure with a row for each class and time from left to right; the brighter, the more probable, grey where it is silent.

    spans: (W, 2), where each window begins and ends, in seconds, in order; they may overlap. What was found in a window
        is drawn around its middle, halfway to the neighbours'.
    probabilities: (W, K), a row a window, NaN for a silent one; classes: the K names
    Raises ValueError where their shapes do not fit together, or numbers are no probabilities.

    >>> figure = timeline([(0, 3), (1, 4)], [[0.2, 0.8], [0.6, 0.4]], ["sad", "happy"])
    >>> figure.axes[0].get_xlabel(), [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ('time (s)', ['sad', 'happy'])
    """
    spans, probabilities = np.asarray(spans, float), check_shares("timeline", probabilities)
    if spans.ndim != 2 or len(spans) == 0 or spans.shape[1] != 2 or probabilities.shape != (len(spans), len(classes)):
        raise ValueError(f"timeline: spans of shape {spans.shape}, probabilities of {probabilities.shape} and {len(classes)} "
                         "classes; expected (W, 2), (W, K) and K")
    middles = spans.mean(axis=1)
    edges = np.array([spans[0, 0], *(middles[1:] + middles[:-1]) / 2, spans[-1, 1]])
    unit, size = ("s", 1) if edges[-1] <= 600 else ("min", 60)

    silent = "; grey: silent" if np.isnan(probabilities).any() else ""

    figure, axes = new_axes(title, f"time ({unit}){silent}", "", size=(12, 1.9 + 0.45 * len(classes)))
    axes.set_facecolor(SILENCE)
    picture = axes.pcolormesh(edges / size, np.arange(len(classes) + 1) - 0.5, 100 * np.ma.masked_invalid(probabilities.T),
                              cmap="magma", vmin=0, vmax=100)
    axes.set_yticks(range(len(classes)), tick_names(classes), fontsize=TICK_SIZE)
    axes.invert_yaxis()                                     # the first class on top
    color_bar(axes, picture, "probability (%)", pad=0.01)
    return figure
