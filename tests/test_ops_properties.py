"""What must hold whatever the numbers are; none of it needs another library to compare with."""
import numpy as np
import pytest
from opcheck import small_blocks

import nanoemo
from nanoemo import Tensor, kernels, ops
from nanoemo.kernels import threads
from nanoemo.kernels.threads import get_num_threads, set_num_threads
from nanoemo.ops import compare

LABELS = np.arange(12) % 5
ON_ONE_THREAD = {"cross_entropy", "mse_loss", "binary_cross_entropy"}

# operation -> (shapes of its tensors, the call). Large enough for several blocks of 64 KiB.
LAYERS = {
    "conv2d": ([(6, 20, 20, 16), (3, 3, 16, 16), (16,)], lambda x, w, b: ops.conv2d(x, w, b, padding="same")),
    "conv2d, stride": ([(6, 40, 40, 8), (4, 4, 8, 8), (8,)], lambda x, w, b: ops.conv2d(x, w, b, 2, 1)),
    "conv2d, few channels": ([(6, 40, 40, 1), (5, 5, 1, 8), (8,)], lambda x, w, b: ops.conv2d(x, w, b)),
    "conv2d, few channels out": ([(6, 40, 40, 16), (2, 2, 16, 2), (2,)], lambda x, w, b: ops.conv2d(x, w, b, padding="same")),
    "conv1d": ([(8, 300, 16), (5, 16, 32), (32,)], lambda x, w, b: ops.conv1d(x, w, b, padding="same")),
    "linear": ([(64, 300), (300, 200), (200,)], ops.linear),
    "lstm": ([(40, 7, 20), (20, 48), (12, 48), (48,)], ops.lstm),
    "lstm_stack": ([(40, 7, 20), (20, 48), (12, 48), (48,), (12, 12), (3, 12), (12,)], lambda *x: seeded_stack(*x)),
    "avg_pool2d": ([(20, 30, 30, 16)], lambda x: ops.avg_pool2d(x, 3, 2, "same")),
    "avg_pool1d": ([(20, 400, 16)], lambda x: ops.avg_pool1d(x, 3)),
    "upsample2d": ([(20, 10, 10, 16)], lambda x: ops.upsample2d(x, 2)),
    "max_pool2d": ([(20, 30, 30, 16)], lambda x: ops.max_pool2d(x, 3, 2, "same")),
    "min_pool2d": ([(20, 30, 30, 16)], lambda x: ops.min_pool2d(x, 2)),
    "relu_max_pool2d": ([(20, 30, 30, 16)], lambda x: ops.relu_max_pool2d(x, 2)),
    "conv2d_relu_max_pool2d": ([(40, 96, 96, 1), (5, 5, 1, 8), (8,)], ops.conv2d_relu_max_pool2d),
    "relu_max_pool1d": ([(20, 400, 16)], lambda x: ops.relu_max_pool1d(x, 5, 2, "same")),
    "max_pool1d": ([(20, 400, 16)], lambda x: ops.max_pool1d(x, 3)),
    "batch_norm": ([(20, 30, 30, 16), (16,), (16,)], lambda x, g, b: ops.batch_norm(x, g, b, *statistics(x), True)),
    "batch_norm, evaluation": ([(20, 30, 30, 16), (16,), (16,)],
                               lambda x, g, b: ops.batch_norm(x, g, b, *statistics(x), False)),
    "dropout": ([(300, 1000)], lambda x: seeded_dropout(x)),
    "relu": ([(300, 1000)], ops.relu),
    "leaky_relu": ([(300, 1000)], lambda x: ops.leaky_relu(x, 0.2)),
    "sigmoid": ([(300, 1000)], ops.sigmoid),
    "tanh": ([(300, 1000)], ops.tanh),
    "softmax": ([(3000, 100)], ops.softmax),
    "log_softmax": ([(3000, 100)], ops.log_softmax),
    "cross_entropy": ([(12, 5)], lambda x: ops.cross_entropy(x, LABELS)),
    "mse_loss": ([(12, 5)], lambda x: ops.mse_loss(x, np.ones((12, 5), x.dtype))),
    "binary_cross_entropy": ([(12, 5)], lambda x: ops.binary_cross_entropy(x * 0.25 + 0.5, np.ones((12, 5), x.dtype))),
}

