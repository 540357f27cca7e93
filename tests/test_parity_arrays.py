"""Arithmetic, reductions and rearrangements against PyTorch, over shapes and keys found by random search.

Each line of the table is an operation: what is drawn, ours, PyTorch's. Values and gradients, in float64.
"""
import numpy as np
import pytest
from search import compare_case, hypothesis, integers, one_of, search, st

from nanoemo import ops

hnp = pytest.importorskip("hypothesis.extra.numpy")


# ---- what is drawn ----------------------------------------------------------------------------------------------


def shape_of(fewest=0, most=4, smallest=1):
    return hnp.array_shapes(min_dims=fewest, max_dims=most, min_side=smallest, max_side=5)


@st.composite
def one(draw, fewest=0, **options):
    return [draw(shape_of(fewest))], {name: draw(strategy) for name, strategy in options.items()}


@st.composite
def two(draw):
    """Two shapes that broadcast, axes of no length among them."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=draw(one_of(0, 1))))
    return list(shapes.input_shapes), {}


@st.composite
def factors(draw):
    """Shapes for a matrix product: vectors, matrices, and batches of them that broadcast."""
    return list(draw(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_side=4)).input_shapes), {}


@st.composite
def reduced(draw):
    shape = draw(shape_of(fewest=1))
    axes = draw(st.none() | st.lists(integers(0, len(shape) - 1), unique=True, min_size=1).map(tuple))
    if axes is not None and draw(st.booleans()):
        axes = tuple(axis - len(shape) for axis in axes)
    return [shape], {"axis": axes, "keepdims": draw(st.booleans())}


@st.composite
def reshaped(draw):
    """A shape, and another of as many values in which one size may be −1."""
    shape = draw(shape_of())
    target, left = [], int(np.prod(shape, dtype=int))
    for _ in range(draw(integers(0, 3))):
        target.append(draw(one_of(*[n for n in range(1, left + 1) if left % n == 0])))
        left //= target[-1]
    return [shape], {"shape": (*target, draw(one_of(left, -1)))}


@st.composite
def permuted(draw):
    shape = draw(shape_of(1))
    return [shape], {"axes": tuple(draw(st.permutations(range(len(shape)))))}


@st.composite
def flattened(draw):
    shape = draw(shape_of(1))
    return [shape], {"start_axis": draw(integers(0, len(shape) - 1))}


@st.composite
def sliced(draw):
    """Integers, slices (steps forward, as PyTorch has no others), new axes and dots."""
    shape = draw(shape_of(1))

    def goes_forward(key):
        return all(not isinstance(k, slice) or (k.step or 1) > 0 for k in (key if isinstance(key, tuple) else (key,)))

    return [shape], {"key": draw(hnp.basic_indices(shape, allow_newaxis=True).filter(goes_forward))}


@st.composite
def picked(draw):
    """Arrays of indices, which may repeat, or a mask."""
    shape = draw(shape_of(1, 3))
    keys = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4))
    return [shape], {"key": draw(keys | hnp.arrays(bool, shape))}


@st.composite
def joined(draw):
    """Several shapes that differ along one axis."""
    shape = draw(shape_of(1))
    axis = draw(integers(-len(shape), len(shape) - 1))
    lengths = draw(st.lists(integers(0, 3), min_size=1, max_size=4))
    along = axis % len(shape)
    return [(*shape[:along], length, *shape[along + 1:]) for length in lengths], {"axis": axis}


@st.composite
def stacked(draw):
    shape = draw(shape_of(0, 3))
    return [shape] * draw(integers(1, 3)), {"axis": draw(integers(-len(shape) - 1, len(shape)))}


# ---- the comparison ---------------------------------------------------------------------------------------------


def all_axes(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


def torch_sum(t, x, axis, keepdims):
    return x.sum(all_axes(x, axis), keepdim=keepdims)


def torch_mean(t, x, axis, keepdims):
    return x.mean(all_axes(x, axis), keepdim=keepdims)


def torch_max(t, x, axis, keepdims):
    return t.amax(x, all_axes(x, axis), keepdim=keepdims)


def torch_min(t, x, axis, keepdims):
    return t.amin(x, all_axes(x, axis), keepdim=keepdims)


LIMITS = {"low": one_of(-1, -0.5, None), "high": one_of(0, 1.5)}

CASES = {     # examples, what is drawn, ours, PyTorch's, kinds of values
    "add": (20, two(), ops.add, lambda t, a, b: a + b),
    "sub": (20, two(), ops.sub, lambda t, a, b: a - b),
    "mul": (20, two(), ops.mul, lambda t, a, b: a * b, "any", "large"),
    "div": (20, two(), ops.div, lambda t, a, b: a / b, "positive", "negative"),
    "maximum": (20, two(), ops.maximum, lambda t, a, b: t.maximum(a, b), "any", "ties"),
    "minimum": (20, two(), ops.minimum, lambda t, a, b: t.minimum(a, b), "any", "ties"),
    "matmul": (40, factors(), ops.matmul, lambda t, a, b: a @ b),
    "neg": (10, one(), ops.neg, lambda t, x: -x),
    "abs": (10, one(), ops.abs, lambda t, x: x.abs(), "any", "ties"),
    "exp": (10, one(), ops.exp, lambda t, x: x.exp()),
    "log": (10, one(), ops.log, lambda t, x: x.log(), "positive"),
    "sqrt": (10, one(), ops.sqrt, lambda t, x: x.sqrt(), "positive"),
    "pow": (20, one(exponent=one_of(0, 1, 2, 3)), ops.pow, lambda t, x, exponent: x ** exponent, "any", "ties"),
    "pow of positive": (20, one(exponent=st.floats(-3, 3, width=16)), ops.pow, lambda t, x, exponent: x ** exponent,
                        "positive"),
    "clip": (20, one(**LIMITS), ops.clip, lambda t, x, low, high: x.clip(low, high), "any", "ties"),
    "sum": (20, reduced(), ops.sum, torch_sum),
    "mean": (20, reduced(), ops.mean, torch_mean),
    "max": (25, reduced(), ops.max, torch_max, "any", "ties"),
    "min": (25, reduced(), ops.min, torch_min, "any", "ties"),
    "reshape": (20, reshaped(), lambda x, shape: ops.reshape(x, shape), lambda t, x, shape: x.reshape(shape)),
    "transpose": (20, permuted(), lambda x, axes: ops.transpose(x, axes), lambda t, x, axes: x.permute(axes)),
    "flatten": (10, flattened(), ops.flatten, lambda t, x, start_axis: x.flatten(start_axis)),
    "getitem, slices": (40, sliced(), ops.getitem, lambda t, x, key: x[key]),
    "getitem, indices": (30, picked(), ops.getitem, lambda t, x, key: x[key]),
    "concat": (20, joined(), lambda *x, axis: ops.concat(x, axis), lambda t, *x, axis: t.cat(x, axis)),
    "stack": (20, stacked(), lambda *x, axis: ops.stack(x, axis), lambda t, *x, axis: t.stack(x, axis)),
}


@pytest.mark.parametrize("name", CASES)
def test_parity(torch, device, name):
    examples, case, ours, theirs, *values = CASES[name]

    @search(examples)
    @hypothesis.given(st.data())
    def compare(data):
        compare_case(torch, device, data, case, ours,
                     lambda *x, **options: theirs(torch, *x, **options), values or ["any"])

    compare()
