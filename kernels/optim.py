"""The optimisers' update rules, with PyTorch's formulas. Parameters and state change IN PLACE.

With p a parameter, g its gradient, η the learning rate, λ the weight decay (L2: it joins the gradient):

    SGD        g += λ p;  v = μ v + g;  p −= η v          (Polyak 1964; μ = 0: p −= η g)
    Nesterov   p −= η (g + μ v)                           (Sutskever and others 2013)
    RMSprop    s = α s + (1 − α) g²;  p −= η g / (√s + ε) (Tieleman and Hinton 2012)
    Adam       m = β₁ m + (1 − β₁) g;  s = β₂ s + (1 − β₂) g²
               p −= η m̂ / (√ŝ + ε),  m̂ = m / (1 − β₁ᵗ),  ŝ = s / (1 − β₂ᵗ)       (Kingma and Ba 2015)
    AdamW      p −= η λ p first, then Adam with λ = 0     (Loshchilov and Hutter 2019)

Each rule takes lists: params[k], grads[k] and the state arrays at k have one shape and one dtype. Before the rule,
gradients g may be clipped to a joint norm c (Pascanu and others 2013):  g ·= min(1, c / √(Σ g²)).
"""
import math

import numpy as np

from nanoemo.kernels.threads import parallel, row_blocks

__all__ = ["sgd_step", "sgd_step_plain", "rmsprop_step", "rmsprop_step_plain", "adam_step", "adam_step_plain",
           "adamw_step", "adamw_step_plain", "clip_by_norm", "clip_by_norm_plain"]

# Of each array. Smaller blocks stay in the cache more surely, but threads meet at the interpreter lock more often:
# measured over 19 million parameters, Adam takes 74 ms with 64 KiB, 30 ms with 512 KiB and 35 ms with 2 MiB.
BLOCK_BYTES = 512 * 1024
NORM_MARGIN = 1e-6          # added to the norm that `clip_by_norm` divides by, as PyTorch does


def check_rule(rule, lists, **settings):
    """Raise ValueError for a setting out of its range, and where the arrays of a parameter do not match.

    rule: name of the kernel; lists: params, grads and lists of state; settings: by name, as the kernel's arguments are called
    """
    for name, value in settings.items():
        below_one = name in ("alpha", "beta1", "beta2")
        if not (value >= 0 and (value < 1 or not below_one) and value < float("inf")):
            wanted = "in 0 … 1, 1 not included" if below_one else "0 or more"
            raise ValueError(f"{rule}: {name} must be {wanted}, got {value!r}")
    if len({len(arrays) for arrays in lists}) != 1:
        raise ValueError(f"{rule}: params, grads and state lists differ in length: {[len(a) for a in lists]}")
    for k, (param, *others) in enumerate(zip(*lists)):
        for array in others:
            if array.shape != param.shape or array.dtype != param.dtype:
                raise ValueError(f"{rule}: parameter {k} is {param.shape} {param.dtype}, but its gradient or "
                                 f"state is {array.shape} {array.dtype}")


