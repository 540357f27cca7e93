"""Checks of constructor arguments that several layers share."""
import numbers

__all__ = ["positive_integers"]


def positive_integers(layer, **sizes):
    """Raise ValueError naming the first of `sizes` that is not a positive integer.

    >>> positive_integers("Linear", in_features=0)
    Traceback (most recent call last):
    ...
    ValueError: Linear: in_features must be a positive integer, got 0
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, numbers.Integral) or size < 1:
            raise ValueError(f"{layer}: {name} must be a positive integer, got {size!r}")
