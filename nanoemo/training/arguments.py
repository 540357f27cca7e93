"""What a trainer is given, looked at before it begins: a mistake would show only hours later, or never."""
from collections.abc import Iterable

import numpy as np

from nanoemo.data.labelled import Labelled
from nanoemo.hints import type_of
from nanoemo.nn.module import must_be_module
from nanoemo.optim.clip import check_limit
from nanoemo.optim.optimizer import Optimizer
from nanoemo.tensor import Tensor
from nanoemo.training.callbacks import Callback

__all__ = ["check_loader", "check_rule", "checked_callbacks"]


def check_loader(what, loader, *needs):
    """Raise TypeError for what gives no batches."""
    if isinstance(loader, (Labelled, np.ndarray, Tensor)) or not all(hasattr(loader, name) for name in needs):
        raise TypeError(f"{what}: expected a loader, got {type_of(loader)}; nanoemo.data.DataLoader(images, batch_size=32) "
                        "makes one of a set")


def checked_callbacks(callbacks):
    """`callbacks` as a list; TypeError where they are none."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"Trainer: callbacks: expected a list, got {type_of(callbacks)}")
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError("Trainer: callbacks: expected objects of classes derived from nanoemo.training.Callback, got "
                            f"{type_of(callback)}")
    return callbacks


def check_rule(model, optimizer, loss_fn, schedule, clip_norm):
    """Raise TypeError where one of them is of another kind, ValueError where they do not belong together and for a limit of
    the gradients that cannot be."""
    must_be_module("Trainer", model)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"Trainer: expected an optimizer such as optim.Adam(model.parameters()), got {type_of(optimizer)}")
    if isinstance(loss_fn, type) or not callable(loss_fn):
        raise TypeError(f"Trainer: expected a loss such as ops.cross_entropy, got {type_of(loss_fn)}")
    _check_schedule(schedule, optimizer)
    if clip_norm is not None:
        check_limit("Trainer: clip_norm", clip_norm)
    if not {id(parameter) for parameter in optimizer.params} & {id(parameter) for parameter in model.parameters()}:
        raise ValueError("Trainer: the optimizer has none of this model's parameters; make it anew of model.parameters()")


def _check_schedule(schedule, optimizer):
    if schedule is not None and (isinstance(schedule, type) or not hasattr(schedule, "step")):
        raise TypeError("Trainer: expected a schedule such as optim.StepLR(optimizer, 10), or optim.build_schedule of a text, "
                        f"got {type_of(schedule)}")
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ValueError("Trainer: the schedule is of another optimizer; make it anew with this one")
