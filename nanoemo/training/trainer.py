"""The training loop.

For each epoch, for each batch: predict, measure the loss, send its gradient back, let the optimiser change
the weights. After each epoch the validation set is measured, without learning from it. All that a run *is*
between two steps can be taken out as arrays and plain data (`Trainer.state`) and put back
(`Trainer.restore`), so that a run broken off anywhere goes on to the same bits.
"""
import math
import numbers
import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from nanoemo import Tensor, backend, capture, optim, random
from nanoemo.card_memory import out_of_memory_explained
from nanoemo.nn.module import must_be_module
from nanoemo.nn.trace import module_device, undisturbed
from nanoemo.training.arguments import check_loader, check_rule, checked_callbacks
from nanoemo.training.checkpoint import CheckpointError, part
from nanoemo.training.progress import counted
from nanoemo.training.transfer import Results, on_device

__all__ = ["Trainer", "Tally", "TrainingDiverged", "Predictions", "predict"]


class TrainingDiverged(ValueError):
    """The loss became NaN or infinite; the message says at which step, and what to try."""


@dataclass
class Tally:
    """Running sums over the examples seen so far in an epoch; they are called images, clips of voices too, as in the history."""
    images: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    waiting: float = 0.0            # of these seconds, those in which there was no batch to go on with

    def add(self, images, loss, correct, seconds):
        self.images += images
        self.loss_sum += loss * images
        self.correct += correct
        self.seconds += seconds

    @property
    def loss(self):
        return self.loss_sum / self.images if self.images else math.nan

    @property
    def accuracy(self):
        return self.correct / self.images if self.images else math.nan

    @property
    def images_per_second(self):
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def waiting_share(self):
        return self.waiting / self.seconds if self.seconds else 0.0


