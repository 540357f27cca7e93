"""pool_cupy.py and pool.cu against the definitions in pool.py."""
import numpy as np
import pytest

from nanoemo import backend, kernels
from twins import Recorded, check_pair

# (N, H, W, C), kernel, stride, padding
CASES = [
    ((1, 1, 1, 3), 1, None, "valid"),
    ((5, 5, 7, 3), 2, None, "valid"),               # a row and a column that no window covers
    ((2, 5, 7, 3), 2, None, "same"),
    ((4, 7, 6, 2), 3, 2, "same"),                   # overlapping
    ((1, 8, 11, 2), 3, 1, "same"),
    ((2, 6, 6, 1), (2, 3), (3, 1), 1),
    ((3, 4, 5, 2), (4, 5), None, "valid"),          # the window is the whole input
    ((1, 9, 9, 2), 2, 3, "valid"),                  # stride larger than the window
    ((1, 5, 5, 2), 2, 5, "same"),
    ((1, 5, 5, 2), 5, 2, (2, 1)),
    ((9, 4, 8, 16), 2, None, "valid"),              # 128 numbers an image of y, 512 one of x
    ((1, 2, 2, 257), 2, None, "valid"),
    ((0, 4, 4, 2), 2, None, "valid"),
    ((1, 15, 17, 1), (15, 17), None, "valid"),      # the largest window whose places fit a byte, 255 cells …
    ((1, 16, 17, 2), 16, 1, "valid"),               # … and one that they do not
]
KINDS_2D = ["max_pool2d", "relu_max_pool2d", "min_pool2d", "avg_pool2d"]
KINDS_1D = ["max_pool1d", "relu_max_pool1d", "avg_pool1d"]


def on_card(name, *arguments):
    return kernels.find(name, "cuda")(*arguments)


def upload(values, shape):
    return backend.to_device(np.array(values, dtype=np.float64).reshape(shape), "cuda")


@pytest.mark.parametrize("shape,kernel,stride,padding", CASES, ids=str)
@pytest.mark.parametrize("kind", KINDS_2D)
def test_images(card, rng, kind, shape, kernel, stride, padding):
    check_pair(kind, rng.normal(size=shape), kernel, stride, padding)


@pytest.mark.parametrize("shape,kernel,stride,padding", CASES, ids=str)
@pytest.mark.parametrize("kind", ["max_pool2d", "relu_max_pool2d", "min_pool2d"])
def test_negative_images_with_equal_cells(card, rng, kind, shape, kernel, stride, padding):
    check_pair(kind, -rng.integers(1, 3, shape).astype(float), kernel, stride, padding)


@pytest.mark.parametrize("steps,kernel,stride,padding", [
    (162, 5, 2, "same"), (41, 5, 2, "same"), (7, 7, None, "valid"), (1, 1, None, "valid"), (9, 2, 3, "valid"),
    (8, 3, 1, (1, 0)), (300, 256, 7, "same"),
])
@pytest.mark.parametrize("kind", KINDS_1D)
def test_sequences(card, rng, kind, steps, kernel, stride, padding):
    check_pair(kind, -rng.uniform(1, 4, (3, steps, 4)), kernel, stride, padding)


@pytest.mark.parametrize("where", range(4))
@pytest.mark.parametrize("kind", KINDS_2D)
def test_a_nan_is_the_result_of_its_window_alone(card, kind, where):
    values = [0.0, 5.0, -5.0, 1.0]
    values[where] = np.nan
    y, cache = on_card(f"{kind}_forward", upload([values, [1, 1, 1, 1]], (2, 2, 2, 1)), 2)
    y = backend.to_device(y, "cpu").ravel()
    assert np.isnan(y[0]) and y[1] == 1
    if kind != "avg_pool2d":
        dx = on_card(f"{kind}_backward", upload([1.0, 0.0], (2, 1, 1, 1)), cache)
        assert backend.to_device(dx, "cpu").ravel()[where] == 1


