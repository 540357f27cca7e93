"""Losses: each the mean over the batch (or over all elements), a 0-d array of its input's dtype.

Cross-entropy of K classes, from logits z (N, K) and a distribution q over the classes in each row (one-hot,
or soft); log-softmax is computed with the row's maximum m taken out, so that no exponential overflows:

    log p_k = (z_k − m) − log Σ_j exp(z_j − m)
    L = −(1/N) Σ_n Σ_k q_nk log p_nk              dL/dz = (p Σ_k q_k − q) / N
    for an integer label y this is −log p_y       dL/dz = (p − onehot(y)) / N

Mean squared error:      L = mean (a − t)²        dL/da = 2 (a − t) / size
Binary cross-entropy:    L = −mean [t log p + (1 − t) log(1 − p)]
                                              dL/dp = (p − t) / (p (1 − p)) / size
As in PyTorch, both logarithms are clamped at −100 and p (1 − p) at 1e−12, so that p = 0 or 1 stays finite.
"""
import numpy as np

__all__ = ["cross_entropy_forward", "cross_entropy_backward", "cross_entropy_forward_plain",
           "cross_entropy_backward_plain", "mse_loss_forward", "mse_loss_backward", "mse_loss_forward_plain",
           "mse_loss_backward_plain", "binary_cross_entropy_forward", "binary_cross_entropy_backward",
           "binary_cross_entropy_forward_plain", "binary_cross_entropy_backward_plain"]

LOG_FLOOR = -100.0          # log p is taken to be no less
VARIANCE_FLOOR = 1e-12      # p (1 − p) in the gradient is taken to be no less


def check_label_shapes(logits, labels):
    """Raise ValueError for shapes of logits and labels that do not fit, TypeError for labels of a useless dtype."""
    if logits.ndim != 2 or logits.size == 0:
        raise ValueError("cross_entropy: logits must be (batch, classes), neither of them 0; "
                         f"got shape {logits.shape}")
    batch = len(logits)
    if labels.dtype.kind not in "iuf":
        raise TypeError("cross_entropy: labels must be integers (N,) or probabilities (N, K), "
                        f"got {labels.dtype}")
    if labels.ndim == 2:
        if labels.shape != logits.shape:
            raise ValueError(f"cross_entropy: labels of shape {labels.shape} do not fit logits of shape "
                             f"{logits.shape}")
        return
    if labels.shape != (batch,):
        raise ValueError(f"cross_entropy: labels must be {(batch,)} integers or {logits.shape} probabilities "
                         f"for logits of shape {logits.shape}; got shape {labels.shape}")
    if labels.dtype.kind == "f":
        raise TypeError(f"cross_entropy: one label a row must be an integer, got {labels.dtype}; "
                        "use labels.astype(int)")


def check_labels(logits, labels):
    """`check_label_shapes`, and ValueError for a label that is no class."""
    check_label_shapes(logits, labels)
    if labels.ndim == 2:
        if (labels < 0).any():                  # False for a NaN, which the loss shall show
            row = int(np.argwhere(labels < 0)[0, 0])
            raise ValueError(f"cross_entropy: in row {row} is a probability below 0: {labels[row].min():g}")
        return
    classes = logits.shape[1]
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"cross_entropy: label {int(labels[row])} in row {row} is not one of the {classes} "
                         f"classes 0 … {classes - 1}")


def check_target(loss, prediction, target):
    """Raise ValueError where shapes differ or are empty; loss: name of the kernel, for the message."""
    if prediction.shape != target.shape:
        raise ValueError(f"{loss}: prediction of shape {prediction.shape} and target of shape {target.shape} "
                         "differ; reshape one of them (they are not broadcast)")
    if prediction.size == 0:
        raise ValueError(f"{loss}: prediction of shape {prediction.shape} is empty, so it has no mean")


