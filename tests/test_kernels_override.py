"""Kernels put in the place of others: which one counts while several blocks are open, and that the project's own come back."""
import numpy as np

from nanoemo import kernels

OWN = kernels.find("relu_forward")


def active():
    return OWN if kernels.find("relu_forward") is OWN else kernels.find("relu_forward")(np.zeros(1))[1]


def replaced(cache):
    """A block whose replacement gives itself away by its cache."""
    return kernels.override(relu_forward=lambda x: (x, cache))


def test_blocks_that_end_in_another_order_than_nested_ones():
    """As those of two threads may."""
    first, second = replaced("first"), replaced("second")
    first.__enter__()
    second.__enter__()
    assert active() == "second"
    first.__exit__(None, None, None)
    assert active() == "second" and kernels.is_overridden("relu_forward")
    second.__exit__(None, None, None)
    assert active() is OWN and not kernels.overridden()


def test_what_an_outer_block_replaced_comes_back():
    with replaced("outer"):
        with replaced("inner"):
            assert active() == "inner"
        assert active() == "outer"
    assert active() is OWN