class Trainer:
    """Trains a classifier; a subclass that overrides `measure` trains other models (`Reconstructor`).

    model: a Module that turns images (N, H, W, C), or several inputs, into scores (N, K); it is trained on the device it is on
    optimizer: over the model's parameters
    loss_fn: (scores, labels) -> scalar Tensor, the mean over the batch
    train: a `DataLoader`, or what has its `epoch(number, start)` and `len`: gives (images, labels) as arrays, or (input, input,
        ..., labels), of that epoch from batch `start` on. Labels may be probabilities (N, K): an answer is then right where it is
        the likeliest class
    validation: gives the same when it is iterated over; may be None
    schedule: of the learning rate (nanoemo/optim/schedules.py), told the loss of each epoch; validation's where there is one
    clip_norm: upper limit of the joint length of all gradients; None for no limit
    callbacks: objects told how it goes (`nanoemo.training.Callback`)
    Raises TypeError for arguments of another kind, such as a set of images where a loader is wanted; ValueError for an optimiser
    of another model's parameters, a schedule of another optimiser and a clip_norm below 0, and in training where the
    model gives no scores of two classes at least, or labels do not fit them.

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

    classifies = True               # whether there are right answers, and so an accuracy

    def __init__(self, model, optimizer, loss_fn, train, validation=None, *, schedule=None, clip_norm=None, callbacks=()):
        check_loader("Trainer: train", train, "epoch", "__len__")
        if validation is not None:
            check_loader("Trainer: validation", validation, "__iter__")
        check_rule(model, optimizer, loss_fn, schedule, clip_norm)
        self.model = model
        self.optimizer = optimizer
        self.loss_fn = loss_fn
        self.train_loader = train
        self.validation_loader = validation
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.callbacks = checked_callbacks(callbacks)
        self.epoch = 0              # epochs finished, and so the index of the one under way
        self.step = 0               # steps made in the epoch under way
        self.tally = Tally()        # sums over those of them whose results have come back from the device
        self.history = []           # a dictionary for each finished epoch
        self.epochs = None
        self.stop = None            # what `fit` was given to look at between steps
        self.ended = False          # a callback sets it to end training before all epochs are done
        self._learn = capture(self._learn_from, depends_on=self._what_learns)
        self._results = Results()

    def __repr__(self):
        return (f"{type(self).__name__}({type(self.model).__name__}, {self.optimizer!r}, {counted(self.epoch, 'epoch')} and "
                f"{counted(self.step, 'step')} done)")

    @property
    def steps_per_epoch(self):
        return len(self.train_loader)

    @out_of_memory_explained()
    def fit(self, epochs, stop=None):
        """Train until `epochs` epochs are done in all; returns the history, a list with a dictionary an epoch.

        stop: anything with a truth value, looked at between steps; where it becomes true, fit returns
        early, with the state in order (`finished` is then False).

        Raises TrainingDiverged where the loss is no longer a finite number, MemoryError where the card is full.
        """
        if not isinstance(epochs, numbers.Integral):
            raise ValueError(f"fit: epochs must be a whole number, got {epochs!r}")
        self.epochs, self.ended, self.stop = epochs, False, stop
        self._tell("train_start")
        try:
            while not self.finished and self._run_epoch():
                pass
        finally:
            self._tell("train_end")
        return self.history

    @property
    def finished(self):
        return self.ended or self.epoch >= self.epochs

    def _run_epoch(self):
        """The rest of the epoch under way, and its validation. False where asked to stop before its end."""
        self.model.train()
        self._clock = time.perf_counter()
        batches = self._waited_for(self.train_loader.epoch(self.epoch, start=self.step))
        for batch in on_device(batches, module_device(self.model)):
            loss_and_correct = self._learn(*batch)
            self.step += 1
            self._results.put(self.step, len(batch[-1]), loss_and_correct)
            self._add_up()
            self._tell("step_end")
            if self.stop:
                self._add_up(wait_for_all=True)
                return False
        self._add_up(wait_for_all=True)
        return self._finish_epoch()

    def _waited_for(self, batches):
        """Yield the batches, and note how long each let the loop wait."""
        batches = iter(batches)
        while True:
            before = time.perf_counter()
            batch = next(batches, None)
            self.tally.waiting += time.perf_counter() - before
            if batch is None:
                return
            yield batch

    def measure(self, *batch):
        """Of one batch, (input, ..., labels): (loss, number of right answers), two tensors of one value."""
        *inputs, labels = batch
        scores = self.model(*inputs)
        correct = (_answers(scores) == _classes(labels, scores)).sum()
        return self.loss_fn(scores, labels), Tensor(correct, device=scores.device)

    def _learn_from(self, *batch):
        """One step. Returns (loss, right answers) as one tensor, which need not have been computed yet."""
        loss, correct = self.measure(*batch)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            optim.clip_grad_norm_(self.optimizer.params, self.clip_norm)
        self.optimizer.step()
        return _together(loss, correct)

    def _what_learns(self):
        """What a callback may change between two steps: parameters frozen, modules in `eval` mode."""
        return (tuple(parameter.requires_grad for parameter in self.optimizer.params),
                tuple(module.training for _, module in self.model.named_modules()))

    def _add_up(self, wait_for_all=False):
        """Add the results that have come back from the device to the tally; with `wait_for_all` those on their way, too.

        Raises TrainingDiverged where a loss is not finite.
        """
        for result in self._results.take(wait_for_all):
            if not math.isfinite(result.loss):
                raise TrainingDiverged(self._diverged(result.loss, f"at epoch {self.epoch + 1}, step {result.step}"))
            now = time.perf_counter()
            self.tally.add(result.images, result.loss, result.correct, now - self._clock)
            self._clock = now

    def _finish_epoch(self):
        """Validate, write the epoch's row of the history, and set the next one's learning rate. False where asked to stop."""
        before = time.perf_counter()
        self._tell("epoch_trained")
        validation = self._validate()
        if validation is None:
            return False
        self.history.append({
            "epoch": self.epoch + 1, "loss": self.tally.loss, "accuracy": self._accuracy(self.tally), **validation,
            "seconds": round(self.tally.seconds + time.perf_counter() - before, 3),
            "images_per_second": round(self.tally.images_per_second, 1),
            "waiting": round(self.tally.waiting_share, 4), "lr": self.optimizer.lr})
        if self.schedule is not None:
            row = self.history[-1]
            self.schedule.step(row["loss"] if row["val_loss"] is None else row["val_loss"])
        self.epoch, self.step, self.tally = self.epoch + 1, 0, Tally()
        self._tell("epoch_end")
        return not self.stop

    def _validate(self):
        """The validation's part of the epoch's row, or None where asked to stop."""
        if self.validation_loader is None:
            return {"val_loss": None, "val_accuracy": None}
        results, tally = [], Tally()
        with undisturbed(self.model):
            for batch in on_device(iter(self.validation_loader), module_device(self.model)):
                if self.stop:
                    return None
                results.append((len(batch[-1]), _together(*self.measure(*batch))))
        for images, result in results:          # only now: to read one makes the card wait
            loss, correct = result.cpu().numpy()
            tally.add(images, float(loss), int(correct), 0.0)
        if not results:
            raise ValueError("Trainer: the validation loader gives no batch; give None for no validation")
        if not math.isfinite(tally.loss):
            raise TrainingDiverged(self._diverged(tally.loss, f"in the validation after epoch {self.epoch + 1}"))
        return {"val_loss": tally.loss, "val_accuracy": self._accuracy(tally)}

    def _accuracy(self, tally):
        return tally.accuracy if self.classifies else None

    def _tell(self, event):
        """Call the method of that name of each callback."""
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def _diverged(self, value, where):
        return (f"the loss became {value} {where}. Training stopped. "
                f"Try a lower learning rate (it is {self.optimizer.lr:g}); gradient clipping or another seed "
                "may help; nanoemo.detect_anomaly() names the operation that made the first NaN")

    # ---- all that a run is, between two steps --------------------------------------------------------------

    def state(self):
        """Everything needed to go on from here: (arrays by name, plain data). Waits for results under way."""
        self._add_up(wait_for_all=True)
        arrays = {f"model.{name}": array for name, array in self.model.state_dict().items()}
        arrays.update({f"optimizer.{name}": np.asarray(value)
                       for name, value in self.optimizer.state_dict().items()})
        return arrays, {
            "epoch": self.epoch, "step": self.step, "tally": asdict(self.tally), "history": list(self.history),
            "schedule": None if self.schedule is None else self.schedule.state_dict(), "random": random.get_state()}

    def restore(self, arrays, meta):
        """Go back to a state that `state` gave, random numbers included.

        Raises CheckpointError where it is the state of another model or optimiser; then nothing has been changed.
        """
        self._results = Results()               # those under way belong to what is left behind
        arrays_before, meta_before = self.state()
        try:
            self._put_back(arrays, meta)
        except (KeyError, TypeError, ValueError) as error:
            self._put_back(arrays_before, meta_before)
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from error

    def _put_back(self, arrays, meta):
        self.model.load_state_dict(part(arrays, "model."))
        self.optimizer.load_state_dict(part(arrays, "optimizer."))
        if self.schedule is not None:
            self.schedule.load_state_dict(meta["schedule"])
        self.epoch, self.step = meta["epoch"], meta["step"]
        self.tally, self.history = Tally(**meta["tally"]), list(meta["history"])
        random.set_state(meta["random"])


def _answers(scores):
    """The class that scores highest for each example, (N,), of scores (N, K)."""
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"the model gives {scores.shape}, but a classifier gives scores (N, K), one for each of two classes at "
                         "least; in place of one output with a sigmoid give it two, and cross_entropy")
    return scores.array.argmax(axis=-1)


def _classes(labels, scores):
    """The class of each example, (N,), of labels (N,) or probabilities (N, K), for scores (N, K). ValueError for others."""
    if labels.shape != (scores.shape if labels.ndim == 2 else scores.shape[:1]) or labels.ndim == 1 and labels.dtype.kind == "f":
        raise ValueError(f"labels of shape {labels.shape}, {labels.dtype}, do not fit the model's scores {scores.shape}; "
                         f"expected {scores.shape[:1]} integers or {scores.shape} probabilities")
    return labels.array.argmax(axis=-1) if labels.ndim == 2 else labels.array


def _together(loss, correct):
    """Both as one tensor (2,), so that they come back from the device in one piece."""
    stack = backend.array_module(loss.array).stack
    return Tensor(stack([loss.array, correct.array.astype(loss.dtype)]), device=loss.device)


class Predictions(NamedTuple):
    """Of a whole set, in the loader's order: true classes (N,), predicted classes (N,), mean loss (None if not asked)."""
    truth: np.ndarray
    predicted: np.ndarray
    loss: float | None


