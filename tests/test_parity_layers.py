"""Layers against PyTorch, values and gradients in float64, over shapes found by random search.

Each line of the table is an operation: what is drawn, ours, PyTorch's. Padding is done beforehand for PyTorch, by
TensorFlow's rule for "same", which PyTorch does not have for strides and pools.
"""
import numpy as np
import pytest
from search import compare_case, hypothesis, integers, one_of, search, st

from nanoemo import Tensor, ops

ANY_VALUES = ("any", "ties", "negative")


# ---- what is drawn ----------------------------------------------------------------------------------------------


@st.composite
def windows(draw, rank, largest_kernel, half=False):
    """(sizes, kernels, options) of a window over `rank` axes: 1×1, as large as the input, stride beyond it, padding.

    half: padding is at most half of the window, as poolings want it
    """
    kernels = [draw(integers(1, largest_kernel)) for _ in range(rank)]
    strides = [draw(integers(1, largest_kernel + 2)) for _ in range(rank)] if draw(st.booleans()) else [1] * rank
    most = [k // 2 if half else k for k in kernels]
    form = draw(one_of("valid", "same", "number", "pair"))
    if form == "number":
        padding = draw(integers(0, min(most)))
    elif form == "pair":
        padding = draw(st.tuples(*[integers(0, m) for m in most * (3 - rank)]))
    else:
        padding = form
    pads = _pads(padding, [kernels[0]] * rank, kernels, strides) if form != "same" else [(k, k) for k in kernels]
    sizes = [max(1, k - before - after) + draw(integers(0, 6)) for k, (before, after) in zip(kernels, pads)]
    if rank == 1:
        return sizes, kernels, {"stride": strides[0], "padding": padding}
    return sizes, kernels, {"stride": tuple(strides), "padding": padding}


@st.composite
def conv(draw, rank):
    """Few channels, many, and enough of both (16) for windows of 3 and 5 to be computed by minimal filtering."""
    sizes, kernels, options = draw(windows(rank, 5))
    channels = draw(one_of((1, 1), (2, 3), (3, 1), (1, 9), (9, 2), (16, 16), (17, 16), (16, 18)))
    if min(channels) >= 16 and draw(st.booleans()):
        kernels = [draw(one_of(1, 3, 5)) for _ in range(rank)]
        sizes = [size + 5 for size in sizes]
        options["stride"] = 1
    shapes = [(draw(integers(1, 3)), *sizes, channels[0]), (*kernels, *channels)]
    return shapes + [channels[1:]] * draw(st.booleans()), options


@st.composite
def conv_pool(draw):
    """A convolution, and windows side by side over what it gives."""
    (x, w, *b), options = draw(conv(2))
    strides = _as_list(options["stride"], 2)
    pads = _pads(options["padding"], x[1:3], w[:2], strides)
    sizes = [(size + before + after - k) // s + 1 for size, (before, after), k, s in zip(x[1:3], pads, w, strides)]
    options["kernel_size"] = tuple(draw(integers(1, min(3, size))) for size in sizes)
    options["pool_padding"] = draw(one_of("valid", "same"))
    return [x, w, *b], options


@st.composite
def pool(draw, rank):
    sizes, kernels, options = draw(windows(rank, 4, half=True))
    if draw(st.booleans()):
        options["stride"] = None
        sizes = [max(size, k) for size, k in zip(sizes, kernels)]
    options["kernel_size"] = kernels[0] if rank == 1 else tuple(kernels)
    return [(draw(integers(1, 3)), *sizes, draw(integers(1, 4)))], options


@st.composite
def upsample(draw):
    shape = [draw(integers(1, 4)) for _ in range(4)]
    return [shape], {"scale": draw(st.one_of(integers(1, 3), st.tuples(integers(1, 3), integers(1, 4))))}


@st.composite
def linear(draw):
    features, outputs = draw(integers(1, 6)), draw(integers(1, 6))
    leading = draw(st.lists(integers(1, 4), max_size=3))
    return [(*leading, features), (features, outputs)] + [(outputs,)] * draw(st.booleans()), {}


@st.composite
def lstm(draw):
    batch, steps, features, units = (draw(integers(1, most)) for most in (5, 6, 4, 4))
    shapes = [(batch, steps, features), (features, 4 * units), (units, 4 * units), (4 * units,)]
    return shapes, {"return_sequences": draw(st.booleans())}


@st.composite
def lstm_stack(draw):
    batch, steps, *units = (draw(integers(1, most)) for most in (5, 6, 4, 4, 4, 4))
    units = units[:draw(integers(2, 4))]
    layers = [[(inputs, 4 * u), (u, 4 * u), (4 * u,)] for inputs, u in zip(units, units[1:])]
    return [(batch, steps, units[0]), *(shape for layer in layers for shape in layer)], {}


@st.composite
def elementwise(draw, fewest_axes=0, **options):
    shape = tuple(draw(st.lists(integers(1, 5), min_size=fewest_axes, max_size=4)))
    return [shape], {name: draw(strategy) for name, strategy in options.items()}


@st.composite
def scores(draw, soft):
    """Logits of a batch, and what they should have been: classes, or probabilities of any sum."""
    batch, classes = draw(integers(1, 6)), draw(integers(1, 8))
    if not soft:
        return [(batch, classes)], {"labels": draw(st.lists(integers(0, classes - 1), min_size=batch, max_size=batch))}
    rng = np.random.default_rng(draw(integers(0, 1000)))
    one_hot = np.eye(classes)[rng.integers(0, classes, batch)]
    rows = rng.uniform(0, 1, (batch, classes)) if draw(st.booleans()) else one_hot
    return [(batch, classes)], {"labels": rows}


@st.composite
def targets(draw, low, high):
    shape = tuple(draw(st.lists(integers(1, 5), min_size=1, max_size=4)))
    rng = np.random.default_rng(draw(integers(0, 1000)))
    return [shape], {"target": rng.integers(low, high + 1, shape).astype(float)}


# ---- PyTorch's side ---------------------------------------------------------------------------------------------


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def _pads(padding, sizes, kernels, strides):
    """(before, after) for each axis. "same" as TensorFlow's documentation says it."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "same":
        totals = [max(k - (s if size % s == 0 else size % s), 0) for size, k, s in zip(sizes, kernels, strides)]
        return [(total // 2, total - total // 2) for total in totals]
    if len(sizes) == 1:
        return [padding if isinstance(padding, tuple) else (padding, padding)]
    rows, columns = padding if isinstance(padding, tuple) else (padding, padding)
    return [(rows, rows), (columns, columns)]


def _padded(F, x, kernels, strides, padding, value=0.0):
    pads = _pads(padding, x.shape[1:-1], kernels, strides)
    return F.pad(first(x), [cells for pad in reversed(pads) for cells in pad], value=value)


def _as_list(value, rank):
    return list(value) if isinstance(value, tuple) else [value] * rank


def torch_conv(F, x, w, b=None, *, stride, padding):
    rank = x.ndim - 2
    strides = _as_list(stride, rank)
    x = _padded(F, x, w.shape[:rank], strides, padding)
    w = w.movedim((-1, -2), (0, 1)).contiguous()      # PyTorch's own gradient fails on some views
    return last((F.conv1d, F.conv2d)[rank - 1](x, w, b, strides))


def _pooled(F, name, x, kernel_size, stride, padding, value):
    rank = x.ndim - 2
    kernels = _as_list(kernel_size, rank)
    strides = kernels if stride is None else _as_list(stride, rank)
    x = _padded(F, x, kernels, strides, padding, value)
    return last(getattr(F, f"{name}{rank}d")(x, kernels, strides))


def torch_max_pool(F, x, **window):
    return _pooled(F, "max_pool", x, **window, value=-np.inf)


def torch_relu_max_pool(F, x, **window):
    return torch_max_pool(F, F.relu(x), **window)


def torch_conv_pool(F, *x, stride, padding, kernel_size, pool_padding):
    return torch_relu_max_pool(F, torch_conv(F, *x, stride=stride, padding=padding), kernel_size=kernel_size, stride=None,
                               padding=pool_padding)


def torch_min_pool(F, x, **window):
    return -torch_max_pool(F, -x, **window)


def torch_avg_pool(F, x, **window):
    ones = x.detach() * 0 + 1
    return _pooled(F, "avg_pool", x, **window, value=0.0) / _pooled(F, "avg_pool", ones, **window, value=0.0)


def torch_upsample(F, x, scale):
    return last(F.interpolate(first(x), scale_factor=scale))


def torch_lstm(F, x, w, u, b, return_sequences):
    import torch

    layer = torch.nn.LSTM(x.shape[2], len(u), batch_first=True).double()
    weights = {"weight_ih_l0": w.T, "weight_hh_l0": u.T, "bias_ih_l0": b, "bias_hh_l0": 0 * b.detach()}
    h, _ = torch.func.functional_call(layer, weights, (x,))
    return h if return_sequences else h[:, -1]


def by_layer(weights):
    return [weights[first:first + 3] for first in range(0, len(weights), 3)]


def torch_lstm_stack(F, x, *weights):
    for w, u, b in by_layer(weights):
        x = torch_lstm(F, x, w, u, b, return_sequences=True)
    return x


def torch_loss(name):
    def loss(F, x, target):
        return getattr(F, name)(x, x.new_tensor(target))
    return loss


def torch_cross_entropy(F, x, labels):
    labels = x.new_tensor(labels)
    return F.cross_entropy(x, labels if labels.ndim == 2 else labels.long())


# ---- the comparison ---------------------------------------------------------------------------------------------

SLOPE = st.floats(-1, 2, width=16)

CASES = {     # examples, what is drawn, ours, PyTorch's, kinds of values
    "conv2d": (60, conv(2), ops.conv2d, torch_conv),
    "conv1d": (40, conv(1), ops.conv1d, torch_conv),
    "conv2d_relu_max_pool2d": (40, conv_pool(), ops.conv2d_relu_max_pool2d, torch_conv_pool),
    "max_pool2d": (40, pool(2), ops.max_pool2d, torch_max_pool, *ANY_VALUES),
    "relu_max_pool2d": (30, pool(2), ops.relu_max_pool2d, torch_relu_max_pool, *ANY_VALUES),
    "min_pool2d": (30, pool(2), ops.min_pool2d, torch_min_pool, *ANY_VALUES),
    "avg_pool2d": (30, pool(2), ops.avg_pool2d, torch_avg_pool),
    "max_pool1d": (30, pool(1), ops.max_pool1d, torch_max_pool, *ANY_VALUES),
    "relu_max_pool1d": (20, pool(1), ops.relu_max_pool1d, torch_relu_max_pool, *ANY_VALUES),
    "avg_pool1d": (20, pool(1), ops.avg_pool1d, torch_avg_pool),
    "upsample2d": (20, upsample(), ops.upsample2d, torch_upsample),
    "linear": (25, linear(), ops.linear, lambda F, x, w, b=None: F.linear(x, w.T, b)),
    "lstm": (20, lstm(), ops.lstm, torch_lstm),
    "lstm_stack": (20, lstm_stack(), lambda x, *weights: ops.lstm_stack(x, by_layer(weights)), torch_lstm_stack),
    "relu": (15, elementwise(), ops.relu, lambda F, x: F.relu(x), *ANY_VALUES),
    "leaky_relu": (15, elementwise(slope=SLOPE), ops.leaky_relu, lambda F, x, slope: F.leaky_relu(x, slope),
                   *ANY_VALUES),
    "sigmoid": (15, elementwise(), ops.sigmoid, lambda F, x: F.sigmoid(x), "any", "large"),
    "tanh": (15, elementwise(), ops.tanh, lambda F, x: F.tanh(x), "any", "large"),
    "softmax": (20, elementwise(1), ops.softmax, lambda F, x: F.softmax(x, -1), "any", "ties", "large"),
    "log_softmax": (20, elementwise(1), ops.log_softmax, lambda F, x: F.log_softmax(x, -1), "any", "ties", "large"),
    "cross_entropy": (20, scores(soft=False), ops.cross_entropy, torch_cross_entropy, "any", "ties", "large"),
    "cross_entropy, soft": (20, scores(soft=True), ops.cross_entropy, torch_cross_entropy, "any", "ties"),
    "mse_loss": (15, targets(-2, 2), ops.mse_loss, torch_loss("mse_loss"), "any", "ties"),
    "binary_cross_entropy": (15, targets(0, 1), ops.binary_cross_entropy, torch_loss("binary_cross_entropy"),
                             "probabilities"),
}


@pytest.mark.parametrize("name", CASES)
def test_parity(torch, device, name):
    examples, case, ours, theirs, *values = CASES[name]

    def on_device(*x, **options):
        options = {key: Tensor(value, device=device) if isinstance(value, np.ndarray) else value
                   for key, value in options.items()}
        return ours(*x, **options)

    @search(examples)
    @hypothesis.given(st.data())
    def compare(data):
        compare_case(torch, device, data, case, on_device,
                     lambda *x, **options: theirs(torch.nn.functional, *x, **options), values or ["any"])

    compare()


@st.composite
def normalised(draw):
    """A batch that has at least two values a channel, so that a variance exists."""
    shape = draw(st.lists(integers(1, 4), min_size=2, max_size=4).filter(lambda s: np.prod(s[:-1]) > 1))
    momentum, eps = draw(st.floats(0, 1, width=16)), draw(one_of(1e-5, 1e-3))
    return [tuple(shape), (shape[-1],), (shape[-1],)], {"momentum": momentum, "eps": eps}


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(torch, device, training):
    """Also the running statistics, before and after."""

    @search(40)
    @hypothesis.given(st.data())
    def compare(data):
        statistics = []

        def ours(x, gamma, beta, momentum, eps):
            kept = [Tensor(np.linspace(low, 2, x.shape[-1]), device=device) for low in (-1, 0.5)]
            statistics.append([s.array for s in kept])
            return ops.batch_norm(x, gamma, beta, *kept, training, momentum, eps)

        def theirs(x, gamma, beta, momentum, eps):
            kept = [torch.tensor(np.linspace(low, 2, x.shape[-1])) for low in (-1, 0.5)]
            statistics.append(kept)
            return last(torch.nn.functional.batch_norm(first(x), *kept, gamma, beta, training, momentum, eps))

        compare_case(torch, device, data, normalised(), ours, theirs, ["any", "ties", "large"])
        for mine, expected in zip(*statistics):
            np.testing.assert_allclose(Tensor(mine).cpu().numpy(), expected.numpy(), rtol=1e-12)

    compare()
