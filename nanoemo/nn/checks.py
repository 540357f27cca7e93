"""Checks that are shared: of constructor arguments, and of values that a state dictionary brings."""
import numbers
import os
from collections.abc import Mapping

import numpy as np

from nanoemo.hints import type_of
from nanoemo.kernels.shapes import resolve_padding, resolve_padding_2d, sizes

__all__ = ["checked_window", "misfit", "must_be_state", "positive_integers"]


def positive_integers(layer, **arguments):
    """Raise ValueError naming the first of a layer's `arguments` that is not a positive integer.

    >>> positive_integers("Linear", in_features=0)
    Traceback (most recent call last):
    ...
    ValueError: Linear: in_features must be a positive integer, got 0
    """
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{layer}: {name} must be a positive integer, got {value!r}")


def checked_window(layer, axes, kernel_size, stride, padding):
    """The window's size along each axis. Raises ValueError where the kernel would refuse one of the three for any input.

    >>> checked_window("Conv2d", 2, 3, stride=1, padding="SAME")
    Traceback (most recent call last):
    ...
    ValueError: Conv2d: padding: expected "valid", "same", a number or a pair, got 'SAME'
    """
    window = sizes(kernel_size, f"{layer}: kernel_size", axes)
    strides = sizes(stride, f"{layer}: stride", axes)
    if axes == 2:
        resolve_padding_2d(padding, window, window, strides, f"{layer}: padding")
    else:
        resolve_padding(padding, *window, *window, *strides, f"{layer}: padding")
    return window


def must_be_state(state):
    """Raise TypeError where `state` is no dictionary."""
    if not isinstance(state, Mapping):
        remedy = "nanoemo.load_state(path) reads a file" if isinstance(state, (str, os.PathLike)) else "state_dict() gives one"
        raise TypeError(f"load_state_dict: expected {{name: array}}, got {type_of(state)}; {remedy}")


def misfit(value, shape):
    """Why `value` is not an array of numbers of that shape: what was expected and what was given; "" where it is one.

    >>> misfit(np.ones(2), (3,)), misfit("one", (3,)), misfit([1, 2, 3], (3,))
    ('shape (3,), got (2,)', 'an array of numbers, got str of dtype <U3', '')
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:            # an array on the GPU; rows that differ in length
        return f"an array of numbers: {error}"
    if array.dtype.kind not in "fiub":
        return f"an array of numbers, got {type(value).__name__} of dtype {array.dtype}"
    return "" if array.shape == shape else f"shape {shape}, got {array.shape}"
