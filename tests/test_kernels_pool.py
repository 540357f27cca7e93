"""Pooling kernels: the definition, the fast version, and PyTorch say the same."""
import numpy as np
import pytest

from nanoemo.kernels import pool

# (N, H, W, C), kernel, stride, padding
CASES = [
    ((1, 1, 1, 3), 1, None, "valid"),
    ((2, 5, 7, 3), 2, None, "valid"),               # a row and a column left over
    ((2, 5, 7, 3), 2, None, "same"),                # … and padded
    ((1, 7, 6, 2), 3, 2, "same"),                   # overlapping
    ((1, 8, 11, 2), 3, 1, "same"),
    ((2, 6, 6, 1), (2, 3), (3, 1), 1),
    ((3, 4, 5, 2), (4, 5), None, "valid"),          # the window is the whole input
    ((1, 9, 9, 2), 2, 3, "valid"),                  # stride larger than the window
    ((1, 5, 5, 2), 2, 5, "same"),
    ((2, 9, 4, 1), (2, 1), None, "same"),
    ((1, 5, 5, 2), 5, 2, (2, 1)),
    ((1, 20, 20, 1), 18, 1, "valid"),               # more than 256 places in a window
]
KINDS = ["max_pool2d", "min_pool2d", "avg_pool2d"]


def kernel(kind, part):
    return getattr(pool, f"{kind}_{part}")


def images(rng, shape, ties):
    """All values negative, so that padding with 0 would show; whole numbers where ties are wanted."""
    x = -rng.uniform(1, 4, shape)
    return np.round(x) if ties else x


