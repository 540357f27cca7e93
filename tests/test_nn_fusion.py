"""ReLU and max pooling in one operation give, to the last bit, what they give one after the other."""
import numpy as np
import pytest

from nanoemo import Tensor, detect_anomaly, kernels, nn, ops


@pytest.mark.parametrize("shape,kernel,stride,padding", [((2, 8, 8, 3), 2, None, "valid"), ((1, 7, 7, 2), 3, 2, "same"),
                                                        ((2, 5, 5, 4), 2, 1, "valid")])
def test_same_bits_either_way(rng, device, shape, kernel, stride, padding):
    values = rng.standard_normal(shape).astype(np.float32)
    values[0, :3, :3] = -1          # windows with nothing positive
    values[-1, 3:, 3:] = 0.5        # and with ties
    values[0, 4, 4] = np.nan
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(kernel, stride, padding))
    x, plain_x = (Tensor(values.copy(), requires_grad=True, device=device) for _ in range(2))
    y = model(x)
    plain = ops.max_pool2d(ops.relu(plain_x), kernel, stride, padding)
    weights = Tensor(rng.standard_normal(y.shape).astype(np.float32), device=device)
    y.backward(weights)
    plain.backward(weights)
    np.testing.assert_array_equal(y.cpu().numpy(), plain.cpu().numpy())
    np.testing.assert_array_equal(x.grad.cpu().numpy(), plain_x.grad.cpu().numpy())


def test_whoever_looks_on_sees_the_layers_in_their_order(rng):
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    seen = []
    with nn.watch(lambda module, output: seen.append(type(module).__name__)):
        model(Tensor(rng.standard_normal((1, 4, 4, 1)).astype(np.float32)))
    assert seen == ["ReLU", "MaxPool2d", "Sequential"]


