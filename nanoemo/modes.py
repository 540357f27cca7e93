"""Two switches of the graph: whether it is recorded (`no_grad`), and whether every result is looked at (`detect_anomaly`).

Each thread has its own.
"""
import os
import sys
import threading
import traceback
from contextlib import ContextDecorator
from inspect import isgeneratorfunction

from nanoemo import backend

__all__ = ["anomalies_are_detected", "call_site", "check_finite", "detect_anomaly", "is_grad_enabled", "no_grad"]


class _Modes(threading.local):
    grad_enabled = True
    anomaly = False


_modes = _Modes()


class _Mode(ContextDecorator):
    """Set one attribute of `_modes` inside a `with` block or a decorated function."""

    def __init__(self, *wrong):
        name = type(self).__name__
        if wrong:
            raise TypeError(f"{name} takes no arguments; to decorate a function write @{name}(), with brackets")
        self.before = []        # a stack: one object may be entered several times

    def __call__(self, function):
        if isgeneratorfunction(function):
            name = type(self).__name__
            raise TypeError(f"@{name}(): {function.__name__} is a generator, whose lines run after the decorator has left; "
                            f"write `with {name}():` inside it")
        return super().__call__(function)

    def __enter__(self):
        self.before.append(getattr(_modes, self.attribute))
        setattr(_modes, self.attribute, self.value)
        return self

    def __exit__(self, *error):
        setattr(_modes, self.attribute, self.before.pop())

    def _recreate_cm(self):         # ContextDecorator's, for each call of a decorated function
        return type(self)()


class no_grad(_Mode):
    """Inside `with no_grad():` no graph is recorded, so nothing is kept for a backward pass. Also `@no_grad()`.

    >>> from nanoemo import Tensor, no_grad
    >>> x = Tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     (x * 2).requires_grad
    False
    """
    attribute, value = "grad_enabled", False


class detect_anomaly(_Mode):
    """Inside `with detect_anomaly():` the first operation that makes a NaN or an infinity raises.

    The FloatingPointError names the operation, forward or backward, and the line of your code that called it.
    It checks every result, so it is slow; switch it on to look for a fault.

    >>> from nanoemo import Tensor, detect_anomaly
    >>> with detect_anomaly():
    ...     Tensor([0.0]).log()
    Traceback (most recent call last):
    ...
    FloatingPointError: log: the output of shape (1,) has 1 value that is NaN or infinite, first at index (0,) ...
    """
    attribute, value = "anomaly", True


def is_grad_enabled():
    """False inside `no_grad()`."""
    return _modes.grad_enabled


def anomalies_are_detected():
    """True inside `detect_anomaly()`."""
    return _modes.anomaly


def check_finite(name, what, array, place=None):
    """Raise FloatingPointError for a NaN or an infinity in `array`, which operation `name`, called at `place`, has made."""
    if array.dtype.kind != "f":
        return
    bad = ~backend.array_module(array).isfinite(array)
    count = int(bad.sum())
    if count:
        first = tuple(int(axis[0]) for axis in bad.nonzero()) if bad.ndim else ()
        values = "1 value that is" if count == 1 else f"{count} values that are"
        raise FloatingPointError(f"{name}: {what} of shape {array.shape} has {values} NaN or infinite, "
                                 f"first at index {first} ({array[first].item()}); called at {place or call_site()}")


def call_site():
    """The innermost line of the stack that lies outside this package."""
    package = os.path.join(os.path.dirname(__file__), "")       # as frames have it: not resolved where it lies behind a link
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    if frame is None:
        return "unknown place"
    summary = traceback.extract_stack(frame, limit=1)[0]
    return f"{summary.filename}:{summary.lineno}" + (f" ({summary.line})" if summary.line else "")
