"""Keeps the run folder up to date while training goes on."""
import time

from nanoemo.training import checkpoint
from nanoemo.training.callbacks import Callback

__all__ = ["Recorder", "best_epoch"]


def best_epoch(history):
    """The row of the epoch with the highest validation accuracy; of equals, the one of lower loss, then the
    first.

    Of what is no classifier, the one of lowest validation loss; without a validation set, of lowest training loss.

    >>> best_epoch([{"epoch": 1, "val_accuracy": 0.5, "val_loss": 1.2},
    ...             {"epoch": 2, "val_accuracy": 0.5, "val_loss": 1.1}])["epoch"]
    2
    """
    def merit(row):
        loss = row["loss"] if row["val_loss"] is None else row["val_loss"]
        return row["val_accuracy"] or 0.0, -loss

    return max(history, key=merit)


class Recorder(Callback):
    """Writes history and checkpoints into a `RunFolder`: at each epoch's end, and within it every
    `save_every` seconds.

    `best` is written before `last`. A kill between the two repeats the end of the epoch when the run is
    resumed, and writes the same `best` again; the other way round, the best weights could be lost.
    """

    def __init__(self, folder, save_every=60.0):
        self.folder = folder
        self.save_every = save_every
        self.saved_at = time.monotonic()

    def save(self, trainer):
        """Save where the trainer is now, to go on from."""
        checkpoint.save(self.folder.last_path, *trainer.state())
        self.saved_at = time.monotonic()

    def train_start(self, trainer):
        self.save(trainer)

    def step_end(self, trainer):
        if time.monotonic() - self.saved_at >= self.save_every:
            self.save(trainer)

    def epoch_end(self, trainer):
        if best_epoch(trainer.history) is trainer.history[-1]:
            checkpoint.save(self.folder.best_path, *trainer.state())
        self.folder.write_history(trainer.history)
        self.save(trainer)
