"""Curves over epochs: loss and accuracy of training and validation."""
import numpy as np

from nanoemo.viz.style import BLUE, ORANGE, new_axes, remove_box

__all__ = ["loss_curves", "accuracy_curves"]


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
    line.

    >>> figure = accuracy_curves([0.2, 0.6], [0.3, 0.5], chance=1 / 7)
    >>> figure.axes[0].get_ylabel()
    'accuracy (%)'
    """
    train, validation = (None if values is None else 100 * np.asarray(values, dtype=float)
                         for values in (train, validation))
    figure = _curves("accuracy_curves", train, validation, title, "accuracy (%)")
    axes = figure.axes[0]
    axes.set_ylim(0, 102)
    if chance is not None:
        axes.axhline(100 * chance, color="black", linestyle=":", linewidth=1.5, label="chance")
        axes.legend(fontsize=13, frameon=False)
    return figure


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
