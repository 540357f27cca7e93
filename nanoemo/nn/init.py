"""How weights start.

A layer keeps the size of what flows through it when the variance of its weights fits the number of inputs
to one output, fan_in, and (for gradients on their way back) the number of outputs from one input, fan_out:

    Glorot & Bengio 2010:  Var w = 2 / (fan_in + fan_out)      for tanh, and Keras' default for every layer
    He et al. 2015:        Var w = 2 / fan_in                  for ReLU, which sets half of its inputs to 0

A uniform distribution on (−a, a) has variance a²/3. All functions take a shape and return a float32 array
on the default device, drawn from `nanoemo.random.generator()`.
"""
import math

import numpy as np

from nanoemo import backend, random

__all__ = ["fans", "zeros", "ones", "uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform",
           "he_normal", "orthogonal"]


def fans(shape):
    """(fan_in, fan_out) of weights (in, out), (k, in, out) or (kh, kw, in, out).

    Raises ValueError for fewer than two axes.

    >>> fans((512, 7)), fans((3, 3, 32, 64))
    ((512, 7), (288, 576))
    """
    if len(shape) < 2:
        raise ValueError(f"init: weights of shape {tuple(shape)} have no (in, out) axes; use uniform, normal")
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _placed(array):
    return backend.to_device(array, backend.default_device())


def zeros(shape):
    """All 0.

    >>> zeros((2, 3)).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return _placed(np.zeros(shape, np.float32))


def ones(shape):
    """All 1.

    >>> ones(3).tolist()
    [1.0, 1.0, 1.0]
    """
    return _placed(np.ones(shape, np.float32))


def uniform(shape, low=-0.05, high=0.05):
    """Evenly between `low` and `high`.

    >>> w = uniform((100, 10), 2, 3)
    >>> w.shape, round(float(w.mean()), 1)
    ((100, 10), 2.5)
    """
    return _placed(random.generator().random(shape, dtype=np.float32) * float(high - low) + float(low))


def normal(shape, mean=0.0, std=0.05):
    """Normally distributed.

    >>> w = normal((100, 100), mean=1.0)
    >>> round(float(w.mean()), 1), round(float(w.std()), 2)
    (1.0, 0.05)
    """
    return _placed(random.generator().standard_normal(shape, dtype=np.float32) * float(std) + float(mean))


def glorot_uniform(shape):
    """Uniform on ±√(6 / (fan_in + fan_out)).

    >>> w = glorot_uniform((4096, 512))                       # √(6 / 4608) = 0.0361
    >>> round(float(abs(w).max()), 4), w.dtype
    (0.0361, dtype('float32'))
    """
    limit = math.sqrt(6 / sum(fans(shape)))
    return uniform(shape, -limit, limit)


def glorot_normal(shape):
    """Normal with variance 2 / (fan_in + fan_out).

    >>> round(float(glorot_normal((300, 100)).std()), 2)            # √(2 / 400) = 0.071
    0.07
    """
    return normal(shape, std=math.sqrt(2 / sum(fans(shape))))


def he_uniform(shape):
    """Uniform on ±√(6 / fan_in).

    >>> round(float(he_uniform((3, 3, 32, 64)).max()), 3)           # √(6 / 288) = 0.144
    0.144
    """
    limit = math.sqrt(6 / fans(shape)[0])
    return uniform(shape, -limit, limit)


def he_normal(shape):
    """Normal with variance 2 / fan_in.

    >>> round(float(he_normal((3, 3, 32, 64)).std()), 2)            # √(2 / 288) = 0.083
    0.08
    """
    return normal(shape, std=math.sqrt(2 / fans(shape)[0]))


def orthogonal(shape):
    """Rows (or columns, whichever are fewer) of length 1 at right angles to each other. Saxe et al. 2014.

    A recurrent layer multiplies by its weights once a step; orthogonal ones keep lengths.
    shape: all axes but the last count as rows

    >>> w = orthogonal((4, 16))
    >>> bool(np.allclose(w @ w.T, np.eye(4), atol=1e-6))
    True
    """
    fans(shape)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    tall = random.generator().standard_normal((max(rows, columns), min(rows, columns)), dtype=np.float32)
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diagonal(r))              # without this the result would not be uniform over rotations
    return _placed(np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape))
