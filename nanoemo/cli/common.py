"""What several commands share: kinds of arguments, lines of output, what an error is called, an exit status."""
import argparse

from nanoemo.card_memory import CardMemoryError

__all__ = ["SPLITS", "STOPPED", "no_memory", "say", "whole_number"]

SPLITS = ("train", "validation", "test")
STOPPED = 130            # the exit status that shells give for Ctrl-C


def no_memory(error):
    """What a MemoryError is called; that of the card explains itself.

    >>> no_memory(MemoryError("Unable to allocate 9.5 GiB")), no_memory(MemoryError())
    ('not enough memory (Unable to allocate 9.5 GiB)', 'not enough memory')
    """
    said = " ".join(str(error).split())
    return said if isinstance(error, CardMemoryError) else "not enough memory" + f" ({said})" * bool(said)


def say(line):
    """Print a line at once, also where the output is a file or a pipe."""
    print(line, flush=True)


def whole_number(least, most=None):
    """For `type=` of an argument: a whole number from `least` to `most`.

    >>> whole_number(1)("20")
    20
    """
    expected = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text):
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"expected a whole number {expected}, got {text!r}")
        return int(text)

    return parse
