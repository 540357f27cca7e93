"""How long models take."""
import numpy as np

from nanoemo.viz.style import BLUE, TICK_SIZE, new_axes, remove_box

__all__ = ["times"]

UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"), (1e-3, "milliseconds"), (1e-6, "microseconds"))


def times(seconds, notes=None, title="Time of training", what="time"):
    """Figure with a bar a model, its time written beside it (Marrugat, figure 6).

    seconds: {model: seconds}; notes: {model: text to write below its name}; what: the axis's name, without its unit
    The unit is the largest of which the longest time has at least one. Raises ValueError where a time is no positive number.

    >>> figure = times({"model 1": 5400.0, "model 2": 9000.0}, {"model 2": "10,000 steps"})
    >>> figure.axes[0].get_xlabel(), [text.get_text() for text in figure.axes[0].texts]
    ('time (hours)', ['1.5', '2.5'])
    """
    values = np.array(list(seconds.values()), float)
    if values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"times: expected a positive number of seconds for at least one model, got {dict(seconds)}")
    size, unit = next((pair for pair in UNITS if values.max() >= pair[0]), UNITS[-1])
    figure, axes = new_axes(title, f"{what} ({unit})", "", size=(10, 1.8 + (0.75 if notes else 0.6) * len(values)))
    axes.barh(range(len(values)), values / size, color=BLUE, height=0.65)
    names = [f"{model}\n{notes[model]}" if notes and notes.get(model) else model for model in seconds]
    axes.set_yticks(range(len(values)), names)
    axes.invert_yaxis()                     # the first on top
    texts = [f"{value:.3g}" if value < 100 else f"{value:,.0f}" for value in values / size]
    for row, text in enumerate(texts):
        axes.annotate(text, (values[row] / size, row), (5, 0), textcoords="offset points", va="center", fontsize=TICK_SIZE)
    axes.set_xlim(0, values.max() / size * 1.15)         # room for the text behind the longest bar
    remove_box(axes)
    axes.grid(False, axis="y")
    return figure
