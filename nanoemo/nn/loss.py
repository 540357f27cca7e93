"""Losses as modules: called with the prediction and the target, they give one number to make small."""
from nanoemo import ops
from nanoemo.nn.module import Buffer, Module
from nanoemo.ops.loss import check_smoothing

__all__ = ["CrossEntropyLoss", "MSELoss", "BCELoss"]


class CrossEntropyLoss(Module):
    """Mean of −log softmax(logits)[label], classes weighted and labels smoothed if asked; see `ops.cross_entropy`.

    weight: one number a class, or None; it moves with `.to(device)`
    Raises ValueError for a label_smoothing that is no number from 0 to 1.

    >>> from nanoemo import Tensor, nn
    >>> round(nn.CrossEntropyLoss()(Tensor([[0.0] * 7]), [3]).item(), 4)
    1.9459
    """

    def __init__(self, weight=None, label_smoothing=0.0):
        check_smoothing(label_smoothing)
        self.weight = None if weight is None else Buffer(weight)
        self.label_smoothing = label_smoothing

    def forward(self, logits, labels):
        return ops.cross_entropy(logits, labels, self.weight, self.label_smoothing)


class MSELoss(Module):
    """Mean of (prediction − target)²; see `ops.mse_loss`.

    >>> from nanoemo import Tensor, nn
    >>> nn.MSELoss()(Tensor([1.0, 2.0]), Tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, prediction, target):
        return ops.mse_loss(prediction, target)


class BCELoss(Module):
    """Mean of −t log p − (1 − t) log(1 − p), for probabilities; see `ops.binary_cross_entropy`.

    >>> from nanoemo import Tensor, nn
    >>> round(nn.BCELoss()(Tensor([0.5]), Tensor([1.0])).item(), 4)
    0.6931
    """

    def forward(self, probability, target):
        return ops.binary_cross_entropy(probability, target)
