"""Batch norm's running statistics measured anew, for the network as it is used: without dropout.

In training dropout stands in front of some batch norms. What it lets through is scaled by 1 / (1 − p), so its mean is right but
its variance is too large, and that is the variance which the running statistics keep. In `eval` mode nothing is dropped, the
inputs vary less than batch norm believes, and every layer behind it sees numbers that are too small (Li, Chen, Hu, Yang 2019,
"Understanding the disharmony between dropout and batch normalization by variance shift", section 3).
"""
from nanoemo import nn
from nanoemo.nn.trace import module_device, undisturbed
from nanoemo.training.arguments import check_loader
from nanoemo.training.callbacks import Callback
from nanoemo.training.transfer import on_device

__all__ = ["UpdateBatchNorm", "batch_norms", "update_batch_norm"]


def batch_norms(model):
    """The batch norms of a model."""
    return [module for _, module in model.named_modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


def update_batch_norm(model, loader, stop=None):
    """Set the running mean and variance of each batch norm to the mean of those of the batches of one pass through `loader`.

    loader: gives (input, ..., labels), as it does to the trainer; the labels are not looked at
    stop: looked at between batches; where it becomes true the pass ends there
    Nothing is dropped meanwhile, and nothing else in the model changes; what is frozen keeps its statistics. Returns how many
    batches were looked at: none where there is nothing to measure.

    >>> import numpy as np
    >>> from nanoemo import nn
    >>> from nanoemo.data import DataLoader, ImageSet
    >>> images = ImageSet(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.zeros(4, int), ("sad", "happy"))
    >>> model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(1))
    >>> update_batch_norm(model, DataLoader(images, 2))
    2
    >>> model[1].running_mean
    Tensor([1.5])
    """
    check_loader("update_batch_norm", loader, "__iter__")
    norms = [norm for norm in batch_norms(model) if not norm.frozen]
    if not norms:
        return 0
    before = [norm.momentum for norm in norms]
    batches = 0
    try:
        with undisturbed(model):
            for norm in norms:
                norm.training = True
            for *inputs, _ in on_device(iter(loader), module_device(model)):
                if stop:
                    break
                batches += 1
                for norm in norms:
                    norm.momentum = 1 / batches             # the running mean of b batches is then their mean
                model(*inputs)
    finally:
        for norm, momentum in zip(norms, before):
            norm.momentum = momentum
    return batches


class UpdateBatchNorm(Callback):
    """`update_batch_norm` after each epoch, so that the model is measured, and kept, as it is used.

    loader: a `DataLoader` of the training set as the model is used on it: not augmented, but shuffled, since what batch norm
        measures of a batch of one class is not what it measures of a mixed one

    >>> from nanoemo.data import DataLoader, ImageSet
    >>> import numpy as np
    >>> images = ImageSet(np.zeros((4, 1, 1, 1), np.uint8), np.array([0, 1, 0, 1]), ("sad", "happy"))
    >>> callbacks = [UpdateBatchNorm(DataLoader(images, 2, shuffle=True))]         # of a Trainer
    """

    def __init__(self, loader):
        check_loader("UpdateBatchNorm", loader, "epoch")
        self.loader = loader

    def epoch_trained(self, trainer):
        update_batch_norm(trainer.model, self.loader.epoch(trainer.epoch), trainer.stop)
