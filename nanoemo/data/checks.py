"""Checks of what the functions of this package are given, so that a mistake is told where it is made."""
import numbers

import numpy as np

__all__ = ["require_array", "require_whole"]


def require_whole(what, value, least):
    """Raise ValueError where `value`, which is called `what`, is no whole number of at least `least`.

    >>> require_whole("drawn_faces: n", 2.5, least=1)
    Traceback (most recent call last):
    ...
    ValueError: drawn_faces: n is 2.5; expected a whole number of at least 1
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{what} is {value!r}; expected a whole number of at least {least}")


def require_array(what, value, remedy="np.asarray(…) makes one"):
    """Raise TypeError where `value`, which is called `what`, is no NumPy array.

    >>> require_array("ImageSet: images", [1, 2])
    Traceback (most recent call last):
    ...
    TypeError: ImageSet: images: expected a NumPy array, got list; np.asarray(…) makes one
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{what}: expected a NumPy array, got {type(value).__name__}; {remedy}")