SMALL = {
    "add": ([(3, 4), (4,)], ops.add), "sub": ([(3, 4), (4,)], ops.sub), "mul": ([(3, 4), (4,)], ops.mul),
    "div": ([(3, 4), (4,)], lambda a, b: ops.div(a, b + 3)), "neg": ([(3, 4)], ops.neg), "abs": ([(3, 4)], ops.abs),
    "maximum": ([(3, 4), (4,)], ops.maximum), "minimum": ([(3, 4), (4,)], ops.minimum),
    "where": ([(3, 4), (4,)], lambda a, b: ops.where(a > b, a, b)),
    "matmul": ([(2, 3, 4), (4, 5)], ops.matmul), "exp": ([(3, 4)], ops.exp),
    "log": ([(3, 4)], lambda x: ops.log(x + 3)), "sqrt": ([(3, 4)], lambda x: ops.sqrt(x + 3)),
    "pow": ([(3, 4)], lambda x: ops.pow(x, 3)), "clip": ([(3, 4)], lambda x: ops.clip(x, -1, 1)),
    "sum": ([(3, 4)], lambda x: ops.sum(x, 0)), "mean": ([(3, 4)], lambda x: ops.mean(x, 1)),
    "max": ([(3, 4)], lambda x: ops.max(x, 1)), "min": ([(3, 4)], ops.min),
    "reshape": ([(3, 4)], lambda x: ops.reshape(x, 6, 2)), "transpose": ([(3, 4)], ops.transpose),
    "flatten": ([(3, 4)], lambda x: ops.flatten(x, 0)), "getitem": ([(3, 4)], lambda x: ops.getitem(x, [0, 0, 2])),
    "concat": ([(3, 4), (3, 2)], lambda *x: ops.concat(x)), "stack": ([(3, 4), (3, 4)], lambda *x: ops.stack(x)),
}

ALL = {**LAYERS, **SMALL}


def statistics(x):
    return [Tensor(np.full(x.shape[-1], value, x.dtype)) for value in (0.1, 1.5)]


def seeded_dropout(x):
    nanoemo.manual_seed(3)
    return ops.dropout(x, 0.4, training=True)


def seeded_stack(x, *weights):
    nanoemo.manual_seed(3)
    return ops.lstm_stack(x, [weights[:3], weights[3:]], [0.4])


def arrays_for(name, rng, dtype=np.float64):
    return [rng.uniform(-1, 1, shape).astype(dtype) for shape in ALL[name][0]]


def run(name, arrays, dy=None):
    """The result and the gradient of every input, as arrays."""
    x = [Tensor(array, requires_grad=True) for array in arrays]
    y = ALL[name][1](*x)
    dy = np.random.default_rng(1).uniform(-1, 1, y.shape) if dy is None else dy
    y.backward(Tensor(dy.astype(y.dtype)))
    return y.detach().numpy(), [tensor.grad.numpy() for tensor in x]


def test_no_operation_is_left_out():
    assert {name.split(",")[0] for name in ALL} == set(ops.__all__) - set(compare.__all__)


@pytest.mark.parametrize("name", ALL)
def test_inputs_are_left_as_they_were(rng, name):
    arrays = arrays_for(name, rng)
    before = [array.copy() for array in arrays]
    run(name, arrays)
    for array, original in zip(arrays, before):
        np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_on_one_thread_and_on_two(rng, monkeypatch, name):
    arrays, before, results, shared = arrays_for(name, rng, np.float32), get_num_threads(), [], []
    workers = threads.workers
    monkeypatch.setattr(threads, "workers", lambda: shared.append(1) or workers())
    try:
        for count in (1, 2):
            set_num_threads(count)
            with small_blocks(1 << 16):
                results.append(run(name, arrays))
    finally:
        set_num_threads(before)
    assert shared or name in ON_ONE_THREAD, "too small to be cut into blocks: nothing was compared"
    (y, gradients), (other_y, other_gradients) = results
    np.testing.assert_array_equal(y, other_y)
    for gradient, other in zip(gradients, other_gradients):
        np.testing.assert_array_equal(gradient, other)


