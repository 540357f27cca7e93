"""Keeps weights from along the way, to see later how layers came to be what they are."""
from nanoemo.serialization import save_state
from nanoemo.training.callbacks import Callback

__all__ = ["Snapshots"]


class Snapshots(Callback):
    """Saves the weights before training and after 1, 2, 4, 8, … epochs into snapshots/ of a `RunFolder`.

    Weights rather than activations, since then layers and images can be chosen later. Powers of two, since networks change
    most at first: seven files tell of a hundred epochs. Training does not notice: nothing is computed.
    """

    def __init__(self, folder):
        self.folder = folder

    def train_start(self, trainer):
        if trainer.epoch == trainer.step == 0:
            self._keep(trainer)

    def epoch_end(self, trainer):
        self._keep(trainer)

    def _keep(self, trainer):
        if trainer.epoch & (trainer.epoch - 1) == 0:        # 0, or a power of two
            save_state(trainer.model.state_dict(), self.folder.snapshots_path / f"epoch-{trainer.epoch:04}.safetensors")
