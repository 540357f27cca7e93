"""Losses: one number to make small. Their equations and kernels are in kernels/loss.py."""
import numbers

import numpy as np

from nanoemo import backend
from nanoemo.kernels.loss import check_label_shapes, check_labels
from nanoemo.modes import is_grad_enabled
from nanoemo.ops.common import kernel_op, same_device
from nanoemo.tensor import Tensor

__all__ = ["cross_entropy", "mse_loss", "binary_cross_entropy"]


def _target(name, target, prediction, check_upload=None, target_is="target", prediction_is="prediction"):
    """The target as a tensor on the prediction's device, whose values nobody changes unnoticed before backward needs them.

    An array is therefore copied where backward will need it; a list becomes an array.
    check_upload: called with the prediction and values on their way to the GPU, where they cannot be looked at without waiting
    target_is, prediction_is: what the operation calls these two arguments, for error messages
    """
    if isinstance(target, Tensor):
        same_device(name, **{prediction_is: prediction, target_is: target})
        if target.requires_grad and is_grad_enabled():
            raise RuntimeError(f"{name}: the {target_is} requires a gradient, but only the {prediction_is} gets one; "
                               f"swap the two, or pass {target_is}.detach()")
        return target
    same_device(name, **{prediction_is: prediction})
    if isinstance(target, (list, tuple)):
        values = _from_list(name, target, target_is)
        if check_upload is not None and prediction.device == "cuda":
            check_upload(prediction, values)
        return Tensor(values, device=prediction.device)
    if not backend.is_array(target):
        raise TypeError(f"{name}: the {target_is} must be a Tensor, an array or a list, got {type(target).__name__}")
    given = Tensor(target, device=backend.device_beside(target, prediction.device))
    same_device(name, **{prediction_is: prediction, target_is: given})
    if check_upload is not None and given.device == "cuda" and backend.device_of(target) == "cpu":
        check_upload(prediction, target)
    shared = prediction.requires_grad and is_grad_enabled() and given.array is target
    return Tensor(given.array.copy(), device=given.device) if shared else given


def _from_list(name, target, target_is):
    """A list as an array; ValueError for rows of different lengths, TypeError for what is no numbers."""
    try:
        array = np.asarray(target)
    except ValueError:
        raise ValueError(f"{name}: the rows of the {target_is} differ in length") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: the {target_is} must hold numbers, got {array.dtype}")
    return array


def cross_entropy(logits, labels, weight=None, label_smoothing=0.0):
    """Mean of −log softmax(logits)[label] over the batch; softmax is part of it.

    logits: (N, K); labels: N class numbers, or (N, K) one-hot rows or probabilities
    weight: (K,), how much each class counts; for class numbers the sum is then divided by the sum of the labels' weights
    label_smoothing: the share ε of every target that is dealt out to all classes alike (Szegedy et al. 2016, section 7)
    Both as in PyTorch. Raises ValueError for a label that is no class, naming its row, for a weight of another shape or
    below 0 and for ε outside 0 … 1. Labels that are on the GPU already cannot be looked at without waiting for it: there the loss
    becomes NaN, and so does the row's gradient.

    >>> from nanoemo import Tensor, ops
    >>> loss = ops.cross_entropy(Tensor([[0.0] * 7]), [3])     # seven classes, none preferred: ln 7
    >>> round(loss.item(), 4)
    1.9459
    """
    labels = _target("cross_entropy", labels, logits, check_upload=check_labels, target_is="labels", prediction_is="logits")
    if weight is not None or label_smoothing:
        labels = _weighted_target(logits, labels.array, weight, label_smoothing)
    return kernel_op("cross_entropy", {"logits": logits}, labels)


def check_smoothing(value):
    """Raise ValueError where `value` is no number from 0 to 1."""
    if not (isinstance(value, numbers.Real) and 0 <= value <= 1):
        got = repr(value) if np.ndim(value) == 0 and not isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"cross_entropy: label_smoothing must lie in 0 … 1, got {got}; logits and labels go into a call of the "
                         "loss, CrossEntropyLoss()(logits, labels)")


def _weighted_target(logits, labels, weight, smoothing):
    """Labels as the (N, K) numbers q that make −(1/N) Σ_n Σ_k q_nk log p_nk the weighted loss.

        t = (1 − ε) onehot(y) + ε / K           or of given probabilities (1 − ε) q + ε / K
        q_nk = w_k t_nk                         and for class numbers q_nk · N / Σ_n w_{y_n}
    """
    rows, classes = logits.shape if logits.ndim == 2 else (0, 0)
    check_smoothing(smoothing)
    (check_labels if logits.device == "cpu" else check_label_shapes)(logits.array, labels)
    xp = backend.array_module(logits.array)
    if weight is None:
        weight = xp.ones(classes, logits.dtype)
    else:
        weight = _target("cross_entropy", weight, logits, target_is="weight", prediction_is="logits").array
        weight = weight.astype(logits.dtype, copy=False)
    if weight.shape != (classes,):
        raise ValueError(f"cross_entropy: weight must be {(classes,)}, one number a class; got shape {weight.shape}")
    if logits.device == "cpu" and not (weight >= 0).all():
        raise ValueError(f"cross_entropy: a class cannot weigh less than 0; weight is {weight.tolist()}")
    if labels.ndim == 2:
        return weight * ((1 - smoothing) * labels.astype(logits.dtype, copy=False) + smoothing / classes)
    hot = (labels[:, None] == xp.arange(classes)).astype(logits.dtype)
    mean_weight = (hot * weight).sum() / rows
    hot = hot / hot.sum(axis=1, keepdims=True)      # on the GPU a label that is no class becomes NaN here, by 0 / 0
    with backend.quiet():                           # no weight at all, as where the one class there is has weight 0: NaN
        return weight * ((1 - smoothing) * hot + smoothing / classes) / mean_weight


def mse_loss(prediction, target):
    """Mean of (prediction − target)², over all values; both of one shape. A target of another dtype takes the prediction's.

    >>> from nanoemo import Tensor, ops
    >>> ops.mse_loss(Tensor([1.0, 2.0]), Tensor([1.0, 4.0])).item()
    2.0
    """
    return kernel_op("mse_loss", {"prediction": prediction}, _target("mse_loss", target, prediction))


def binary_cross_entropy(probability, target):
    """Mean of −t log p − (1 − t) log(1 − p); logarithms below −100 count as −100, as in PyTorch.

    A target of another dtype takes the probability's. Raises ValueError for a probability or a target outside 0 … 1; on the
    GPU the loss is NaN instead.

    >>> from nanoemo import Tensor, ops
    >>> round(ops.binary_cross_entropy(Tensor([0.5]), Tensor([1.0])).item(), 4)
    0.6931
    """
    return kernel_op("binary_cross_entropy", {"probability": probability},
                     _target("binary_cross_entropy", target, probability, prediction_is="probability"))
