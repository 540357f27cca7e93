"""Inverted dropout (Srivastava et al. 2014, section 10): training drops each element with probability p.

    y = x · m / (1 − p),   m = 0 with probability p, else 1;       dx = dy · m / (1 − p)

Division by 1 − p keeps the expected y at x, so nothing needs to be done at test time.

The mask m is a function of (seed, position, p) alone. Element i, in row-major order, draws 16 bits: a quarter of a
64-bit word, and four words are a block of Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3"), a function of a key and a counter. The key is the seed, and the counter is the number of the block,
1 + i div 16. So every thread can start where it likes, here and on a GPU, and gets the same mask as one thread would.
An element is dropped where its 16 bits, as an integer, are below p·65536: p is exact to 1/131072.

The backward pass needs the mask once more. Here it is kept, a byte for each element, as drawing takes two thirds of the time;
a GPU draws faster than it reads, and there it is drawn again.
"""
from numbers import Real

import numpy as np

from nanoemo.kernels.threads import parallel, row_blocks

__all__ = ["dropout_forward_plain", "dropout_backward_plain", "dropout_forward", "dropout_backward"]

PER_COUNT = 16          # elements that draw from one value of Philox's counter
BLOCK = 256 * 1024      # elements that a thread takes at a time, a multiple of those 16; the mask does not depend on it


def check_p(p, name="dropout"):
    """ValueError for what is no probability to drop an element."""
    if not isinstance(p, Real) or not 0 <= p < 1:
        raise ValueError(f"{name}: p must be at least 0 and below 1, got {p!r}")


def threshold(p):
    """Elements whose 16 bits are below it are dropped."""
    return round(p * 65536)


def _philox(seed, count=0):
    """The stream of Philox blocks count + 1, count + 2, …: NumPy counts up before it draws."""
    return np.random.Philox(key=np.array([seed, 0], np.uint64), counter=count)


def dropout_forward_plain(x, p, seed):
    """Inverted dropout by definition: see `dropout_forward`."""
    check_p(p)
    bits = _philox(seed).random_raw(-(-x.size // 4)).view(np.uint16)[:x.size]
    kept = (bits >= threshold(p)).reshape(x.shape)
    return x * kept / (1 - p), (kept, p)


def dropout_backward_plain(dy, cache):
    """dy · m / (1 − p)."""
    kept, p = cache
    return dy * kept / (1 - p)


def dropout_forward(x, p, seed):
    """Inverted dropout: x (any shape), p in [0, 1), 0 ≤ seed < 2⁶⁴ -> (y, cache).

    Where p is 0, y is x itself. Raises ValueError for p outside [0, 1), OverflowError for a seed outside its range.
    Memory floor: x read; y, and a byte for each element of it, written.

    >>> y, cache = dropout_forward(np.ones(10_000), 0.25, seed=1)
    >>> sorted(set(y.round(4).tolist())), float(y.mean().round(1))
    ([0.0, 1.3333], 1.0)
    """
    check_p(p)
    kept = np.empty(x.size, bool)

    def draw(block):
        kept[block] = draw_mask(block, p, seed)

    return _drop(x, p, kept, draw), (p, kept)


def dropout_backward(dy, cache):
    """dy · m / (1 − p). Memory floor: dy and the mask read, dx written."""
    return _drop(dy, *cache)


def _drop(x, p, kept, draw=None):
    """x · kept / (1 − p), block by block; `draw(block)`, where given, fills that block of `kept` first."""
    if p == 0:
        return x
    y = np.empty(x.shape, x.dtype)
    source, target = np.ascontiguousarray(x).reshape(-1), y.reshape(-1)

    def drop_block(block):
        if draw:
            draw(block)
        apply_mask(source[block], kept[block], p, target[block])

    parallel(drop_block, row_blocks(y.size, 1, BLOCK))
    return y


def apply_mask(x, kept, p, out):
    """out = x · m / (1 − p), three arrays of one shape."""
    np.copyto(out, kept)                        # widened first: mixed types go through buffers
    out *= 1 / (1 - p)
    out *= x


def draw_mask(block, p, seed):
    """m of the elements `block`, a slice that starts at a multiple of 16, as booleans."""
    count, stream = block.stop - block.start, np.random.Generator(_philox(seed, block.start // PER_COUNT))
    words = stream.integers(0, 2**64, -(-count // 4), np.uint64)    # as random_raw, but without the interpreter lock
    return words.view(np.uint16)[:count] >= threshold(p)
