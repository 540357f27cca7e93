"""Kernels put in the place of others: which one counts while several blocks are open, and that the project's own come back."""
import subprocess
import sys

import numpy as np
import pytest

from nanoemo import Tensor, kernels, ops

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


def test_a_kernel_can_be_replaced_for_a_while():
    def squared(x):
        return x * x, x

    x = Tensor([3.0], requires_grad=True)
    with kernels.override(relu_forward=squared, relu_backward=lambda dy, x: 2 * x * dy):
        y = ops.relu(x)
        y.backward()
    assert (y.item(), x.grad.item(), ops.relu(x).item()) == (9.0, 6.0, 3.0)


@pytest.mark.parametrize("replacement, error", [
    (lambda x: x * (x > 0), r"relu_forward given to override returned ndarray; it must return \(result, cache\)"),
    (lambda x: (x.astype("f8"), x), "relu_forward given to override made float64 of float32"),
])
def test_a_replacement_that_breaks_the_contract_is_named(replacement, error):
    """An array of two rows is not taken for result and cache."""
    with kernels.override(relu_forward=replacement), pytest.raises(TypeError, match=error):
        ops.relu(Tensor([1.0, -1.0]))


@pytest.mark.parametrize("name, remedy", [("conv2d_foward", "did you mean conv2d_forward"), ("conv2d_forward_plain", "did you")])
def test_replacing_a_kernel_that_nothing_calls_suggests_the_nearest(name, remedy):
    with pytest.raises(KeyError, match=f"no kernel called '{name}'; {remedy}"):
        with kernels.override(**{name: None}):
            pass


@pytest.mark.parametrize("half, other", [("forward", "backward"), ("backward", "forward")])
def test_half_of_a_definition_is_refused(half, other):
    """The plain relu keeps x, the fast one y: with one of each the gradient would be wrong."""
    plain = {f"relu_{way}": getattr(kernels.activation, f"relu_{way}_plain") for way in (half, other)}
    with pytest.raises(ValueError, match=f"the cache of relu_{half}_plain is not that of relu_{half}; give relu_{other}="):
        with kernels.override(**{f"relu_{half}": plain[f"relu_{half}"]}):
            pass
    x = Tensor([-1.0, 2.0], requires_grad=True)
    with kernels.override(**plain):
        ops.relu(x).sum().backward()
    assert x.grad.numpy().tolist() == [0.0, 1.0]


def test_files_of_kernels_are_there_before_anything_has_used_them():
    code = "import nanoemo; print([getattr(nanoemo.kernels, family).__name__ for family in nanoemo.kernels.FAMILIES][6])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "nanoemo.kernels.activation\n"
    with pytest.raises(AttributeError, match="no attribute 'activatoin'; the files of kernels are conv, pool,"):
        kernels.activatoin


def test_a_replacement_is_a_function():
    with pytest.raises(TypeError, match="override: relu_forward: expected a function, got NoneType"):
        with kernels.override(relu_forward=None):
            pass


def test_looking_for_a_kernel_that_is_not_there():
    with pytest.raises(KeyError, match="find: there is no kernel called .relu_foward.; did you mean relu_forward"):
        kernels.find("relu_foward")
    with pytest.raises(ValueError, match="find: device is 'gpu'; expected 'cpu' or 'cuda'"):
        kernels.find("relu_forward", "gpu")
