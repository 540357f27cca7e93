"""Schedules: the learning rate as a function of the epoch.

The base rate is the rate that the optimiser has when the schedule is made. Call `step(loss)` after each
epoch. Epochs count from 0; `rate(epoch)` is the formula.
"""
import math
import numbers
from collections.abc import Iterable

from nanoemo.hints import named_values, type_of
from nanoemo.nn.checks import must_be_state
from nanoemo.optim.optimizer import Optimizer, at_least_zero

__all__ = ["StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR", "LinearWarmup", "ReduceLROnPlateau",
           "build_schedule", "parse_schedule"]


class Schedule:
    """Base of those schedules that depend on the epoch alone."""

    def __init__(self, optimizer):
        self.optimizer = _checked_optimizer(self, optimizer)
        self.base_lr = optimizer.lr
        self.epoch = 0
        self.optimizer.lr = self.rate(0)

    def __repr__(self):
        return _described(self)

    def rate(self, epoch):
        """Learning rate in `epoch`."""
        raise NotImplementedError

    def step(self, loss=None):
        """An epoch has ended: set the rate of the next. The loss decides nothing here; `ReduceLROnPlateau` needs it."""
        self.epoch += 1
        self.optimizer.lr = self.rate(self.epoch)

    def state_dict(self):
        """{name: number}, for `load_state_dict`."""
        return {"base_lr": self.base_lr, "epoch": self.epoch}

    def load_state_dict(self, state):
        """Go on from a `state_dict`, setting the optimiser's rate. ValueError where names differ."""
        _check_names(self, state)
        self.base_lr, self.epoch = float(state["base_lr"]), int(state["epoch"])
        self.optimizer.lr = self.rate(self.epoch)


def _described(schedule):
    """All that a schedule keeps, but for the optimiser, in a line.

    >>> from nanoemo import nn, optim
    >>> optim.StepLR(optim.SGD([nn.Parameter([1.0])], lr=1.0), step_size=2)
    StepLR(step_size=2, gamma=0.1, base_lr=1.0, epoch=0)
    """
    kept = ", ".join(f"{name}={value!r}" for name, value in vars(schedule).items() if name != "optimizer")
    return f"{type(schedule).__name__}({kept})"


def _check_names(schedule, state):
    must_be_state(state)
    expected = schedule.state_dict()
    if state.keys() != expected.keys():
        raise ValueError(f"load_state_dict: {type(schedule).__name__} expects {', '.join(expected)}; "
                         f"got {', '.join(state)}")


def _epochs(schedule, name, value, least=1):
    if not (isinstance(value, numbers.Real) and math.isfinite(value) and value == int(value)):
        raise ValueError(f"{type(schedule).__name__}: {name} must be a whole number of epochs, got {value!r}")
    if value < least:
        raise ValueError(f"{type(schedule).__name__}: {name} must be at least {least}, got {value!r}")
    return value


def _checked_optimizer(schedule, optimizer):
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(schedule).__name__}: expected an optimizer, got {type_of(optimizer)}")
    return optimizer