def _check_probabilities(p, target):
    """`check_target`, and ValueError for a value outside 0 … 1."""
    check_target("binary_cross_entropy", p, target)
    for name, values in (("p", p), ("target", target)):
        outside = (values < 0) | (values > 1)       # False for a NaN, which the loss shall show
        if outside.any():
            index = tuple(int(i) for i in np.argwhere(outside)[0])
            raise ValueError(f"binary_cross_entropy: {name} must lie in 0 … 1, but {name}{list(index)} is "
                             f"{values[index]:g}{'; apply sigmoid first' if name == 'p' else ''}")


def cross_entropy_forward_plain(logits, labels):
    """The definition, row by row. Arguments and results are those of `cross_entropy_forward`."""
    check_labels(logits, labels)
    batch, classes = logits.shape
    total, p = logits.dtype.type(0), np.empty_like(logits)
    for n in range(batch):
        shifted = logits[n] - logits[n].max()
        log_p = shifted - np.log(np.exp(shifted).sum())
        p[n] = np.exp(log_p)
        if labels.ndim == 1:
            total -= log_p[labels[n]]
        else:
            for k in np.flatnonzero(labels[n]):         # where q is 0, so is q log p, even for log p = −∞
                total -= labels[n, k] * log_p[k]
    return np.asarray(total / batch, logits.dtype), (p, labels)


def cross_entropy_backward_plain(dloss, cache):
    """The definition, row by row. Arguments and results are those of `cross_entropy_backward`."""
    p, labels = cache
    batch, classes = p.shape
    dlogits = np.empty_like(p)
    for n in range(batch):
        q = np.eye(classes, dtype=p.dtype)[labels[n]] if labels.ndim == 1 else labels[n]
        dlogits[n] = dloss * (p[n] * q.sum() - q) / batch
    return dlogits


def cross_entropy_forward(logits, labels):
    """Mean cross-entropy of softmax(logits) against labels. Returns (loss, cache).

    logits: (N, K). labels: (N,) integers from 0 to K − 1, or (N, K) one-hot or probabilities. loss: 0-d.
    Raises ValueError for shapes that do not fit or a label that is no class (naming its row), TypeError for a
    label dtype that makes no sense. An infinite loss is right where the true class has probability 0.

    >>> import numpy as np
    >>> loss, cache = cross_entropy_forward(np.zeros((4, 7)), np.array([0, 1, 2, 6]))
    >>> bool(np.isclose(loss, np.log(7)))                       # knowing nothing: all seven equally likely
    True
    """
    check_labels(logits, labels)
    log_p = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(log_p)
    row_sums = p.sum(axis=1, keepdims=True)
    p /= row_sums
    log_p -= np.log(row_sums)
    if labels.ndim == 1:
        loss = -log_p[np.arange(len(labels)), labels].mean()
    else:
        labels = labels.astype(logits.dtype, copy=False)
        np.copyto(log_p, 0, where=labels == 0)          # there 0 · log p is 0, even for log p = −∞
        loss = -np.vdot(labels, log_p) / logits.dtype.type(len(labels))
    return np.asarray(loss, logits.dtype), (p, labels)


def cross_entropy_backward(dloss, cache):
    """Gradient (N, K) of `cross_entropy_forward` with respect to the logits; dloss: a number.

    >>> import numpy as np
    >>> loss, cache = cross_entropy_forward(np.zeros((1, 2)), np.array([1]))
    >>> cross_entropy_backward(1.0, cache).tolist()
    [[0.5, -0.5]]
    """
    p, labels = cache
    if labels.ndim == 1:
        dlogits = p.copy()
        dlogits[np.arange(len(labels)), labels] -= 1
    else:
        dlogits = p * labels.sum(axis=1, keepdims=True)
        dlogits -= labels
    dlogits *= float(dloss) / len(labels)
    return dlogits


def mse_loss_forward_plain(prediction, target):
    """The definition, element by element. Arguments and results are those of `mse_loss_forward`."""
    check_target("mse_loss", prediction, target)
    total = prediction.dtype.type(0)
    for a, t in zip(prediction.flat, target.astype(prediction.dtype).flat):
        total += (a - t) ** 2
    return np.asarray(total / prediction.size, prediction.dtype), (prediction, target)


