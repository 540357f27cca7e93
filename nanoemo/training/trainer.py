"""The training loop.

For each epoch, for each batch: predict, measure the loss, send its gradient back, let the optimiser change
the weights. After each epoch the validation set is measured, without learning from it. All that a run *is*
between two steps can be taken out as arrays and plain data (`Trainer.state`) and put back
(`Trainer.restore`), so that a run broken off anywhere goes on to the same bits.
"""
import math
import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from nanoemo import Tensor, random
from nanoemo.nn.trace import undisturbed
from nanoemo.training.checkpoint import CheckpointError

__all__ = ["Trainer", "Tally", "TrainingDiverged", "Predictions", "predict"]


class TrainingDiverged(ValueError):
    """The loss became NaN or infinite; the message says at which step, and what to try."""


@dataclass
class Tally:
    """Running sums over the images seen so far in an epoch."""
    images: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seconds: float = 0.0

    def add(self, images, loss, correct, seconds):
        self.images += images
        self.loss_sum += loss * images
        self.correct += correct
        self.seconds += seconds

    @property
    def loss(self):
        return self.loss_sum / self.images

    @property
    def accuracy(self):
        return self.correct / self.images

    @property
    def images_per_second(self):
        return self.images / self.seconds if self.seconds else 0.0


class Trainer:
    """Trains a classifier.

    model: a Module that turns images (N, H, W, C) into scores (N, K)
    optimizer: over the model's parameters
    loss_fn: (scores, labels) -> scalar Tensor, the mean over the batch
    train, validation: loaders that give (images, labels) as arrays; validation may be None
    callbacks: objects told how it goes (`nanoemo.training.Callback`)

    >>> import numpy as np, nanoemo
    >>> from nanoemo import data, nn, ops, optim
    >>> from nanoemo.training import Trainer
    >>> nanoemo.manual_seed(0)
    >>> images = np.repeat(np.arange(2, dtype=np.uint8) * 255, 32).reshape(64, 1, 1, 1)
    >>> faces = data.ImageSet(images, np.repeat([0, 1], 32), ("black", "white"))
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    >>> trainer = Trainer(model, optim.SGD(model.parameters(), lr=1.0), ops.cross_entropy,
    ...                   data.DataLoader(faces, batch_size=16, shuffle=True))
    >>> history = trainer.fit(epochs=3)
    >>> history[-1]["accuracy"]
    1.0
    """

    def __init__(self, model, optimizer, loss_fn, train, validation=None, *, device="cpu", callbacks=()):
        self.model = model
        self.optimizer = optimizer
        self.loss_fn = loss_fn
        self.train_loader = train
        self.validation_loader = validation
        self.device = device
        self.callbacks = list(callbacks)
        self.epoch = 0              # epochs finished, and so the index of the one under way
        self.step = 0               # steps made in the epoch under way
        self.tally = Tally()        # sums over those steps
        self.history = []           # a dictionary for each finished epoch
        self.epochs = None

    @property
    def steps_per_epoch(self):
        return len(self.train_loader)

    def fit(self, epochs, stop=None):
        """Train until `epochs` epochs are done in all; returns the history, a list with a dictionary an
        epoch.

        stop: anything with a truth value, looked at between steps; where it becomes true, fit returns
        early, with the state in order (`finished` is then False).

        Raises TrainingDiverged where the loss is no longer a finite number.
        """
        self.epochs = epochs
        self._tell("train_start")
        try:
            while self.epoch < epochs and self._run_epoch(stop):
                pass
        finally:
            self._tell("train_end")
        return self.history

    @property
    def finished(self):
        return self.epoch == self.epochs

    def _run_epoch(self, stop):
        """The rest of the epoch under way, and its validation. False where asked to stop before its end."""
        self.model.train()
        before = time.perf_counter()
        for images, labels in self.train_loader.epoch(self.epoch, start=self.step):
            loss, correct = self._train_step(images, labels)
            now = time.perf_counter()
            self.tally.add(len(labels), loss, correct, now - before)
            before = now
            self.step += 1
            self._tell("step_end")
            if stop:
                return False
        return self._finish_epoch(stop)

    def _train_step(self, images, labels):
        scores = self.model(Tensor(images, device=self.device))
        loss = self.loss_fn(scores, Tensor(labels, device=self.device))
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingDiverged(self._diverged(value, f"at epoch {self.epoch + 1}, step {self.step + 1}"))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return value, int((_classes(scores) == labels).sum())

    def _finish_epoch(self, stop):
        before = time.perf_counter()
        val_loss = val_accuracy = None
        if self.validation_loader is not None:
            result = predict(self.model, self.validation_loader, self.loss_fn, self.device, stop)
            if result is None:
                return False
            if not math.isfinite(result.loss):
                where = f"in the validation after epoch {self.epoch + 1}"
                raise TrainingDiverged(self._diverged(result.loss, where))
            val_loss, val_accuracy = result.loss, float((result.truth == result.predicted).mean())
        self.history.append({
            "epoch": self.epoch + 1, "loss": self.tally.loss, "accuracy": self.tally.accuracy,
            "val_loss": val_loss, "val_accuracy": val_accuracy,
            "seconds": round(self.tally.seconds + time.perf_counter() - before, 3),
            "images_per_second": round(self.tally.images_per_second, 1), "lr": self.optimizer.lr})
        self.epoch, self.step, self.tally = self.epoch + 1, 0, Tally()
        self._tell("epoch_end")
        return not stop

    def _tell(self, event):
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def _diverged(self, value, where):
        return (f"the loss became {value} {where}. Training stopped. "
                f"Try a lower learning rate (it is {self.optimizer.lr:g}); gradient clipping or another seed "
                "may help; nanoemo.detect_anomaly() names the operation that made the first NaN")

    # ---- all that a run is, between two steps --------------------------------------------------------------

    def state(self):
        """Everything needed to go on from here: (arrays by name, plain data). Copies nothing."""
        arrays = {f"model.{name}": array for name, array in self.model.state_dict().items()}
        arrays.update({f"optimizer.{name}": np.asarray(value)
                       for name, value in self.optimizer.state_dict().items()})
        return arrays, {
            "epoch": self.epoch, "step": self.step, "tally": asdict(self.tally), "history": self.history,
            "random": random.get_state()}

    def restore(self, arrays, meta):
        """Go back to a state that `state` gave, random numbers included.

        Raises CheckpointError where it is the state of another model, optimiser or number of steps an epoch.
        """
        def part(prefix):
            return {name[len(prefix):]: array for name, array in arrays.items() if name.startswith(prefix)}

        try:
            self.model.load_state_dict(part("model."))
            self.optimizer.load_state_dict(part("optimizer."))
            self.epoch, self.step = meta["epoch"], meta["step"]
            self.tally, self.history = Tally(**meta["tally"]), meta["history"]
            random.set_state(meta["random"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from error


class Predictions(NamedTuple):
    """Of a whole set, in the loader's order: true classes (N,), predicted classes (N,), mean loss (None if
    not asked)."""
    truth: np.ndarray
    predicted: np.ndarray
    loss: float | None


def predict(model, loader, loss_fn=None, device="cpu", stop=None):
    """Run a classifier over a loader, without learning; returns `Predictions`, or None where asked to stop.

    Truth and prediction come from the same pass, so they are in the same order even if the loader shuffles.
    The model computes in evaluation mode (no dropout, batch norm's running statistics) and is left in the
    mode it had.
    """
    truth, predicted, loss_sum = [], [], 0.0
    with undisturbed(model):
        for images, labels in loader:
            if stop:
                return None
            scores = model(Tensor(images, device=device))
            if loss_fn is not None:
                loss_sum += loss_fn(scores, Tensor(labels, device=device)).item() * len(labels)
            truth.append(labels)
            predicted.append(_classes(scores))
    truth = np.concatenate(truth)
    return Predictions(truth, np.concatenate(predicted), None if loss_fn is None else loss_sum / len(truth))


def _classes(scores):
    """The class of the highest score of each row, as a NumPy array."""
    return scores.detach().cpu().numpy().argmax(axis=-1)
