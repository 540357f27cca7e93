"""Inverted dropout (Srivastava et al. 2014, section 10): training drops each element with probability p.

    y = x · m / (1 − p),   m = 0 with probability p, else 1;       dx = dy · m / (1 − p)

Division by 1 − p keeps the expected y at x, so nothing is to be done at test time.

The mask m is a function of (seed, shape, p) alone: the elements, in row-major order, are cut into blocks of
fixed size, and block b draws from a random stream of its own, seeded by (seed, b). So threads can draw side
by side and get the same mask as one would, and the way back draws it again: nothing is kept but the seed. An
element draws 16 bits and is dropped where they, as an integer, are below p·65536: p is exact to 1/131072.
"""
import numpy as np

from nanoemo.kernels.threads import parallel

__all__ = ["dropout_forward_plain", "dropout_backward_plain", "dropout_forward", "dropout_backward"]

BLOCK = 256 * 1024      # elements that share a random stream; changing it changes every mask


def _check_p(p):
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p, the probability to drop an element, must be at least 0 and below 1, "
                         f"got {p!r}")


def _kept(block, count, p, seed):
    """m of `count` elements of a block, as booleans."""
    stream = np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(block,)))
    return stream.random_raw(-(-count // 4)).view(np.uint16)[:count] >= round(p * 65536)


def dropout_forward_plain(x, p, seed):
    """Inverted dropout by definition: see `dropout_forward`."""
    _check_p(p)
    masks = [_kept(start // BLOCK, min(BLOCK, x.size - start), p, seed) for start in range(0, x.size, BLOCK)]
    kept = np.concatenate([*masks, np.empty(0, bool)]).reshape(x.shape)
    return x * kept / (1 - p), (kept, p)


def dropout_backward_plain(dy, cache):
    """dy · m / (1 − p)."""
    kept, p = cache
    return dy * kept / (1 - p)


def dropout_forward(x, p, seed):
    """Inverted dropout: x (any shape), p in [0, 1), seed a non-negative integer -> (y, cache).

    Where p is 0, y is x itself. Raises ValueError for p outside [0, 1).
    Memory floor: x read, y written.

    >>> y, cache = dropout_forward(np.ones(10_000), 0.25, seed=1)
    >>> sorted(set(y.round(4).tolist())), float(y.mean().round(1))
    ([0.0, 1.3333], 1.0)
    """
    _check_p(p)
    return _drop(x, p, seed), (p, seed)


def dropout_backward(dy, cache):
    """dy · m / (1 − p), the mask drawn again. Memory floor: dy read, dx written."""
    return _drop(dy, *cache)


def _drop(x, p, seed):
    if p == 0:
        return x
    y = np.empty(x.shape, x.dtype)
    source, target = np.ascontiguousarray(x).reshape(-1), y.reshape(-1)

    def drop_block(block):
        elements = slice(block * BLOCK, min((block + 1) * BLOCK, y.size))
        out = target[elements]
        np.copyto(out, _kept(block, out.size, p, seed))     # widened first: mixed types go through buffers
        out *= 1 / (1 - p)
        out *= source[elements]

    parallel(drop_block, range(-(-y.size // BLOCK)))
    return y
