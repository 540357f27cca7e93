"""The optimisers' update rules on the GPU: the functions of optim.py, computed by optim.cu.

`lr` and `step` may be arrays () of float64 on the card, for a step that is captured once and replayed with other
numbers; such an array is not looked at, so a wrong value in it is no error.
"""
import cupy as cp
import numpy as np

from nanoemo.kernels.cuda import BLOCK, CudaFile, blocks_of, in_order
from nanoemo.kernels.optim import NORM_MARGIN, check_adam, check_rule, check_sgd

__all__ = ["sgd_step", "rmsprop_step", "adam_step", "adamw_step", "clip_by_norm"]

MOST_BLOCKS = 1024
TENSORS, CHUNK = 96, 1024       # the same in optim.cu
ROLES = ("param", "grad", "state", "square")
STRUCT = np.dtype([(role, np.uint64, TENSORS) for role in ROLES]
                  + [("size", np.int32, TENSORS), ("first_chunk", np.int32, TENSORS),
                     ("count", np.int32), ("chunks", np.int32)])

launch = CudaFile("optim.cu").launch


def _in_order(arrays):
    """The arrays; copies of those that do not lie in memory in order."""
    return [in_order(array) for array in arrays]


def _copy_back(arrays, ordered):
    for array, ours in zip(arrays, ordered):
        if ours is not array:
            array[...] = ours


def _packed(*lists):
    """(struct Tensors, shape of the launch, dtype) for as many tensors as fit and have one dtype, until all are done.

    lists: of arrays on the card, each list with one of ROLES
    """
    by_dtype = {}
    for tensors in zip(*lists):
        by_dtype.setdefault(tensors[0].dtype, []).append(tensors)
    for dtype, group in by_dtype.items():
        for start in range(0, len(group), TENSORS):
            yield *_pack(group[start:start + TENSORS]), dtype


def _pack(group):
    packed, count = np.zeros(1, STRUCT), len(group)
    for role, arrays in zip(ROLES, zip(*group)):
        packed[role][0, :count] = [array.data.ptr for array in arrays]
    sizes = [first.size for first, *_ in group]
    ends = np.cumsum([-(-size // CHUNK) for size in sizes])
    packed["size"][0, :count] = sizes
    packed["first_chunk"][0, 1:count] = ends[:-1]
    packed["count"], packed["chunks"] = count, ends[-1]
    return packed, ((min(int(ends[-1]), MOST_BLOCKS),), (BLOCK,))


def _update(kernel, params, grads, states, *settings):
    """Launch an update rule over all tensors; params and states change."""
    changed = params, *states
    ordered = [_in_order(arrays) for arrays in changed]
    for packed, shape, dtype in _packed(ordered[0], _in_order(grads), *ordered[1:]):
        launch(kernel, shape, packed, *settings, real=dtype)
    for arrays, ours in zip(changed, ordered):
        _copy_back(arrays, ours)


def _seen(number, instead):
    """A number that the checks of optim.py can look at: `instead` of one that lies on the card."""
    return instead if isinstance(number, cp.ndarray) else number


def sgd_step(params, grads, velocities, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """One step of stochastic gradient descent, in place. velocities: None where momentum is 0."""
    check_sgd(params, grads, velocities, _seen(lr, 0.0), momentum, nesterov, weight_decay)
    _update("sgd_step", params, grads, [velocities] if momentum else [], lr, momentum, nesterov, weight_decay)


def rmsprop_step(params, grads, squares, lr, alpha=0.99, eps=1e-8, weight_decay=0.0):
    """One step of RMSprop, in place."""
    check_rule("rmsprop_step", (params, grads, squares), lr=_seen(lr, 0.0), alpha=alpha, eps=eps,
          weight_decay=weight_decay)
    _update("rmsprop_step", params, grads, [squares], lr, alpha, 1 - alpha, eps, weight_decay)


def adam_step(params, grads, means, squares, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """One step of Adam, in place; weight decay joins the gradient (L2). step: 1 at the first."""
    check_adam("adam_step", params, grads, means, squares, _seen(step, 1), _seen(lr, 0.0), beta1, beta2, eps,
               weight_decay)
    _update("adam_step", params, grads, [means, squares], step, lr, beta1, beta2, eps, weight_decay, 0.0)


def adamw_step(params, grads, means, squares, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """One step of AdamW, in place: Adam, with the decay p −= lr · weight_decay · p apart from the gradient."""
    check_adam("adamw_step", params, grads, means, squares, _seen(step, 1), _seen(lr, 0.0), beta1, beta2, eps,
               weight_decay)
    _update("adam_step", params, grads, [means, squares], step, lr, beta1, beta2, eps, 0.0, weight_decay)


def joint_norm(arrays):
    """√(Σ x²) over all arrays, which lie in order: an array () of float64 on the card; nobody waits for it."""
    launches = list(_packed(arrays))
    partial = cp.empty(sum(blocks for _, ((blocks,), _), _ in launches), cp.float64)
    done = 0
    for packed, shape, dtype in launches:
        (blocks,), _ = shape
        launch("squares_of_blocks", shape, packed, partial[done:done + blocks], real=dtype)
        done += blocks
    norm = cp.empty((), cp.float64)
    launch("norm_of_blocks", blocks_of(1), partial, done, norm)
    return norm


def clip_by_norm(arrays, max_norm):
    """Scale all arrays together, in place, so that their joint norm is at most max_norm.

    Returns the norm before, an array () of float64 on the card. Where it is NaN, all numbers become NaN; where it is
    infinite, the infinite ones become NaN and the others 0.
    """
    ordered = _in_order(arrays)
    norm = joint_norm(ordered)
    for packed, shape, dtype in _packed(ordered):
        launch("clip_by_norm", shape, packed, norm, max_norm, NORM_MARGIN, real=dtype)
    _copy_back(arrays, ordered)
    return norm