def mse_loss_backward_plain(dloss, cache):
    """The definition. Arguments and results are those of `mse_loss_backward`."""
    prediction, target = cache
    difference = prediction - target
    return (2 * float(dloss) / prediction.size * difference).astype(prediction.dtype)


def mse_loss_forward(prediction, target):
    """Mean of (prediction − target)² over all elements. Returns (loss, cache).

    Both of one shape; loss: 0-d, of the prediction's dtype. Raises ValueError where the shapes differ.

    >>> import numpy as np
    >>> loss, cache = mse_loss_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> float(loss)
    2.0
    """
    check_target("mse_loss", prediction, target)
    difference = np.subtract(prediction, target, dtype=prediction.dtype)
    loss = np.square(difference).mean()         # pairwise summation: accurate in float32 too
    return np.asarray(loss, prediction.dtype), difference


def mse_loss_backward(dloss, cache):
    """Gradient of `mse_loss_forward` with respect to the prediction; dloss: a number.

    >>> import numpy as np
    >>> loss, cache = mse_loss_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> mse_loss_backward(1.0, cache).tolist()
    [0.0, -2.0]
    """
    difference = cache
    return difference * (2 * float(dloss) / difference.size)


def binary_cross_entropy_forward_plain(p, target):
    """The definition, element by element. Arguments as for `binary_cross_entropy_forward`."""
    _check_probabilities(p, target)
    total = p.dtype.type(0)
    with np.errstate(divide="ignore"):
        for a, t in zip(p.flat, target.astype(p.dtype).flat):
            total -= t * max(np.log(a), LOG_FLOOR) + (1 - t) * max(np.log1p(-a), LOG_FLOOR)
    return np.asarray(total / p.size, p.dtype), (p, target)


def binary_cross_entropy_backward_plain(dloss, cache):
    """The definition, element by element. Arguments as for `binary_cross_entropy_backward`."""
    p, target = cache
    dp = np.empty_like(p)
    for index in np.ndindex(*p.shape):
        a, t = p[index], target[index]
        dp[index] = float(dloss) * (a - t) / max(a * (1 - a), VARIANCE_FLOOR) / p.size
    return dp


def binary_cross_entropy_forward(p, target):
    """Mean of −[t log p + (1 − t) log(1 − p)] over all elements. Returns (loss, cache).

    p and target: one shape, values in 0 … 1; loss: 0-d, of p's dtype. Raises ValueError where the shapes
    differ or a value lies outside 0 … 1.

    >>> import numpy as np
    >>> loss, cache = binary_cross_entropy_forward(np.array([0.5, 0.0]), np.array([1.0, 1.0]))
    >>> bool(np.isclose(loss, (np.log(2) + 100) / 2))           # log 0 counts as −100
    True
    """
    _check_probabilities(p, target)
    target = target.astype(p.dtype, copy=False)
    with np.errstate(divide="ignore"):
        log_p = np.maximum(np.log(p), LOG_FLOOR)
        log_not_p = np.maximum(np.log1p(-p), LOG_FLOOR)
    log_p -= log_not_p
    log_p *= target
    log_p += log_not_p                                          # t log p + (1 − t) log(1 − p)
    return np.asarray(-log_p.mean(), p.dtype), (p, target)


def binary_cross_entropy_backward(dloss, cache):
    """Gradient of `binary_cross_entropy_forward` with respect to p; dloss: a number.

    >>> import numpy as np
    >>> loss, cache = binary_cross_entropy_forward(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    >>> binary_cross_entropy_backward(1.0, cache).tolist()
    [-1.0, 1.0]
    """
    p, target = cache
    variance = np.asarray(1 - p)            # an array for p () too
    variance *= p
    np.maximum(variance, VARIANCE_FLOOR, out=variance)
    dp = np.asarray(p - target)
    dp /= variance
    dp *= float(dloss) / p.size
    return dp