def sgd_step_plain(params, grads, velocities, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """The formula. Arguments are those of `sgd_step`."""
    check_sgd(params, grads, velocities, lr, momentum, nesterov, weight_decay)
    for k, (p, g) in enumerate(zip(params, grads)):
        g = g + weight_decay * p
        if momentum:
            velocities[k][...] = momentum * velocities[k] + g
            g = g + momentum * velocities[k] if nesterov else velocities[k]
        p -= lr * g


def rmsprop_step_plain(params, grads, squares, lr, alpha=0.99, eps=1e-8, weight_decay=0.0):
    """The formula. Arguments are those of `rmsprop_step`."""
    check_rule("rmsprop_step", (params, grads, squares), lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)
    for p, g, s in zip(params, grads, squares):
        g = g + weight_decay * p
        s[...] = alpha * s + (1 - alpha) * g**2
        p -= lr * g / (np.sqrt(s) + eps)


def adam_step_plain(params, grads, means, squares, step, lr,
                    beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """The formula. Arguments are those of `adam_step`."""
    check_adam("adam_step", params, grads, means, squares, step, lr, beta1, beta2, eps, weight_decay)
    for p, g, m, s in zip(params, grads, means, squares):
        g = g + weight_decay * p
        m[...] = beta1 * m + (1 - beta1) * g
        s[...] = beta2 * s + (1 - beta2) * g**2
        mean_hat, square_hat = m / (1 - beta1**step), s / (1 - beta2**step)
        p -= lr * mean_hat / (np.sqrt(square_hat) + eps)


def adamw_step_plain(params, grads, means, squares, step, lr,
                     beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """The formula. Arguments are those of `adamw_step`."""
    check_adam("adamw_step", params, grads, means, squares, step, lr, beta1, beta2, eps, weight_decay)
    for p in params:
        p -= lr * weight_decay * p
    adam_step_plain(params, grads, means, squares, step, lr, beta1, beta2, eps)


def clip_by_norm_plain(arrays, max_norm):
    """The formula. Arguments and result are those of `clip_by_norm`."""
    norm = sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays) ** 0.5
    scale = max_norm / (norm + NORM_MARGIN)
    if not scale >= 1:
        for array in arrays:
            array *= scale
    return norm


# The fast versions compute the same, block by block: a block of every array fits the level-2 cache, so each
# array passes through memory once, however many operations the rule has. Python floats keep float32.

def _blocks(*lists):
    """Tuples of corresponding blocks (views) of the arrays in the lists."""
    blocks = []
    for arrays in zip(*lists):
        if all(array.flags.c_contiguous for array in arrays):
            flat = [array.reshape(-1) for array in arrays]
            blocks += [tuple(array[rows] for array in flat)
                       for rows in row_blocks(flat[0].size, flat[0].itemsize, BLOCK_BYTES)]
        else:
            blocks.append(arrays)           # a transposed view has no flat view: one block
    return blocks


def _with_decay(p, g, weight_decay, scratch):
    """g + λ p, in scratch; g itself where λ is 0."""
    if not weight_decay:
        return g
    np.multiply(p, weight_decay, out=scratch)
    scratch += g
    return scratch


def _add_scaled(total, array, factor, scratch):
    """total += factor · array."""
    total += np.multiply(array, factor, out=scratch)


def check_sgd(params, grads, velocities, lr, momentum, nesterov, weight_decay):
    """`check_rule`, and ValueError for nesterov without momentum."""
    lists = (params, grads, velocities) if momentum else (params, grads)
    check_rule("sgd_step", lists, lr=lr, momentum=momentum, weight_decay=weight_decay)
    if nesterov and not momentum:
        raise ValueError("sgd_step: nesterov looks ahead along the momentum, so momentum must be above 0")


def sgd_step(params, grads, velocities, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """One step of stochastic gradient descent, in place.

    velocities: arrays like params, zeros before the first step; None where momentum is 0. Raises ValueError
    where arrays do not match or a setting is out of range.

    Floor: 20 bytes moved for a float32 parameter (reads p, g, v; writes p, v), 12 without momentum.

    >>> import numpy as np
    >>> p = np.array([1.0, 2.0])
    >>> sgd_step([p], [np.array([10.0, -10.0])], None, lr=0.01)
    >>> p.tolist()
    [0.9, 2.1]
    """
    check_sgd(params, grads, velocities, lr, momentum, nesterov, weight_decay)
    lr, momentum, weight_decay = float(lr), float(momentum), float(weight_decay)

    def update(block):
        p, g, *velocity = block
        decayed, scratch = np.empty_like(p), np.empty_like(p)
        g = _with_decay(p, g, weight_decay, decayed)
        if velocity:
            v = velocity[0]
            v *= momentum
            v += g
            if nesterov:
                _add_scaled(p, g, -lr, scratch)
            _add_scaled(p, v, -lr * momentum if nesterov else -lr, scratch)
        else:
            _add_scaled(p, g, -lr, scratch)

    parallel(update, _blocks(params, grads, velocities) if momentum else _blocks(params, grads))


def rmsprop_step(params, grads, squares, lr, alpha=0.99, eps=1e-8, weight_decay=0.0):
    """One step of RMSprop, in place.

    squares: arrays like params, zeros before the first step. Raises ValueError where arrays do not match or a
    setting is out of range.

    Floor: 20 bytes moved for a float32 parameter (reads p, g, s; writes p, s).

    >>> import numpy as np
    >>> p, s = np.array([1.0]), np.zeros(1)
    >>> rmsprop_step([p], [np.array([3.0])], [s], lr=0.1, alpha=0.75, eps=0.0)
    >>> p.tolist(), s.tolist()                         # √s = 1.5, so the step is 0.1 · 3 / 1.5
    ([0.8], [2.25])
    """
    check_rule("rmsprop_step", (params, grads, squares), lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)
    lr, alpha, eps, weight_decay = float(lr), float(alpha), float(eps), float(weight_decay)

    def update(block):
        p, g, s = block
        decayed, scratch = np.empty_like(p), np.empty_like(p)
        g = _with_decay(p, g, weight_decay, decayed)
        np.multiply(g, g, out=scratch)
        s *= alpha
        _add_scaled(s, scratch, 1 - alpha, scratch)
        np.sqrt(s, out=scratch)
        scratch += eps
        np.divide(g, scratch, out=scratch)
        _add_scaled(p, scratch, -lr, scratch)

    parallel(update, _blocks(params, grads, squares))


def check_adam(rule, params, grads, means, squares, step, lr, beta1, beta2, eps, weight_decay):
    """`check_rule`, and ValueError for a step below 1."""
    lists = params, grads, means, squares
    check_rule(rule, lists, lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
    if step < 1:
        raise ValueError(f"{rule}: step counts from 1, got {step!r}")


def _adam(params, grads, means, squares, step, lr, beta1, beta2, eps, l2, shrink):
    """Adam with `l2` · p joined to the gradient, after multiplying p by `shrink`.

    η m̂ / (√ŝ + ε) with the bias corrections taken out of the arrays:  size · m / (√s + ε'),
    ε' = ε √(1 − β₂ᵗ),  size = η √(1 − β₂ᵗ) / (1 − β₁ᵗ).
    """
    root_correction = (1 - beta2**step) ** 0.5
    size, eps = lr * root_correction / (1 - beta1**step), eps * root_correction

    def update(block):
        p, g, m, s = block
        decayed, scratch = np.empty_like(p), np.empty_like(p)
        if shrink != 1:
            p *= shrink
        g = _with_decay(p, g, l2, decayed)
        m *= beta1
        _add_scaled(m, g, 1 - beta1, scratch)
        np.multiply(g, g, out=scratch)
        s *= beta2
        _add_scaled(s, scratch, 1 - beta2, scratch)
        np.sqrt(s, out=scratch)
        scratch += eps
        np.divide(m, scratch, out=scratch)
        _add_scaled(p, scratch, -size, scratch)

    parallel(update, _blocks(params, grads, means, squares))


def adam_step(params, grads, means, squares, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """One step of Adam, in place; weight decay joins the gradient (L2).

    means and squares: arrays like params, zeros before the first step; step: 1 at the first. Raises
    ValueError where arrays do not match or a setting is out of range.

    Floor: 28 bytes moved for a float32 parameter (reads p, g, m, s; writes p, m, s).

    >>> import numpy as np
    >>> p, m, s = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> adam_step([p], [np.array([123.0])], [m], [s], step=1, lr=0.25)
    >>> round(float(p[0]), 6)                          # the first step is lr, whatever the gradient's size
    0.75
    """
    check_adam("adam_step", params, grads, means, squares, step, lr, beta1, beta2, eps, weight_decay)
    lr, beta1, beta2, eps, weight_decay = map(float, (lr, beta1, beta2, eps, weight_decay))
    _adam(params, grads, means, squares, step, lr, beta1, beta2, eps, l2=weight_decay, shrink=1)


def adamw_step(params, grads, means, squares, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """One step of AdamW, in place: Adam, with the decay p −= lr · weight_decay · p apart from the gradient.

    Arguments, errors and floor as for `adam_step`.

    >>> import numpy as np
    >>> p, m, s = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> adamw_step([p], [np.zeros(1)], [m], [s], step=1, lr=0.5, weight_decay=0.5)
    >>> p.tolist()
    [0.75]
    """
    check_adam("adamw_step", params, grads, means, squares, step, lr, beta1, beta2, eps, weight_decay)
    lr, beta1, beta2, eps, weight_decay = map(float, (lr, beta1, beta2, eps, weight_decay))
    _adam(params, grads, means, squares, step, lr, beta1, beta2, eps, l2=0.0, shrink=1 - lr * weight_decay)


def joint_norm(arrays):
    """√(Σ x²) over all elements of all arrays, a Python float.

    Each block is summed in the arrays' own dtype, the blocks' sums in double precision, so that millions of
    small numbers are not lost beside a large sum. A block whose squares are too large for float32 is summed in double, too.
    Floor: each array is read once.

    >>> import numpy as np
    >>> joint_norm([np.array([3.0]), np.array([[4.0, 12.0]])])
    13.0
    """
    def block_sum(block):
        total = float(np.square(block[0]).sum())    # NumPy sums pairwise: the error stays at a few roundings
        return total if total < math.inf else float(np.square(block[0], dtype=np.float64).sum())

    return math.sqrt(sum(parallel(block_sum, _blocks(arrays))))


def clip_by_norm(arrays, max_norm):
    """Scale all arrays together, in place, so that their joint norm √(Σ x²) is at most max_norm.

    Returns the norm before, a Python float. Where it is NaN, all numbers become NaN; where it is infinite, the
    infinite ones become NaN and the others 0.

    >>> import numpy as np
    >>> gradients = [np.array([3.0]), np.array([[4.0, 12.0]])]
    >>> clip_by_norm(gradients, max_norm=6.5)
    13.0
    >>> gradients[1].round(3).tolist()
    [[2.0, 6.0]]
    """
    norm = joint_norm(arrays)
    scale = float(max_norm) / (norm + NORM_MARGIN)
    if not scale >= 1:                              # so written, a NaN spreads
        parallel(lambda block: np.multiply(block[0], scale, out=block[0]), _blocks(arrays))
    return norm