def test_infinities_are_chosen_and_infinite_gradients_stay_where_they_belong(card):
    x = upload([-np.inf, -np.inf, 3.0, np.inf], (1, 1, 4, 1))
    y, cache = on_card("max_pool2d_forward", x, (1, 2))
    assert backend.to_device(y, "cpu").ravel().tolist() == [-np.inf, np.inf]
    dx = on_card("max_pool2d_backward", upload([np.inf, np.inf], (1, 1, 2, 1)), cache)
    assert backend.to_device(dx, "cpu").ravel().tolist() == [np.inf, 0, 0, np.inf]


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_relu_lets_no_gradient_through_where_nothing_is_positive(card, padding):
    x = upload([0.0, -1.0, -2.0, 0.0, 3.0], (1, 1, 5, 1))
    y, cache = on_card("relu_max_pool2d_forward", x, (1, 2), None, padding)
    dx = on_card("relu_max_pool2d_backward", backend.to_device(np.ones(y.shape), "cuda"), cache)
    assert backend.to_device(y, "cpu").ravel().tolist() == [0, 0, 3][:y.size]
    assert backend.to_device(dx, "cpu").ravel().tolist() == [0, 0, 0, 0, 1 if padding == "same" else 0]


@pytest.mark.parametrize("kind", KINDS_2D)
def test_views_are_read_right(card, rng, kind):
    x = rng.normal(size=(3, 4, 6, 5))
    y, cache = on_card(f"{kind}_forward", backend.to_device(x, "cuda").transpose(3, 2, 1, 0), 2)
    wanted, wanted_cache = on_card(f"{kind}_forward", backend.to_device(x.transpose(3, 2, 1, 0).copy(), "cuda"), 2)
    np.testing.assert_array_equal(backend.to_device(y, "cpu"), backend.to_device(wanted, "cpu"))
    dy = rng.normal(size=y.shape[::-1])
    dx = on_card(f"{kind}_backward", backend.to_device(dy, "cuda").T, cache)
    wanted = on_card(f"{kind}_backward", backend.to_device(dy.T.copy(), "cuda"), wanted_cache)
    np.testing.assert_array_equal(backend.to_device(dx, "cpu"), backend.to_device(wanted, "cpu"))


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
def test_more_images_than_a_grid_has_blocks(card, rng, kind, monkeypatch):
    from nanoemo.kernels import pool_cupy
    pool_cupy._launching.cache_clear()
    monkeypatch.setattr(pool_cupy, "MOST_BLOCKS_IN_Y", 3)
    check_pair(kind, rng.normal(size=(29, 3, 3, 2)), 2, 1)
    pool_cupy._launching.cache_clear()


@pytest.mark.parametrize("kind", ["relu_max_pool2d", "avg_pool2d", "max_pool1d"])
def test_a_captured_step_gives_the_same_bits(card, rng, kind):
    x = backend.to_device(rng.normal(size=(2, 6, 6, 3)[-3 if kind.endswith("1d") else 0:]), "cuda")

    def step():
        y, cache = on_card(f"{kind}_forward", x, 3, 2, "same")
        return y, on_card(f"{kind}_backward", y, cache)

    wanted = [backend.to_device(result, "cpu") for result in step()]
    for ours, theirs in zip(Recorded(card, step).launch(), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind,shape,arguments,error,message", [
    ("max_pool2d", (5, 6, 3), (2,), ValueError, r"max_pool2d: x must have 4 axes .*got shape \(5, 6, 3\)"),
    ("avg_pool1d", (2, 5, 6, 3), (2,), ValueError, r"avg_pool1d: x must have 3 axes \(N, T, C\)"),
    ("min_pool2d", (2, 5, 6, 3), (2.5,), ValueError, "min_pool2d: kernel_size must be .* got 2.5"),
    ("relu_max_pool2d", (2, 5, 6, 3), ((6, 2),), ValueError, "relu_max_pool2d: a window of 6 rows does not fit x"),
    ("avg_pool2d", (2, 5, 6, 3), (2, 2, 2), ValueError, "more than half the window of 2"),
    ("max_pool1d", (2, 5, 3), (2, 0), ValueError, "max_pool1d: stride must be"),
])
def test_errors_are_those_of_numpy(card, kind, shape, arguments, error, message):
    with pytest.raises(error, match=message):
        on_card(f"{kind}_forward", backend.to_device(np.zeros(shape), "cuda"), *arguments)


@pytest.mark.parametrize("dtype,message", [(np.int64, "must be of a floating-point type, got int64"),
                                           (np.float16, "float32 or float64, not float16")])
def test_other_types_are_refused(card, dtype, message):
    with pytest.raises(TypeError, match=message):
        on_card("max_pool2d_forward", backend.to_device(np.zeros((1, 2, 2, 1), dtype), "cuda"), 2)