@pytest.mark.parametrize("name", ALL)
def test_float32_is_float64_rounded(rng, name):
    """Every value within a few rounding errors of the largest one: no operation loses digits on the way."""
    arrays = arrays_for(name, rng, np.float32)
    y, gradients = run(name, arrays)
    exact_y, exact_gradients = run(name, [array.astype(np.float64) for array in arrays])
    for value, exact in zip((y, *gradients), (exact_y, *exact_gradients)):
        assert value.dtype == np.float32 and isinstance(value, np.ndarray)
        assert exact.dtype == np.float64
        np.testing.assert_allclose(value, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())


LINEAR_IN = {     # which inputs an operation is linear in, the others held: dy·(J v) is J itself applied to v
    "conv2d": (0, 1), "conv2d, stride": (0, 1), "conv2d, few channels": (0, 1),
    "conv2d, few channels out": (0, 1), "conv1d": (0, 1), "linear": (0, 1),
    "avg_pool2d": (0,), "avg_pool1d": (0,), "upsample2d": (0,), "dropout": (0,), "batch_norm, evaluation": (0, 1),
    "matmul": (0, 1),
}
PAIRS = [(name, which) for name, inputs in LINEAR_IN.items() for which in inputs]


def as_map(name, which, arrays):
    """The operation as a function of one input, without the constant that the bias or the other inputs add."""
    def apply(v):
        inputs = list(arrays)
        inputs[which] = v
        return ALL[name][1](*map(Tensor, inputs)).numpy()

    constant = apply(np.zeros_like(arrays[which]))
    return lambda v: apply(v) - constant


@pytest.mark.parametrize("name, which", PAIRS)
def test_linearity(rng, name, which):
    arrays = arrays_for(name, rng)
    apply, (v, w) = as_map(name, which, arrays), rng.uniform(-1, 1, (2, *arrays[which].shape))
    np.testing.assert_allclose(apply(2 * v - 3 * w), 2 * apply(v) - 3 * apply(w), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name, which", PAIRS)
def test_the_gradient_is_the_adjoint(rng, name, which):
    """⟨dy, J v⟩ = ⟨Jᵀ dy, v⟩."""
    arrays = arrays_for(name, rng)
    v = rng.uniform(-1, 1, arrays[which].shape)
    image = as_map(name, which, arrays)(v)
    dy = rng.uniform(-1, 1, image.shape)
    _, gradients = run(name, arrays, dy)
    assert np.vdot(dy, image) == pytest.approx(np.vdot(gradients[which], v), rel=1e-10)


@pytest.mark.parametrize("name", ["lstm", "max_pool2d", "min_pool2d", "max_pool1d", "batch_norm", "softmax",
                                  "log_softmax"])
def test_the_gradient_is_the_adjoint_of_the_slope(rng, name):
    """The same where J v is the slope along v, (f(x + ε v) − f(x − ε v)) / 2ε."""
    arrays, eps = arrays_for(name, rng), 1e-6
    if name.startswith(("max", "min")):     # whole numbers, so that no step changes which is chosen
        arrays, eps = [rng.permutation(arrays[0].size).reshape(arrays[0].shape).astype(float)], 1e-3
    directions = [rng.uniform(-1, 1, array.shape) for array in arrays]
    ahead, behind = ([a + sign * eps * v for a, v in zip(arrays, directions)] for sign in (1, -1))
    slope = (ALL[name][1](*map(Tensor, ahead)).numpy() - ALL[name][1](*map(Tensor, behind)).numpy()) / (2 * eps)
    dy = rng.uniform(-1, 1, slope.shape)
    _, gradients = run(name, arrays, dy)
    product = sum(np.vdot(gradient, v) for gradient, v in zip(gradients, directions))
    assert np.vdot(dy, slope) == pytest.approx(product, rel=1e-5)


def test_the_gradient_of_dropout_is_its_mask(rng):
    x = rng.uniform(1, 2, (300, 1000))
    y, (dx,) = run("dropout", [x], np.ones_like(x))
    np.testing.assert_array_equal(dx == 0, y == 0)
    np.testing.assert_allclose(dx, y / x, rtol=1e-12)
    assert abs((dx == 0).mean() - 0.4) < 0.01


def test_no_kernel_pair_is_left_out():
    pairs = {name.removesuffix("_forward") for name in kernels.names() if name.endswith("_forward")}
    assert pairs == {name.split(",")[0] for name in LAYERS}
