"""What a trainer is given, looked at before it begins: a mistake would show only hours later, or never."""
import numpy as np

from nanoemo.data.labelled import Labelled
from nanoemo.hints import type_of
from nanoemo.optim.optimizer import Optimizer
from nanoemo.tensor import Tensor

__all__ = ["check_loader", "check_rule"]


def check_loader(what, loader, *needs):
    """Raise TypeError for what gives no batches."""
    if isinstance(loader, (Labelled, np.ndarray, Tensor)) or not all(hasattr(loader, name) for name in needs):
        raise TypeError(f"{what}: expected a loader, got {type_of(loader)}; nanoemo.data.DataLoader(images, batch_size=32) "
                        "makes one of a set")


def check_rule(model, optimizer, loss_fn, schedule):
    """Raise TypeError where one of them is of another kind, ValueError where they do not belong together."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"Trainer: expected an optimizer such as optim.Adam(model.parameters()), got {type_of(optimizer)}")
    if isinstance(loss_fn, type) or not callable(loss_fn):
        raise TypeError(f"Trainer: expected a loss such as ops.cross_entropy, got {type_of(loss_fn)}")
    _check_schedule(schedule, optimizer)
    if not {id(parameter) for parameter in optimizer.params} & {id(parameter) for parameter in model.parameters()}:
        raise ValueError("Trainer: the optimizer has none of this model's parameters; make it anew of model.parameters()")


def _check_schedule(schedule, optimizer):
    if schedule is not None and (isinstance(schedule, type) or not hasattr(schedule, "step")):
        raise TypeError("Trainer: expected a schedule such as optim.StepLR(optimizer, 10), or optim.build_schedule of a text, "
                        f"got {type_of(schedule)}")
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ValueError("Trainer: the schedule is of another optimizer; make it anew with this one")
