"""What can be hooked into the training loop."""

__all__ = ["Callback"]


class Callback:
    """Something told how training goes. Override what you need; each method is given the trainer.

    >>> class Shout(Callback):
    ...     def epoch_end(self, trainer):
    ...         print(trainer.history[-1]["loss"])
    """

    def train_start(self, trainer):
        """Before the first step that this process makes."""

    def step_end(self, trainer):
        """After each update of the weights; `trainer.step` steps of the epoch are made, `trainer.tally`
        sums them."""

    def epoch_trained(self, trainer):
        """After an epoch's last step, before the model is measured on the validation set. An epoch that is stopped in between
        begins again here."""

    def epoch_end(self, trainer):
        """After validation; the epoch's figures are `trainer.history[-1]`."""

    def train_end(self, trainer):
        """When the loop is left: done, asked to stop, or by an exception."""