class StepLR(Schedule):
    """base · gamma^⌊epoch / step_size⌋: a step down every `step_size` epochs.

    >>> from nanoemo import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [schedule.rate(epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        self.step_size = _epochs(self, "step_size", step_size)
        self.gamma = at_least_zero(self, "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, epoch):
        return self.base_lr * self.gamma ** (epoch // self.step_size)


class MultiStepLR(Schedule):
    """A step down by `gamma` at each of the epochs in `milestones`.

    >>> from nanoemo import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> [schedule.rate(epoch) for epoch in range(5)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, optimizer, milestones, gamma=0.1):
        if not isinstance(milestones, Iterable):
            raise TypeError(f"MultiStepLR: milestones: expected a list of epochs, got {milestones!r}")
        self.milestones = [_epochs(self, "a milestone", milestone, 0) for milestone in milestones]
        self.gamma = at_least_zero(self, "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, epoch):
        return self.base_lr * self.gamma ** sum(epoch >= milestone for milestone in self.milestones)


class ExponentialLR(Schedule):
    """base · gamma^epoch.

    >>> from nanoemo import nn, optim
    >>> schedule = optim.ExponentialLR(optim.SGD([nn.Parameter([1.0])], lr=1.0), gamma=0.5)
    >>> [schedule.rate(epoch) for epoch in range(3)]
    [1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer, gamma):
        self.gamma = at_least_zero(self, "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, epoch):
        return self.base_lr * self.gamma ** epoch


class CosineAnnealingLR(Schedule):
    """min_lr + ½ (base − min_lr)(1 + cos(π · epoch / epochs)): half a cosine, then `min_lr`.

    Loshchilov & Hutter 2017, equation 5, without restarts.

    >>> from nanoemo import nn, optim
    >>> schedule = optim.CosineAnnealingLR(optim.SGD([nn.Parameter([1.0])], lr=1.0), epochs=2)
    >>> [round(schedule.rate(epoch), 2) for epoch in range(4)]
    [1.0, 0.5, 0.0, 0.0]
    """

    def __init__(self, optimizer, epochs, min_lr=0.0):
        self.epochs = _epochs(self, "epochs", epochs)
        self.min_lr = at_least_zero(self, "min_lr", min_lr)
        super().__init__(optimizer)

    def rate(self, epoch):
        progress = min(epoch / self.epochs, 1)
        return self.min_lr + (self.base_lr - self.min_lr) * (1 + math.cos(math.pi * progress)) / 2


class LinearWarmup(Schedule):
    """From start · base up to base over `epochs`, in a straight line. Goyal et al. 2017, section 2.2.

    after: another schedule of the same optimiser, whose epochs begin where the warm-up ends
    Raises TypeError for one that does not depend on the epoch alone, ValueError for one of another optimiser.

    >>> from nanoemo import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> after = optim.ExponentialLR(optimizer, 0.5)
    >>> schedule = optim.LinearWarmup(optimizer, epochs=2, start=0.5, after=after)
    >>> [schedule.rate(epoch) for epoch in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer, epochs, start=0.1, after=None):
        self.epochs = _epochs(self, "epochs", epochs)
        self.start = at_least_zero(self, "start", start)
        if not isinstance(after, (Schedule, type(None))):
            raise TypeError(f"LinearWarmup: after must be a schedule that depends on the epoch alone, got {type(after).__name__}")
        if after is not None and after.optimizer is not optimizer:
            raise ValueError(f"LinearWarmup: after is a schedule of another optimiser; make {type(after).__name__} with this one")
        self.after = after
        super().__init__(optimizer)

    def rate(self, epoch):
        if epoch < self.epochs:
            return self.base_lr * (self.start + (1 - self.start) * epoch / self.epochs)
        return self.base_lr if self.after is None else self.after.rate(epoch - self.epochs)

    def load_state_dict(self, state):
        super().load_state_dict(state)
        if self.after is not None:
            self.after.base_lr = self.base_lr
            self.optimizer.lr = self.rate(self.epoch)


class ReduceLROnPlateau:
    """Multiply the rate by `factor` when a loss has not become better for more than `patience` epochs.

    "Better" means below the best so far by more than the share `threshold` of its size. The rate does not fall below `min_lr`.

    >>> from nanoemo import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.5
    """

    def __init__(self, optimizer, factor=0.1, patience=10, threshold=1e-4, min_lr=0.0):
        if not (isinstance(factor, numbers.Real) and 0 < factor < 1):
            raise ValueError(f"ReduceLROnPlateau: factor must lie between 0 and 1, got {factor!r}")
        self.optimizer = _checked_optimizer(self, optimizer)
        self.factor = factor
        self.patience = _epochs(self, "patience", patience, 0)
        self.threshold = at_least_zero(self, "threshold", threshold)
        self.min_lr = at_least_zero(self, "min_lr", min_lr)
        self.best = math.inf
        self.bad_epochs = 0

    def __repr__(self):
        return _described(self)

    def step(self, loss):
        """An epoch has ended with this loss."""
        if loss is None:
            raise TypeError("ReduceLROnPlateau: step(loss) needs the epoch's loss")
        margin = 0 if self.best == math.inf else self.threshold * abs(self.best)
        if loss < self.best - margin:               # never of NaN
            self.best, self.bad_epochs = float(loss), 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            self.optimizer.lr = max(self.optimizer.lr * self.factor, min(self.min_lr, self.optimizer.lr))
            self.bad_epochs = 0

    def state_dict(self):
        """{name: number}, for `load_state_dict`; "best" is None before the first epoch."""
        return {"lr": self.optimizer.lr, "best": None if self.best == math.inf else self.best,
                "bad_epochs": self.bad_epochs}

    def load_state_dict(self, state):
        """Go on from a `state_dict`, setting the optimiser's rate. ValueError where names differ."""
        _check_names(self, state)
        self.optimizer.lr = float(state["lr"])
        self.best = math.inf if state["best"] is None else float(state["best"])
        self.bad_epochs = int(state["bad_epochs"])


USUAL = {"cosine": None, "step": 10, "exponential": 0.95, "plateau": 5, "warmup": 5}


def parse_schedule(text):
    """What a text such as "warmup=5,cosine" asks for: {name: number}, at most one name beside warmup; "" gives {}.

    Raises ValueError for an unknown name, an impossible number, and two schedules at once.

    >>> parse_schedule("warmup=3,step")
    {'warmup': 3.0, 'step': 10}
    >>> parse_schedule("cosin")
    Traceback (most recent call last):
        ...
    ValueError: schedule: unknown 'cosin'; did you mean cosine? There are cosine, step, exponential, plateau, warmup
    """
    asked = {name: USUAL[name] if number is None else _number(name, number)
             for name, number in named_values(text, USUAL, "schedule").items()}
    if len(asked.keys() - {"warmup"}) > 1:
        raise ValueError(f"schedule: {text!r} names more than one schedule; only warmup goes before another")
    if {"warmup", "plateau"} <= asked.keys():
        raise ValueError("schedule: plateau cannot follow a warmup, since it is no function of the epoch")
    return asked


def _number(name, text):
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if name == "cosine":
        raise ValueError(f"schedule: cosine={text}: expected no number; it goes over all epochs")
    if name == "exponential" and not 0 < number <= 1:
        raise ValueError(f"schedule: exponential={text}: expected a factor above 0 and at most 1, as in exponential=0.95")
    if name != "exponential" and not (number >= 1 and number.is_integer()):
        raise ValueError(f"schedule: {name}={text}: expected a number of epochs, as in {name}={USUAL[name]}")
    return number


def build_schedule(text, optimizer, epochs):
    """The schedule that a text names for a training of `epochs` epochs; None for "".

    cosine: down to 0 over all epochs; step=10: to a tenth every 10 epochs; exponential=0.95: by this factor each epoch;
    plateau=5: to a tenth after more than 5 epochs without a better loss; warmup=5 before one of the others, or alone.
    Raises ValueError as `parse_schedule` does.

    >>> from nanoemo import nn, optim
    >>> schedule = optim.build_schedule("warmup=2,cosine", optim.SGD([nn.Parameter([1.0])], lr=1.0), epochs=6)
    >>> [round(schedule.rate(epoch), 2) for epoch in range(6)]
    [0.1, 0.55, 1.0, 0.85, 0.5, 0.15]
    """
    asked = parse_schedule(text)
    warmup = asked.pop("warmup", 0)
    name, number = next(iter(asked.items()), (None, None))
    make = {None: lambda: None,
            "cosine": lambda: CosineAnnealingLR(optimizer, max(epochs - warmup, 1)),
            "step": lambda: StepLR(optimizer, number),
            "exponential": lambda: ExponentialLR(optimizer, number),
            "plateau": lambda: ReduceLROnPlateau(optimizer, patience=number)}
    schedule = make[name]()
    return LinearWarmup(optimizer, warmup, after=schedule) if warmup else schedule