@pytest.mark.parametrize("shape,size,stride,padding", CASES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ties", [False, True])
def test_fast_equals_definition(rng, kind, shape, size, stride, padding, ties):
    x = images(rng, shape, ties)
    expected, plain_cache = kernel(kind, "forward_plain")(x, size, stride, padding)
    y, cache = kernel(kind, "forward")(x, size, stride, padding)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    dy = rng.standard_normal(y.shape)
    dx = kernel(kind, "backward")(dy, cache)
    assert dx.shape == x.shape
    np.testing.assert_allclose(dx, kernel(kind, "backward_plain")(dy, plain_cache), rtol=1e-12, atol=1e-14)


def torch_pool(torch, kind, x, cache_axes):
    """PyTorch's pooling of x (N, H, W, C), padded by hand as the kernel resolved it."""
    functional = torch.nn.functional
    x = x.permute(0, 3, 1, 2)
    (rows, columns), sign = cache_axes, -1 if kind == "min_pool2d" else 1
    pads = (*columns.pads, *rows.pads)
    sizes, strides = (rows.kernel, columns.kernel), (rows.stride, columns.stride)
    if kind == "avg_pool2d":
        cells = rows.kernel * columns.kernel
        total = functional.avg_pool2d(functional.pad(x, pads), sizes, strides) * cells
        real = functional.avg_pool2d(functional.pad(torch.ones_like(x), pads), sizes, strides) * cells
        y = total / real.round()
    else:
        y = sign * functional.max_pool2d(functional.pad(sign * x, pads, value=-np.inf), sizes, strides)
    return y.permute(0, 2, 3, 1)


def axes_of(cache):
    return cache[1] if hasattr(cache[1], "__len__") else cache


@pytest.mark.parametrize("shape,size,stride,padding", CASES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ties", [False, True])
def test_pytorch_says_the_same(rng, torch, kind, shape, size, stride, padding, ties):
    x = images(rng, shape, ties)
    y, cache = kernel(kind, "forward")(x, size, stride, padding)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch_pool(torch, kind, tx, axes_of(cache))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12)
    dy = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(kernel(kind, "backward")(dy, cache), tx.grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", ["max_pool1d", "relu_max_pool1d", "avg_pool1d"])
@pytest.mark.parametrize("steps,size,stride,padding", [
    (162, 5, 2, "same"), (41, 5, 2, "same"), (7, 7, None, "valid"), (1, 1, None, "valid"), (9, 2, 3, "valid"),
    (8, 3, 1, (1, 0)),
])
def test_sequences(rng, kind, steps, size, stride, padding):
    x = images(rng, (2, steps, 3), ties=False)
    x[1, ::2] *= -1                                 # the first sequence stays negative
    y, cache = kernel(kind, "forward")(x, size, stride, padding)
    expected, plain_cache = kernel(kind, "forward_plain")(x, size, stride, padding)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    dy = rng.standard_normal(y.shape)
    dx = kernel(kind, "backward")(dy, cache)
    np.testing.assert_allclose(dx, kernel(kind, "backward_plain")(dy, plain_cache), rtol=1e-12, atol=1e-14)


def test_same_padding_halves_and_rounds_up():
    lengths = [162]
    while lengths[-1] > 11:
        y, _ = pool.max_pool1d_forward(np.zeros((1, lengths[-1], 1)), 5, 2, "same")
        lengths.append(y.shape[1])
    assert lengths == [162, 81, 41, 21, 11]


@pytest.mark.parametrize("kind", KINDS + ["max_pool1d", "avg_pool1d"])
def test_float32_stays_float32(rng, kind):
    shape = (2, 5, 5, 3) if kind.endswith("2d") else (2, 5, 3)
    y, cache = kernel(kind, "forward")(rng.standard_normal(shape, dtype=np.float32), 2, 2, "same")
    assert y.dtype == np.float32
    assert kernel(kind, "backward")(np.ones_like(y), cache).dtype == np.float32


def test_of_equal_cells_the_first_in_row_major_order_gets_the_gradient():
    x = np.array([[0.0, 5.0], [5.0, 5.0]]).reshape(1, 2, 2, 1)
    _, cache = pool.max_pool2d_forward(x, 2)
    dx = pool.max_pool2d_backward(np.full((1, 1, 1, 1), 3.0), cache)
    assert dx[0, :, :, 0].tolist() == [[0, 3], [0, 0]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_nan_reaches_the_output(kind, where):
    x = np.zeros((1, 2, 4, 1))
    x[0, where[0], where[1], 0] = np.nan
    y, _ = kernel(kind, "forward")(x, 2)
    assert np.isnan(y[0, 0, 0, 0]) and y[0, 0, 1, 0] == 0


@pytest.mark.parametrize("kind, worst", [("max", -np.inf), ("min", np.inf)])
def test_padding_is_not_chosen_where_all_cells_are_as_bad(rng, kind, worst):
    """Every window's dy arrives, in the first of its real cells."""
    forward, backward, forward_plain, backward_plain = (
        getattr(pool, f"{kind}_pool2d_{name}") for name in ("forward", "backward", "forward_plain", "backward_plain"))
    arguments = np.full((2, 5, 4, 3), worst), 3, 2, 1
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    dx = backward(dy, cache)
    np.testing.assert_allclose(dx.sum(axis=(1, 2)), dy.sum(axis=(1, 2)))
    np.testing.assert_array_equal(dx, backward_plain(dy, forward_plain(*arguments)[1]))


def test_infinite_gradient_stays_in_its_cell():
    _, cache = pool.max_pool2d_forward(np.arange(4.0).reshape(1, 2, 2, 1), 2)
    dx = pool.max_pool2d_backward(np.full((1, 1, 1, 1), np.inf), cache)
    assert dx.ravel().tolist() == [0, 0, 0, np.inf]


@pytest.mark.parametrize("kind", KINDS)
def test_views_are_read_right(rng, kind):
    x = rng.standard_normal((3, 4, 6, 5)).transpose(3, 2, 1, 0)[::2]
    y, cache = kernel(kind, "forward")(x, 2)
    expected, expected_cache = kernel(kind, "forward")(x.copy(), 2)
    np.testing.assert_array_equal(y, expected)
    dy = np.broadcast_to(rng.standard_normal(y.shape[-1]), y.shape)
    dx = kernel(kind, "backward")(dy, cache)
    np.testing.assert_array_equal(dx, kernel(kind, "backward")(dy.copy(), expected_cache))


def test_several_blocks_and_threads_give_the_same_bits(rng):
    from nanoemo.kernels.threads import get_num_threads, set_num_threads
    x = rng.standard_normal((9, 40, 40, 64), dtype=np.float32)      # 400 kB an image: several blocks
    before, results = get_num_threads(), []
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            y, cache = pool.max_pool2d_forward(x, 3, 2, "same")
            results.append((y, pool.max_pool2d_backward(y, cache)))
    finally:
        set_num_threads(before)
    for one, three in zip(*results):
        np.testing.assert_array_equal(one, three)


X = np.zeros((2, 5, 6, 3), np.float32)


@pytest.mark.parametrize("call,message", [
    (lambda: pool.max_pool2d_forward(X[0], 2), r"max_pool2d: x must have 4 axes .*got shape \(5, 6, 3\)"),
    (lambda: pool.avg_pool1d_forward(X, 2), r"avg_pool1d: x must have 3 axes \(N, T, C\)"),
    (lambda: pool.max_pool2d_forward(X, 0), "max_pool2d: kernel_size must be a positive .* got 0"),
    (lambda: pool.max_pool2d_forward(X, True), "max_pool2d: kernel_size must be a positive .* got True"),
    (lambda: pool.min_pool2d_forward(X, 2.5), "min_pool2d: kernel_size must be .* got 2.5"),
    (lambda: pool.avg_pool2d_forward(X, (2, 2, 2)), "avg_pool2d: kernel_size must be"),
    (lambda: pool.max_pool1d_forward(X[0], (2, 2)), "max_pool1d: kernel_size must be a positive"),
    (lambda: pool.max_pool2d_forward(X, 2, 0), "max_pool2d: stride must be"),
    (lambda: pool.max_pool2d_forward(X, (6, 2)), "6 rows does not fit x, which has 5 rows .*smaller"),
    (lambda: pool.max_pool2d_forward(X, (2, 7)), "a window of 7 columns does not fit x, which has 6 columns"),
    (lambda: pool.max_pool2d_forward(X, 2, 2, 2), "more than half the window of 2"),
    (lambda: pool.max_pool2d_forward(X, 2, 2, "full"), 'expected "valid", "same", a number or a pair'),
    (lambda: pool.max_pool2d_forward(X[:, :0], 2), "no cells to pool"),
])
def test_errors_say_what_was_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_integers_are_refused():
    with pytest.raises(TypeError, match="max_pool2d: x must be of a floating-point type, got int64"):
        pool.max_pool2d_forward(np.zeros((1, 2, 2, 1), np.int64), 2)


@pytest.mark.parametrize("size", [9, 10])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_cells_that_no_window_reaches_get_no_gradient(rng, monkeypatch, name, size):
    """Windows that tile from the padding on leave the last rows out; their memory may hold anything."""
    x = rng.standard_normal((2, size, size, 3))
    forward, backward = (getattr(pool, f"{name}_{way}") for way in ("forward", "backward"))
    y, cache = forward(x, 3, None, 1)
    expected = getattr(pool, f"{name}_backward_plain")(np.ones_like(y), getattr(pool, f"{name}_forward_plain")(x, 3, None, 1)[1])
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: np.full(shape, 7, dtype))
    monkeypatch.setattr(np, "empty_like", lambda a: np.full(a.shape, 7, a.dtype))
    found = backward(np.ones_like(y), cache)
    monkeypatch.setattr(np, "empty", empty)
    np.testing.assert_array_equal(found, expected)
