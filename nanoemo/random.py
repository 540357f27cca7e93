"""All randomness flows from one seed.

Initial weights and dropout masks are drawn from one generator. Its state is a JSON-able dictionary, so that a
checkpoint can hold it and a resumed run draws what the uninterrupted one would have drawn.
"""
import numpy as np

__all__ = ["manual_seed", "generator", "next_seed", "get_state", "set_state"]

_generator = np.random.Generator(np.random.PCG64())


def manual_seed(seed):
    """Start the generator again from `seed`, a non-negative integer; ValueError otherwise.

    >>> import nanoemo
    >>> nanoemo.manual_seed(0)
    >>> a = nanoemo.random.generator().random()
    >>> nanoemo.manual_seed(0)
    >>> a == nanoemo.random.generator().random()
    True
    """
    global _generator
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"manual_seed: expected a non-negative integer, got {seed!r}")
    _generator = np.random.Generator(np.random.PCG64(int(seed)))


def generator():
    """The generator that initialisers draw from."""
    return _generator


def next_seed():
    """A fresh 63-bit seed, for a kernel that makes its own random numbers (dropout)."""
    return int(_generator.integers(2**63))


def get_state():
    """The generator's state, as a dictionary that JSON can hold."""
    return _generator.bit_generator.state


def set_state(state):
    """Go on from a state that `get_state` returned; ValueError where it is not one."""
    try:
        _generator.bit_generator.state = state
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"random.set_state: not a state of this generator: {error}") from None
