"""The operations that call kernels: each against PyTorch and central differences."""
import warnings

import numpy as np
import pytest
from opcheck import check_op, compare_with_torch, random_arrays, stays_float32

import nanoemo
from nanoemo import Tensor, gradcheck, ops


def first(x):
    """Channels last to PyTorch's channels first."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def torch_conv2d(F, x, w, b=None, **options):
    return last(F.conv2d(first(x), w.permute(3, 2, 0, 1), b, **options))


def torch_conv1d(F, x, w, b=None, **options):
    return last(F.conv1d(first(x), w.permute(2, 1, 0), b, **options))


def torch_conv2d_relu_max_pool2d(F, x, w, b=None, kernel_size=2, **options):
    return last(F.max_pool2d(first(F.relu(torch_conv2d(F, x, w, b, **options))), kernel_size))


def torch_pool_same(F, pool, x, size, fill):
    """Pooling with an odd cell of padding at the end, as TensorFlow has it: size 2, odd input."""
    return last(pool(F.pad(first(x), (0, 1) * (x.ndim - 2), value=fill), size))


CASES = {     # shapes of the inputs, ours, PyTorch's
    "conv2d": ([(2, 5, 6, 3), (3, 3, 3, 4), (4,)], ops.conv2d, torch_conv2d),
    "conv2d without bias": ([(2, 5, 5, 2), (3, 2, 2, 3)], ops.conv2d, torch_conv2d),
    "conv2d same": ([(2, 5, 4, 2), (3, 3, 2, 3), (3,)], lambda x, w, b: ops.conv2d(x, w, b, padding="same"),
                    lambda F, *x: torch_conv2d(F, *x, padding="same")),
    "conv2d stride, padding": ([(1, 7, 6, 2), (5, 3, 2, 3), (3,)],
                               lambda x, w, b: ops.conv2d(x, w, b, (2, 3), (2, 1)),
                               lambda F, *x: torch_conv2d(F, *x, stride=(2, 3), padding=(2, 1))),
    "conv2d 1x1": ([(2, 3, 3, 3), (1, 1, 3, 2), (2,)], ops.conv2d, torch_conv2d),
    "conv2d window = image": ([(2, 3, 4, 2), (3, 4, 2, 5), (5,)], ops.conv2d, torch_conv2d),
    "conv2d stride > window": ([(2, 7, 7, 1), (2, 2, 1, 2), (2,)], lambda x, w, b: ops.conv2d(x, w, b, 3),
                               lambda F, *x: torch_conv2d(F, *x, stride=3)),
    "conv1d": ([(2, 9, 3), (5, 3, 4), (4,)], ops.conv1d, torch_conv1d),
    "conv1d same": ([(2, 8, 1), (5, 1, 3), (3,)], lambda x, w, b: ops.conv1d(x, w, b, padding="same"),
                    lambda F, *x: torch_conv1d(F, *x, padding="same")),
    "conv1d stride": ([(1, 9, 2), (3, 2, 2), (2,)], lambda x, w, b: ops.conv1d(x, w, b, 2, 1),
                      lambda F, *x: torch_conv1d(F, *x, stride=2, padding=1)),
    "max_pool2d": ([(2, 6, 5, 3)], lambda x: ops.max_pool2d(x, 2),
                   lambda F, x: last(F.max_pool2d(first(x), 2))),
    "max_pool2d overlapping": ([(2, 6, 7, 2)], lambda x: ops.max_pool2d(x, 3, 2, 1),
                               lambda F, x: last(F.max_pool2d(first(x), 3, 2, 1))),
    "max_pool2d pair": ([(2, 6, 5, 2)], lambda x: ops.max_pool2d(x, (2, 1)),
                        lambda F, x: last(F.max_pool2d(first(x), (2, 1)))),
    "max_pool2d same": ([(2, 5, 3, 2)], lambda x: ops.max_pool2d(x, 2, padding="same"),
                        lambda F, x: torch_pool_same(F, F.max_pool2d, x, 2, -np.inf)),
    "min_pool2d": ([(2, 6, 6, 2)], lambda x: ops.min_pool2d(x, 3, 2),
                   lambda F, x: -last(F.max_pool2d(first(-x), 3, 2))),
    "avg_pool2d": ([(2, 6, 6, 3)], lambda x: ops.avg_pool2d(x, 3, 2),
                   lambda F, x: last(F.avg_pool2d(first(x), 3, 2))),
    "avg_pool2d padded": ([(1, 5, 5, 2)], lambda x: ops.avg_pool2d(x, 3, 2, 1),
                          lambda F, x: last(F.avg_pool2d(first(x), 3, 2, 1, count_include_pad=False))),
    "max_pool1d": ([(2, 9, 3)], lambda x: ops.max_pool1d(x, 5, 2, 2),
                   lambda F, x: last(F.max_pool1d(first(x), 5, 2, 2))),
    "max_pool1d same": ([(2, 9, 3)], lambda x: ops.max_pool1d(x, 2, 2, "same"),
                        lambda F, x: torch_pool_same(F, F.max_pool1d, x, 2, -np.inf)),
    "avg_pool1d": ([(2, 8, 3)], lambda x: ops.avg_pool1d(x, 4), lambda F, x: last(F.avg_pool1d(first(x), 4))),
    "relu_max_pool2d": ([(2, 6, 7, 2)], lambda x: ops.relu_max_pool2d(x, 3, 2, 1),
                        lambda F, x: last(F.max_pool2d(first(F.relu(x)), 3, 2, 1))),
    "relu_max_pool2d window = image": ([(2, 3, 4, 2)], lambda x: ops.relu_max_pool2d(x, (3, 4)),
                                       lambda F, x: last(F.max_pool2d(first(F.relu(x)), (3, 4)))),
    "relu_max_pool1d": ([(2, 9, 3)], lambda x: ops.relu_max_pool1d(x, 5, 2, 2),
                        lambda F, x: last(F.max_pool1d(first(F.relu(x)), 5, 2, 2))),
    "conv2d_relu_max_pool2d": ([(2, 7, 6, 2), (3, 3, 2, 4), (4,)], ops.conv2d_relu_max_pool2d,
                               lambda F, *x: torch_conv2d_relu_max_pool2d(F, *x)),
    "conv2d_relu_max_pool2d 1x1": ([(2, 4, 4, 3), (1, 1, 3, 2)], lambda x, w: ops.conv2d_relu_max_pool2d(x, w, kernel_size=1),
                                   lambda F, x, w: torch_conv2d_relu_max_pool2d(F, x, w, kernel_size=1)),
    "conv2d_relu_max_pool2d window = image": ([(1, 3, 4, 2), (3, 4, 2, 5), (5,)],
                                              lambda *x: ops.conv2d_relu_max_pool2d(*x, kernel_size=1),
                                              lambda F, *x: torch_conv2d_relu_max_pool2d(F, *x, kernel_size=1)),
    "conv2d_relu_max_pool2d stride > window": ([(2, 11, 11, 1), (2, 2, 1, 2), (2,)],
                                               lambda *x: ops.conv2d_relu_max_pool2d(*x, stride=3),
                                               lambda F, *x: torch_conv2d_relu_max_pool2d(F, *x, stride=3)),
    "upsample2d": ([(2, 3, 2, 4)], lambda x: ops.upsample2d(x, 2),
                   lambda F, x: last(F.interpolate(first(x), scale_factor=2))),
    "linear": ([(3, 4), (4, 2), (2,)], ops.linear, lambda F, x, w, b: F.linear(x, w.T, b)),
    "linear without bias": ([(1, 4), (4, 2)], ops.linear, lambda F, x, w: F.linear(x, w.T)),
    "linear over sequences": ([(2, 3, 4), (4, 2), (2,)], ops.linear, lambda F, x, w, b: F.linear(x, w.T, b)),
    "relu": ([(3, 5)], ops.relu, lambda F, x: F.relu(x)),
    "leaky_relu": ([(3, 5)], lambda x: ops.leaky_relu(x, 0.2), lambda F, x: F.leaky_relu(x, 0.2)),
    "sigmoid": ([(3, 5)], ops.sigmoid, lambda F, x: F.sigmoid(x)),
    "tanh": ([(3, 5)], ops.tanh, lambda F, x: F.tanh(x)),
    "softmax": ([(3, 5)], ops.softmax, lambda F, x: F.softmax(x, -1)),
    "softmax of columns": ([(3, 5)], lambda x: ops.softmax(x, axis=0), lambda F, x: F.softmax(x, 0)),
    "log_softmax in between": ([(2, 3, 5, 4)], lambda x: x.log_softmax(axis=-3), lambda F, x: F.log_softmax(x, 1)),
    "log_softmax": ([(2, 3, 5)], ops.log_softmax, lambda F, x: F.log_softmax(x, -1)),
    "cross_entropy": ([(4, 7)], lambda x: ops.cross_entropy(x, [0, 6, 3, 3]),
                      lambda F, x: F.cross_entropy(x, x.new_tensor([0, 6, 3, 3]).long())),
    "mse_loss": ([(3, 4)], lambda x: ops.mse_loss(x, 0.5 + 0 * x.detach()),
                 lambda F, x: F.mse_loss(x, 0.5 + 0 * x.detach())),
}


@pytest.mark.parametrize("case", CASES)
def test_against_torch(torch, device, case):
    shapes, ours, theirs = CASES[case]
    check_op(torch, device, shapes, ours, lambda *x: theirs(torch.nn.functional, *x))


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3), (2, 4, 3, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(torch, device, shape, training):
    mean, var = random_arrays([(3,), (3,)], 0.5, 2.0, seed=2)

    def ours(x, gamma, beta):
        stats = [Tensor(s.copy(), dtype=x.dtype, device=device) for s in (mean, var)]
        return ops.batch_norm(x, gamma, beta, *stats, training)

    def theirs(x, gamma, beta):
        stats = [torch.tensor(s) for s in (mean, var)]
        return last(torch.nn.functional.batch_norm(first(x), *stats, gamma, beta, training))

    check_op(torch, device, [shape, (3,), (3,)], ours, theirs)


def test_batch_norm_moves_the_running_statistics_as_torch_does(torch, device):
    x, = random_arrays([(2, 4, 4, 3)])
    mean, var = (Tensor(np.full(3, value), device=device) for value in (0.0, 1.0))
    expected_mean, expected_var = torch.zeros(3).double(), torch.ones(3).double()
    one, zero = (Tensor(np.full(3, value), device=device) for value in (1.0, 0.0))
    ops.batch_norm(Tensor(x, device=device), one, zero, mean, var, training=True, momentum=0.3)
    torch.nn.functional.batch_norm(first(torch.tensor(x)), expected_mean, expected_var, training=True,
                                   momentum=0.3)
    np.testing.assert_allclose(mean.cpu().numpy(), expected_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(var.cpu().numpy(), expected_var.numpy(), rtol=1e-12)


def test_cross_entropy_of_probabilities(torch, device):
    target = np.abs(random_arrays([(4, 7)], seed=3)[0])
    target /= target.sum(axis=1, keepdims=True)

    def ours(x):
        return ops.cross_entropy(x, Tensor(target, dtype=x.dtype, device=device))

    check_op(torch, device, [(4, 7)], ours,
             lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(target)))


@pytest.mark.parametrize("soft", [False, True], ids=["labels", "probabilities"])
@pytest.mark.parametrize("weighted, smoothing", [(True, 0.0), (False, 0.3), (True, 0.3), (True, 1.0)])
def test_cross_entropy_with_class_weights_and_smoothed_labels(torch, device, soft, weighted, smoothing):
    labels = np.abs(random_arrays([(4, 7)], seed=3)[0]) if soft else np.array([0, 6, 3, 3])
    weight = np.array([0.5, 1, 0, 3, 1, 1, 2]) if weighted else None

    def ours(x):
        w = Tensor(weight, dtype=x.dtype, device=device) if weighted else None
        return ops.cross_entropy(x, Tensor(labels, device=device), w, smoothing)

    check_op(torch, device, [(4, 7)], ours, lambda x: torch.nn.functional.cross_entropy(
        x, torch.tensor(labels), torch.tensor(weight) if weighted else None, label_smoothing=smoothing))


def test_weighted_and_smoothed_cross_entropy_by_its_definition(rng):
    z, y, w, e = rng.normal(size=(5, 3)), np.array([0, 2, 2, 1, 0]), np.array([1.0, 0.5, 4.0]), 0.2
    total = 0.0
    for n in range(5):
        p = np.exp(z[n]) / np.exp(z[n]).sum()
        for k in range(3):
            target = (1 - e) * (k == y[n]) + e / 3
            total -= w[k] * target * np.log(p[k])
    assert ops.cross_entropy(Tensor(z), y, w, e).item() == pytest.approx(total / sum(w[y]), rel=1e-12)


def test_cross_entropy_with_weights_where_a_class_is_ruled_out(torch, device):
    z, weight, labels = np.array([[2, -np.inf, 1], [0.5, -np.inf, 1]]), np.array([1.0, 2.0, 3.0]), np.array([0, 2])
    x = Tensor(z, requires_grad=True, device=device)
    loss = ops.cross_entropy(x, Tensor(labels, device=device), Tensor(weight, device=device))
    loss.backward()
    theirs = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(theirs, torch.tensor(labels), torch.tensor(weight))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(x.grad.cpu().numpy(), theirs.grad.numpy(), atol=1e-15)


def test_weights_that_add_up_to_nothing_make_nan_without_a_warning():
    with warnings.catch_warnings(action="error"):
        assert np.isnan(ops.cross_entropy(Tensor(np.zeros((2, 3))), np.array([1, 1]), np.array([1.0, 0, 1])).item())


def test_a_label_that_is_no_class_stays_nan_with_weights_on_the_gpu(card):
    x, labels = Tensor(np.zeros((2, 3)), requires_grad=True, device="cuda"), Tensor(np.array([1, 3]), device="cuda")
    loss = ops.cross_entropy(x, labels, label_smoothing=0.1)
    loss.backward()
    assert np.isnan(loss.item())
    np.testing.assert_array_equal(np.isnan(x.grad.cpu().numpy()), [[False] * 3, [True] * 3])


@pytest.mark.parametrize("op", [
    lambda x: ops.mse_loss(x, x.detach() * 2), lambda x: ops.binary_cross_entropy(x, x.detach() * 0.5),
    lambda x: ops.dropout(x, 0.5, training=True), lambda x: ops.leaky_relu(x, 0.1), lambda x: x.sigmoid(), lambda x: x.tanh()],
    ids=["mse_loss", "binary_cross_entropy", "dropout", "leaky_relu", "sigmoid", "tanh"])
def test_a_tensor_without_axes_keeps_none(op, device):
    x = Tensor(0.25, device=device, requires_grad=True)
    y = op(x)
    y.backward()
    assert y.shape == x.grad.shape == () and y.dtype == x.grad.dtype == x.dtype


def test_binary_cross_entropy(torch, device):
    target = (random_arrays([(3, 4)], seed=4)[0] > 0).astype(float)

    def ours(p):
        return ops.binary_cross_entropy(p, Tensor(target, dtype=p.dtype, device=device))

    check_op(torch, device, [(3, 4)], ours,
             lambda p: torch.nn.functional.binary_cross_entropy(p, torch.tensor(target)), low=0.05, high=0.95)


@pytest.mark.parametrize("loss", [ops.mse_loss, ops.binary_cross_entropy])
def test_a_target_takes_the_dtype_of_the_prediction(rng, device, loss):
    values, target = rng.uniform(0, 1, (2, 3, 4))
    results = []
    for dtype in (np.float32, np.float64):
        x = Tensor(values.astype(np.float32), requires_grad=True, device=device)
        y = loss(x, Tensor(target.astype(np.float32).astype(dtype), device=device))
        y.backward()
        assert y.dtype == x.grad.dtype == np.float32
        results.append([y.item(), x.grad.cpu().numpy().tolist()])
    assert results[0] == results[1]


def test_dropout_scales_what_is_left_and_passes_gradients_there(device):
    x = Tensor(np.ones((50, 40)), requires_grad=True, device=device)
    nanoemo.manual_seed(0)
    y = ops.dropout(x, 0.25, training=True)
    y.sum().backward()
    values = y.cpu().numpy()
    assert sorted(set(values.ravel().round(12))) == [0.0, round(1 / 0.75, 12)]
    assert abs((values == 0).mean() - 0.25) < 0.05
    np.testing.assert_array_equal(x.grad.cpu().numpy(), values)
    stays_float32(device, [np.ones((5, 5))], lambda x: ops.dropout(x, 0.5, training=True))


def test_dropout_depends_on_the_seed_alone(device):
    x = Tensor(np.ones((20, 20), np.float32), device=device)

    def draw(seed):
        nanoemo.manual_seed(seed)
        return ops.dropout(x, 0.5, True).cpu().numpy(), ops.dropout(x, 0.5, True).cpu().numpy()

    again, other = draw(1), draw(2)
    np.testing.assert_array_equal(draw(1)[0], again[0])
    assert (again[0] != again[1]).any() and (again[0] != other[0]).any()


def test_dropout_gradient_with_the_seed_held(device):
    def fn(x):
        nanoemo.manual_seed(5)
        return ops.dropout(x, 0.5, True) * x
    assert gradcheck(fn, [Tensor(random_arrays([(4, 4)])[0], requires_grad=True, device=device)])


def test_max_pool_of_negative_values_ignores_padding(torch, device):
    x = -np.abs(random_arrays([(1, 5, 5, 2)])[0]) - 1
    compare_with_torch(torch, device, [x], lambda x: ops.max_pool2d(x, 3, 2, 1),
                       lambda x: last(torch.nn.functional.max_pool2d(first(x), 3, 2, 1)))


def test_extreme_logits_stay_finite(device):
    x = Tensor(np.array([[1000.0, -1000.0], [0.0, 1e30]], np.float32), requires_grad=True, device=device)
    loss = ops.cross_entropy(x, [0, 1])
    loss.backward()
    assert loss.item() == 0 and np.isfinite(x.grad.cpu().numpy()).all()
    assert ops.sigmoid(x).cpu().numpy().tolist() == [[1.0, 0.0], [0.5, 1.0]]


def image(*shape):
    return Tensor(np.ones(shape, np.float32))


@pytest.mark.parametrize("call, error, message", [
    (lambda: ops.conv2d(image(2, 8, 8, 3), image(3, 3, 1, 4)), ValueError, "conv2d: x has 3 channels .* 1"),
    (lambda: ops.conv2d(image(8, 8, 3), image(3, 3, 3, 4)), ValueError, "conv2d"),
    (lambda: ops.conv2d(image(1, 2, 2, 3), image(3, 3, 3, 4)), ValueError, "conv2d"),
    (lambda: ops.conv2d(image(1, 4, 4, 3), image(3, 3, 3, 4), image(5)), ValueError, "conv2d"),
    (lambda: ops.conv2d(image(1, 4, 4, 3), image(3, 3, 3, 4), padding="full"), ValueError, "padding"),
    (lambda: ops.conv2d(np.ones((1, 4, 4, 3)), image(3, 3, 3, 4)), TypeError, "conv2d: x must be a Tensor"),
    (lambda: ops.conv2d(image(1, 4, 4, 3), Tensor(np.ones((3, 3, 3, 4)))), TypeError, "w is float64"),
    (lambda: ops.conv1d(image(1, 9, 2), image(3, 1, 4)), ValueError, "conv1d: x has 2 channels"),
    (lambda: ops.max_pool2d(image(1, 2, 2, 1), 3), ValueError, "max_pool2d"),
    (lambda: ops.max_pool2d(image(4, 4, 1), 2), ValueError, "max_pool2d"),
    (lambda: ops.linear(image(2, 3), image(4, 2)), ValueError, "linear"),
    (lambda: ops.lstm(image(2, 3), image(3, 16), image(4, 16), image(16)), ValueError, "lstm"),
    (lambda: ops.dropout(image(2), 1.0, True), ValueError, "dropout: p must be at least 0 and below 1"),
    (lambda: ops.batch_norm(image(1, 3), *[image(3)] * 4, training=True), ValueError, "batch_norm"),
    (lambda: ops.batch_norm(image(4, 3), *[image(2)] * 4, training=True), ValueError, "batch_norm"),
    (lambda: ops.cross_entropy(image(2, 7), [0, 7]), ValueError, "cross_entropy: .*7"),
    (lambda: ops.cross_entropy(image(2, 7), [0, 7], label_smoothing=0.1), ValueError, "label 7 in row 1 is not one"),
    (lambda: ops.cross_entropy(image(2, 7), [0, 6], [1.0, 2.0]), ValueError, r"weight must be \(7,\), .* got shape \(2,\)"),
    (lambda: ops.cross_entropy(image(2, 7), [0, 6], label_smoothing=1.5), ValueError, "label_smoothing must lie in 0 … 1"),
    (lambda: ops.cross_entropy(image(7), [0], label_smoothing=0.1), ValueError, r"logits must be \(batch, classes\)"),
    (lambda: ops.mse_loss(image(2), Tensor([1.0, 2.0], requires_grad=True)), RuntimeError, "mse_loss: the target requires"),
    (lambda: ops.cross_entropy(image(2, 7), [0]), ValueError, "cross_entropy"),
    (lambda: ops.cross_entropy(image(2, 7), [0.5, 1.0]), (TypeError, ValueError), "cross_entropy"),
    (lambda: ops.mse_loss(image(2, 3), image(3, 2)), ValueError, "mse_loss"),
    (lambda: ops.binary_cross_entropy(image(2, 3), image(3, 2)), ValueError, "binary_cross_entropy"),
    (lambda: ops.upsample2d(image(4, 4, 1), 2), ValueError, "upsample2d"),
])
def test_errors_name_the_operation_and_what_was_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Elsewhere(Tensor):
    """A tensor that says it is on the other device, for machines that have one device."""
    __slots__ = ()
    device = "cuda"


def test_mixed_devices_are_refused_with_the_remedy():
    w = Elsewhere(np.ones((3, 2), np.float32), device="cpu")
    with pytest.raises(RuntimeError, match=r"linear: x is on 'cpu', w is on 'cuda'; move .*\.to\('cuda'\)"):
        ops.linear(image(2, 3), w)
    with pytest.raises(RuntimeError, match="matmul: left is on 'cpu', right is on 'cuda'"):
        image(2, 3) @ w