def predict(model, loader, loss_fn=None, *, stop=None, answers=None):
    """Run a classifier over a loader, without learning; returns `Predictions`, or None where asked to stop.

    answers: the columns of the scores that it may choose from, as a list of numbers; labels are then places in that list

    Truth and prediction come from the same pass, so they are in the same order even if the loader shuffles.
    The model computes in evaluation mode (no dropout, batch norm's running statistics) and is left in the
    mode it had.
    """
    must_be_module("predict", model)
    check_loader("predict", loader, "__iter__")
    truth, predicted, losses = [], [], []
    with undisturbed(model):
        for *inputs, labels in on_device(iter(loader), module_device(model)):
            if stop:
                return None
            scores = model(*inputs) if answers is None else model(*inputs)[:, answers]
            if loss_fn is not None:
                losses.append((loss_fn(scores, labels).detach(), len(labels)))
            predicted.append(_answers(scores))
            truth.append(_classes(labels, scores).copy())       # a batch on the GPU will be written over
    if not truth:
        raise ValueError("predict: the loader gives no batch")
    truth, predicted = (np.concatenate([backend.to_device(batch, "cpu") for batch in all_of]) for all_of in (truth, predicted))
    loss = sum(loss.item() * count for loss, count in losses) / len(truth) if losses else None
    return Predictions(truth, predicted, loss)