def test_kernels_put_in_their_place_are_used(rng):
    """Who replaces one of the two kernels sees it called."""
    called = []

    def relu_forward(x):
        called.append(x.shape)
        return np.maximum(x, 0), x

    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    x = Tensor(rng.standard_normal((1, 4, 4, 1)).astype(np.float32))
    expected = model(x).numpy()
    with kernels.override(relu_forward=relu_forward):
        np.testing.assert_array_equal(model(x).numpy(), expected)
    assert called == [(1, 4, 4, 1)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_forward_put_in_its_place_is_used(rng, place):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
    x = Tensor(rng.standard_normal((1, 6, 6, 1)).astype(np.float32))
    expected, own, called = model(x).numpy(), model[place].forward, []

    def spy(x):
        called.append(x.shape)
        return own(x)

    model[place].forward = spy
    np.testing.assert_allclose(model(x).numpy(), expected, atol=1e-6)
    assert len(called) == 1


def test_an_anomaly_is_found_where_it_is_made(rng):
    """Behind the ReLU nothing would be seen of a −inf."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
    model[0].bias.data[0] = -np.inf
    with detect_anomaly(), pytest.raises(FloatingPointError, match="^conv2d: the output"):
        model(Tensor(rng.standard_normal((1, 6, 6, 1)).astype(np.float32)))


@pytest.mark.parametrize("shape,kernel,stride,padding", [((2, 8, 8, 3), 2, None, "valid"), ((1, 1, 1, 1), 1, None, "valid"),
                                                        ((2, 7, 5, 2), 3, 2, "same"), ((1, 5, 5, 2), 2, 3, "valid")])
def test_kernel_equals_its_definition(rng, shape, kernel, stride, padding):
    from nanoemo.kernels import pool
    x = rng.standard_normal(shape).astype(np.float32) - 0.5
    y, cache = pool.relu_max_pool2d_forward(x, kernel, stride, padding)
    expected, plain_cache = pool.relu_max_pool2d_forward_plain(x, kernel, stride, padding)
    np.testing.assert_array_equal(y, expected)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = pool.relu_max_pool2d_backward(dy, cache)
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_allclose(dx, pool.relu_max_pool2d_backward_plain(dy, plain_cache), atol=1e-6)


@pytest.mark.parametrize("steps,kernel,stride,padding", [(162, 5, 2, "same"), (1, 1, None, "valid"), (7, 7, None, "valid"),
                                                         (9, 2, 3, "valid")])
def test_relu_and_pooling_of_sequences(rng, device, steps, kernel, stride, padding):
    """In one go: the same bits as one by one, forward and backward, all-negative windows among them."""
    model = nn.Sequential(nn.ReLU(), nn.MaxPool1d(kernel, stride, padding)).to(device)
    values = rng.standard_normal((3, steps, 4)).astype(np.float32)
    values[0] = -np.abs(values[0])
    results = []
    for forward in (model, lambda x: model[1](model[0](x))):
        x = Tensor(values, requires_grad=True, device=device)
        y = forward(x)
        y.backward(Tensor(np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape), device=device))
        results.append((y.node.name, y.cpu().numpy(), x.grad.cpu().numpy()))
    assert [name for name, _, _ in results] == ["relu_max_pool1d", "max_pool1d"]
    for fused, one_by_one in zip(results[0][1:], results[1][1:]):
        np.testing.assert_array_equal(fused, one_by_one)


# (N, H, W, C), window, channels out, stride, padding, pool and its padding; rows left over and rows padded
CONVOLUTIONS = [((3, 12, 11, 1), 3, 8, 1, "valid", 2, "valid"), ((2, 9, 9, 2), 3, 4, 1, "same", 2, "valid"),
                ((2, 8, 8, 16), 3, 16, 1, "same", 2, "valid"), ((2, 11, 9, 16), 3, 16, 1, "valid", 2, "valid"),
                ((1, 7, 9, 3), (2, 3), 5, 2, 1, (2, 1), "valid"),
                ((2, 5, 5, 1), 5, 3, 1, "valid", 1, "valid"), ((2, 13, 10, 1), 5, 4, 1, "same", 3, "valid"),
                ((2, 8, 6, 1), 3, 4, 1, "same", 2, "same"), ((2, 9, 8, 1), 3, 4, 1, "same", 2, "same"),
                ((1, 8, 8, 2), 3, 4, 1, "same", (3, 2), (1, 0))]


@pytest.mark.parametrize("needs_dx", [False, True])
@pytest.mark.parametrize("shape,window,out,stride,padding,pool,around", CONVOLUTIONS)
def test_convolution_relu_pooling(rng, device, monkeypatch, shape, window, out, stride, padding, pool, around, needs_dx):
    monkeypatch.setattr("nanoemo.kernels.conv_pool.BLOCK_BYTES", 4000)
    model = nn.Sequential(nn.Conv2d(shape[3], out, window, stride, padding), nn.ReLU(),
                          nn.MaxPool2d(pool, padding=around)).to(device)
    images = rng.standard_normal(shape).astype(np.float32)
    results = []
    for forward in (model, lambda x: model[2](ops.relu(model[0](x)))):
        x = Tensor(images, requires_grad=needs_dx, device=device)
        model.zero_grad()
        y = forward(x)
        y.backward(Tensor(np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape), device=device))
        results.append([y, *(p.grad for p in model.parameters()), *([x.grad] if needs_dx else [])])
    for fused, plain in zip(*results):
        np.testing.assert_allclose(fused.cpu().numpy(), plain.cpu().numpy(), atol=2e-5)


@pytest.mark.parametrize("shape,window,out,stride,padding,pool,around", CONVOLUTIONS)
@pytest.mark.parametrize("tiles", [False, True])
def test_convolution_relu_pooling_equals_its_definition(rng, request, shape, window, out, stride, padding, pool, around, tiles):
    from nanoemo.kernels import conv_pool
    if tiles:
        request.getfixturevalue("whatever_it_saves")
    kh, kw = (window, window) if isinstance(window, int) else window
    arrays = rng.standard_normal(shape), rng.standard_normal((kh, kw, shape[3], out)), rng.standard_normal(out)
    y, cache = conv_pool.conv2d_relu_max_pool2d_forward(*arrays, stride, padding, pool, around)
    expected, plain_cache = conv_pool.conv2d_relu_max_pool2d_forward_plain(*arrays, stride, padding, pool, around)
    np.testing.assert_allclose(y, expected, atol=1e-11)
    dy = rng.standard_normal(y.shape)
    for needs in ((True, True, True), (False, True, True)):
        got = conv_pool.conv2d_relu_max_pool2d_backward(dy, cache, needs)
        wanted = conv_pool.conv2d_relu_max_pool2d_backward_plain(dy, plain_cache, needs)
        for a, b in zip(got, wanted):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("pool", [2, (16, 16), (15, 17), (17, 17)])
@pytest.mark.parametrize("bias", [True, False])
def test_in_one_go_each_gradient_alone(rng, monkeypatch, pool, bias):
    """Few channels and no dx; windows of up to 289 places, which a byte does not tell apart; a bias that is not there."""
    from nanoemo.kernels import conv_pool
    monkeypatch.setattr(conv_pool, "conv2d_forward", None)          # it is not called
    monkeypatch.setattr(conv_pool, "conv2d_backward", None)
    x, w, b = rng.standard_normal((2, 36, 36, 1)), rng.standard_normal((3, 3, 1, 4)), rng.standard_normal(4) if bias else None
    y, cache = conv_pool.conv2d_relu_max_pool2d_forward(x, w, b, 1, "same", pool)
    expected, plain_cache = conv_pool.conv2d_relu_max_pool2d_forward_plain(x, w, b, 1, "same", pool)
    np.testing.assert_allclose(y, expected, atol=1e-11)
    dy = rng.standard_normal(y.shape)
    wanted = conv_pool.conv2d_relu_max_pool2d_backward_plain(dy, plain_cache)
    for needs in ((False, True, True), (False, True, False), (False, False, True)):
        got = conv_pool.conv2d_relu_max_pool2d_backward(dy, cache, needs)
        for gradient, expected, need in zip(got, wanted, needs):
            assert (gradient is not None) == (need and expected is not None)
            if gradient is not None:
                np.testing.assert_allclose(gradient, expected, atol=1e-10)


def test_overlapping_pools_after_a_convolution_are_computed_with_their_stride():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2))
    x = Tensor(np.random.default_rng(0).random((2, 9, 9, 1)))
    model.to(dtype="float64")
    expected = x
    for layer in model:
        expected = layer(expected)
    assert expected.shape == (2, 3, 3, 2)
    np.testing.assert_allclose(model(x).numpy(), expected.numpy(), rtol=1e-12)
