"""Curves over epochs: loss and accuracy of training and validation."""
import numpy as np

from nanoemo.viz.style import BLUE, LABEL_SIZE, ORANGE, SEVERAL, TICK_SIZE, check_shares, new_axes, new_figure, remove_box

__all__ = ["loss_curves", "accuracy_curves", "run_curves"]


def loss_curves(train, validation=None, title="Loss", loss="cross-entropy, nats"):
    """Figure of the mean loss of each epoch; `train` and `validation` are sequences with one value an epoch.
    `loss` says what was measured, and in what unit.

    A NaN (an epoch without validation) leaves a gap. Raises ValueError where the lengths differ or are 0.

    >>> figure = loss_curves([1.9, 1.2, 0.8], [1.7, 1.3, 1.1])
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('epoch', 'mean loss (cross-entropy, nats)')
    """
    return _curves("loss_curves", train, validation, title, f"mean loss ({loss})")


def accuracy_curves(train, validation=None, title="Accuracy", chance=None):
    """Figure of the accuracy (shares in [0, 1], drawn in per cent) of each epoch; `chance` draws a dotted
    line. Raises ValueError for numbers that are no shares, and as `loss_curves` does.

    >>> figure = accuracy_curves([0.2, 0.6], [0.3, 0.5], chance=1 / 7)
    >>> figure.axes[0].get_ylabel()
    'accuracy (%)'
    """
    train, validation = (None if values is None else 100 * check_shares("accuracy_curves", values)
                         for values in (train, validation))
    check_shares("accuracy_curves: chance", chance)
    figure = _curves("accuracy_curves", train, validation, title, "accuracy (%)")
    axes = figure.axes[0]
    axes.set_ylim(0, 102)
    if chance is not None:
        axes.axhline(100 * chance, color="black", linestyle=":", linewidth=1.5, label="chance")
        axes.legend(fontsize=13, frameon=False)
    return figure


def run_curves(runs, title="Loss and accuracy", chance=None, loss="cross-entropy, nats"):
    """Figure of several runs together: the loss of each epoch on the left, the accuracy on the right.

    runs: {name: {"loss": values, "accuracy": values, "val_loss": values, "val_accuracy": values}}, a value an epoch,
        accuracies as shares in [0, 1]; any but the first may be missing. Epochs may differ from run to run.
    chance: accuracy of guessing, a dotted line; loss: what was measured, and in what unit
    Raises ValueError for no run, for more than can be told apart, for columns of different lengths, and for accuracies that
    are no shares.

    >>> run = {"loss": [1.9, 1.2], "accuracy": [0.2, 0.5]}
    >>> figure = run_curves({"shallow": run, "deep": run})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['mean loss (cross-entropy, nats)', 'accuracy (%)']
    """
    if not 1 <= len(runs) <= len(SEVERAL):
        raise ValueError(f"run_curves: {len(runs)} curves (a training in stages has one for each); from 1 to {len(SEVERAL)} "
                         "can be told apart")
    check_shares("run_curves: chance", chance)
    wanted = [("loss", f"mean loss ({loss})", 1)]
    if any("accuracy" in columns for columns in runs.values()):
        wanted.append(("accuracy", "accuracy (%)", 100))
    figure = new_figure(title, (7 * len(wanted), 5.5 + 0.3 * len(runs)))
    panels = figure.subplots(1, len(wanted), squeeze=False)[0]
    for axes, (name, label, scale) in zip(panels, wanted):
        for (run, columns), color in zip(runs.items(), SEVERAL):
            _draw_run(axes, run, columns, name, scale, color)
        axes.set_xlabel("epoch", fontsize=LABEL_SIZE)
        axes.set_ylabel(label, fontsize=LABEL_SIZE)
        axes.tick_params(labelsize=TICK_SIZE)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        _from_zero(axes)
        remove_box(axes)
    if len(panels) == 2:
        _mark_accuracy(panels[1], chance)
    # One legend for both panels, below them, where it hides no curve: training on the left, validation on the right.
    lines = sorted(panels[0].get_lines(), key=lambda line: line.get_linestyle() == "--")
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=TICK_SIZE, frameon=False)
    return figure


def _from_zero(axes):
    """0 is in the picture, and there is room beyond the outermost points."""
    low, high = axes.dataLim.intervaly
    if np.isfinite([low, high]).all():
        axes.set_ylim(1.05 * min(low, 0), 1.05 * max(high, 0) or 1)


def _mark_accuracy(axes, chance):
    axes.set_ylim(0, 102)
    if chance is not None:
        axes.axhline(100 * chance, color="black", linestyle=":", linewidth=1.5)
        axes.text(0.99, 100 * chance, "chance", transform=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=TICK_SIZE)


def _draw_run(axes, run, columns, name, scale, color):
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"run_curves: the columns of {run} must have one value an epoch, but have "
                         f"{', '.join(f'{len(values)} ({key})' for key, values in columns.items())}")
    epochs = np.arange(1, lengths.pop() + 1)
    for key, style, what in ((name, "o-", "training"), (f"val_{name}", "s--", "validation")):
        if key in columns:
            values = check_shares(f"run_curves: {key} of {run}", columns[key]) if name == "accuracy" else columns[key]
            axes.plot(epochs, scale * np.asarray(values, float), style, color=color, label=f"{run}, {what}",
                      **_weight(len(epochs)))


def _curves(name, train, validation, title, y_label):
    train = np.asarray(train, dtype=float)
    if train.ndim != 1 or train.size == 0:
        raise ValueError(f"{name}: expected one value an epoch, got an array of shape {train.shape}")
    figure, axes = new_axes(title, "epoch", y_label)
    epochs = np.arange(1, len(train) + 1)
    # Circle and square, full and dashed: the curves stay apart when printed in grey.
    axes.plot(epochs, train, "o-", color=BLUE, label="training", **_weight(len(train)))
    if validation is not None:
        validation = np.asarray(validation, dtype=float)
        if validation.shape != train.shape:
            raise ValueError(f"{name}: {len(train)} epochs of training but validation has shape "
                             f"{validation.shape}")
        axes.plot(epochs, validation, "s--", color=ORANGE, label="validation", **_weight(len(train)))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    remove_box(axes)
    axes.legend(fontsize=13, frameon=False)
    return figure


def _weight(epochs):
    return {"linewidth": 2.5, "markersize": 7 if epochs <= 40 else 3}
