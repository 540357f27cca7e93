"""Losses on the GPU: the functions of loss.py, computed by loss.cu.

The host does not wait for the card to look at values. A label that is no class, and a probability or a target outside
0 … 1, is therefore no error here: the loss becomes NaN. Shapes and dtypes are checked as on the CPU.
"""
import cupy as cp

from nanoemo.kernels.cuda import BLOCK, CudaFile, blocks_of, each, in_order
from nanoemo.kernels.loss import LOG_FLOOR, VARIANCE_FLOOR, check_label_shapes, check_target

__all__ = [
    "binary_cross_entropy_backward", "binary_cross_entropy_forward", "cross_entropy_backward", "cross_entropy_forward",
    "mse_loss_backward", "mse_loss_forward",
]

ROWS_OF_BLOCK = 128         # in cross_entropy_forward
ROW_THREADS = 1024
MOST_BLOCKS = 1024          # where a block sums many elements (loss.cu says why)

launch = CudaFile("loss.cu").launch


def _like(array, dtype):
    """`array` with that dtype, and in memory in order."""
    return in_order(array.astype(dtype, copy=False))


def _mean(kernel, shape, dtype, *arguments, sizes):
    """The loss (), from a kernel that takes arguments, an array for the sums of the blocks, and sizes."""
    (blocks,), _ = shape
    partial = cp.empty(blocks, dtype)
    launch(kernel, shape, *arguments, partial, *sizes)
    if blocks == 1:
        return partial.reshape(())
    loss = cp.empty((), dtype)
    launch("sum_of_blocks", blocks_of(1), partial, blocks, loss)
    return loss


def _mean_of_elements(kernel, first, *arguments):
    blocks = min(-(-first.size // BLOCK), MOST_BLOCKS)
    return _mean(kernel, blocks_of(blocks), first.dtype, first, *arguments, sizes=(first.size,))


def cross_entropy_forward(logits, labels):
    """Mean cross-entropy of softmax(logits) (N, K) against labels: (N,) integers, or (N, K). Keeps p and the labels.

    A label that is no class makes the loss NaN, and the gradient of its row.
    """
    check_label_shapes(logits, labels)
    logits = in_order(logits)
    p = cp.empty_like(logits)
    # One of the two is None: class numbers, or a distribution in each row.
    target = (_like(labels, cp.int64), None) if labels.ndim == 1 else (None, _like(labels, logits.dtype))
    shape = (-(-len(logits) // ROWS_OF_BLOCK),), (ROW_THREADS,)
    loss = _mean("cross_entropy_forward", shape, logits.dtype, logits, *target, p,
                 sizes=(*logits.shape, ROWS_OF_BLOCK))
    return loss, (p, *target)


def cross_entropy_backward(dloss, cache):
    """Gradient (N, K) with respect to the logits; dloss: an array () on the card."""
    p, labels, q = cache
    dlogits = cp.empty_like(p)
    launch("cross_entropy_backward", each(32 * len(p)), dloss, p, labels, q, dlogits, *p.shape)
    return dlogits


def mse_loss_forward(prediction, target):
    """Mean of (prediction − target)² over all elements. Keeps both."""
    check_target("mse_loss", prediction, target)
    cache = in_order(prediction), _like(target, prediction.dtype)
    return _mean_of_elements("mse_loss_forward", *cache), cache


def mse_loss_backward(dloss, cache):
    """2 (prediction − target) · dloss / size; dloss: an array () on the card."""
    dprediction = cp.empty_like(cache[0])
    launch("mse_loss_backward", each(dprediction.size), dloss, *cache, dprediction, dprediction.size)
    return dprediction


def binary_cross_entropy_forward(p, target):
    """Mean of −[t log p + (1 − t) log(1 − p)] over all elements. Keeps both; NaN where one is outside 0 … 1."""
    check_target("binary_cross_entropy", p, target)
    cache = in_order(p), _like(target, p.dtype)
    return _mean_of_elements("binary_cross_entropy_forward", *cache, LOG_FLOOR), cache


def binary_cross_entropy_backward(dloss, cache):
    """(p − t) / (p (1 − p)) · dloss / size; dloss: an array () on the card."""
    dp = cp.empty_like(cache[0])
    launch("binary_cross_entropy_backward", each(dp.size), dloss, *cache, VARIANCE_FLOOR, dp, dp.size)
    return dp
