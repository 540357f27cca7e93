"""Ending a training that no longer gets better."""
from nanoemo.training.callbacks import Callback
from nanoemo.training.recorder import best_epoch

__all__ = ["EarlyStopping"]


class EarlyStopping(Callback):
    """End training once `patience` epochs in a row have not been the best so far.

    Of such criteria, and what they save and cost: Prechelt 1998, "Early stopping - but when?", who counts otherwise.

    Which epoch is best is what `best_epoch` says, as for the weights that are kept: a run that ends early is judged by
    the same weights as one that goes on without getting better. The history alone decides, so a resumed run ends where
    the uninterrupted one would have. Raises ValueError for a patience below 1.

    >>> from nanoemo.training import EarlyStopping
    >>> stopping = EarlyStopping(patience=2)
    >>> epochs = [{"epoch": n + 1, "val_accuracy": a, "val_loss": 1.0} for n, a in enumerate((0.3, 0.5, 0.4, 0.5))]
    >>> [stopping.is_over(epochs[:n]) for n in range(1, 5)]
    [False, False, False, True]
    """

    def __init__(self, patience):
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience must be at least 1 epoch, got {patience!r}")
        self.patience = patience

    def is_over(self, history):
        """Whether a training with this history has ended."""
        return bool(history) and history[-1]["epoch"] - best_epoch(history)["epoch"] >= self.patience

    def train_start(self, trainer):
        trainer.ended = self.is_over(trainer.history)

    def epoch_end(self, trainer):
        trainer.ended = self.is_over(trainer.history)
