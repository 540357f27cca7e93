"""Batch normalisation on the GPU: the functions of norm.py, computed by norm.cu."""
import cupy as cp

from nanoemo.kernels.cuda import BLOCK, CudaFile, blocks_of, each, in_order
from nanoemo.kernels.norm import check_batch_norm

__all__ = ["batch_norm_forward", "batch_norm_backward"]

BLOCKS = 1024           # to be aimed at; the same for every card, and so are the sums' bits
ROWS_PER_THREAD = 8     # at least

launch = CudaFile("norm.cu").launch


class _Chunks:
    """How x, a matrix of rows and channels, is cut into chunks of rows and tiles of channels: see norm.cu."""

    def __init__(self, x):
        self.channels = x.shape[-1]
        self.rows = x.size // self.channels
        width = min(32, 1 << (self.channels - 1).bit_length())
        tiles, height = -(-self.channels // width), BLOCK // width
        self.chunk = height * max(ROWS_PER_THREAD, -(-self.rows * tiles // (BLOCKS * height)))
        self.count = -(-self.rows // self.chunk)
        self.shape = (self.count, tiles), (width, height)
        self.cut = x.size, self.channels, self.chunk
        # Of the kernels that merge the chunks: a thread a chunk, in whole warps.
        self.merging = blocks_of(self.channels, min(BLOCK, 32 * max(1, -(-self.count // 32))))

    def new_pair(self):
        """Two new arrays that hold a number for each channel and chunk."""
        shape = (self.channels, self.count)
        return cp.empty(shape, cp.float64), cp.empty(shape, cp.float64)


def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """Batch normalisation over all axes but the last: see norm.py. Keeps x and vectors.

    Raises ValueError for a vector of another shape and for a batch with one value a channel in training.
    """
    check_batch_norm(x, training, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    x = in_order(x)
    chunks = _Chunks(x)
    mean, over_sigma, y = cp.empty_like(running_mean), cp.empty_like(running_mean), cp.empty_like(x)
    if training:
        means, squares = chunks.new_pair()
        launch("chunk_statistics", chunks.shape, x, means, squares, *chunks.cut)
        launch("merge_statistics", chunks.merging, means, squares, running_mean, running_var,
               mean, over_sigma, chunks.rows, chunks.chunk, chunks.count, momentum, eps)
    else:
        launch("running_statistics", each(chunks.channels), running_mean, running_var, mean, over_sigma, eps,
               chunks.channels)
    launch("normalise", chunks.shape, x, mean, over_sigma, gamma, beta, y, *chunks.cut)
    return y, (x, mean, over_sigma, gamma, training)


def batch_norm_backward(dy, cache):
    """(dx, dgamma, dbeta)."""
    x, mean, over_sigma, gamma, training = cache
    dy = in_order(dy)
    chunks = _Chunks(x)
    dx, dgamma, dbeta = cp.empty_like(x), cp.empty_like(gamma), cp.empty_like(gamma)
    sums, products = chunks.new_pair()
    launch("chunk_gradients", chunks.shape, dy, x, mean, sums, products, *chunks.cut)
    launch("merge_gradients", chunks.merging, sums, products, over_sigma, dgamma, dbeta, chunks.count)
    launch("input_gradient", chunks.shape, dy, x, mean, over_sigma, gamma, dgamma, dbeta, dx, *chunks.cut,
           int(training))
    return dx, dgamma, dbeta
