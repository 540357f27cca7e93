"""recurrent_cupy.py and recurrent.cu against the definitions in recurrent.py."""
import numpy as np
import pytest

from nanoemo import backend, kernels
from twins import TOLERANCE, check_pair, same_numbers

# batch, steps, features, units
SHAPES = [(1, 1, 1, 1), (3, 5, 2, 4), (2, 1, 3, 5), (1, 6, 3, 2), (33, 3, 1, 8), (4, 7, 5, 1), (5, 2, 7, 13),
          (0, 3, 2, 4)]


def arrays(rng, batch, steps, features, units, with_state=True):
    x, w = rng.normal(size=(batch, steps, features)), rng.normal(size=(features, 4 * units))
    u, b = rng.normal(size=(units, 4 * units)), rng.normal(size=4 * units)
    return (x, w, u, b, *(rng.normal(size=(batch, units)) if with_state else None for _ in range(2)))


def upload(*given):
    return [None if array is None else backend.to_device(array, "cuda") for array in given]


def forward_on_card(given):
    return kernels.find("lstm_forward", "cuda")(*upload(*given))


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_lstm(card, rng, shape, with_state):
    check_pair("lstm", *arrays(rng, *shape, with_state), dys=3)


def test_only_the_gradients_asked_for(card, rng):
    given = arrays(rng, 3, 4, 2, 3)
    for k in range(4):
        check_pair("lstm", *given, dys=3, needs=tuple(j == k for j in range(4)))


@pytest.mark.parametrize("used", [(True, False, False), (False, True, False), (False, False, True)], ids=str)
def test_results_that_are_not_used_may_have_no_gradient(card, rng, used):
    given = arrays(rng, 3, 4, 2, 3)
    (h, *states), plain_cache = kernels.find("lstm_forward_plain")(*given)
    gradients = [rng.normal(size=y.shape) if use else None for y, use in zip((h, *states), used)]
    wanted = kernels.find("lstm_backward_plain")(*gradients, plain_cache)
    _, cache = forward_on_card(given)
    backward = kernels.find("lstm_backward", "cuda")
    same_numbers("lstm", lambda: backward(*upload(*gradients), cache), wanted, np.float64, 1e-10)


def test_extreme_inputs_saturate(card, rng):
    x, *rest = arrays(rng, 2, 3, 2, 2)
    check_pair("lstm", 1e4 * x, *rest, dys=3)


def test_a_nan_stays_in_its_sequence(card, rng):
    given = arrays(rng, 3, 4, 2, 3)
    given[0][1, 2, 0] = np.nan
    (h, _, _), _ = forward_on_card(given)
    is_nan = np.isnan(backend.to_device(h, "cpu"))
    assert is_nan[1, 2:].all() and not is_nan[1, :2].any() and not is_nan[[0, 2]].any()


def test_arrays_in_another_order(card, rng):
    given = arrays(rng, 3, 4, 2, 5)
    (h, _, _), plain_cache = kernels.find("lstm_forward_plain")(*given)
    gradients = [rng.normal(size=y.shape) for y in (h, h[:, 0], h[:, 0])]
    wanted = [h, *kernels.find("lstm_backward_plain")(*gradients, plain_cache)]

    def reversed_axes(array):
        """The same array, its last axis the slowest in memory."""
        return backend.to_device(np.ascontiguousarray(array.T), "cuda").T

    def on_card():
        (h, _, _), cache = kernels.find("lstm_forward", "cuda")(*map(reversed_axes, given))
        return [h, *kernels.find("lstm_backward", "cuda")(*map(reversed_axes, gradients), cache)]

    same_numbers("lstm", on_card, wanted, np.float64, 1e-10)


def test_backward_can_run_twice(card, rng):
    given = arrays(rng, 3, 4, 2, 3)
    (h, h_T, c_T), cache = forward_on_card(given)
    gradients = upload(*(rng.normal(size=y.shape) for y in (h, h_T, c_T)))
    copies = [backend.to_device(gradient, "cpu") for gradient in gradients]
    first, second = (kernels.find("lstm_backward", "cuda")(*gradients, cache) for _ in range(2))
    for a, b in zip((*first, *gradients), (*second, *copies)):
        np.testing.assert_array_equal(backend.to_device(a, "cpu"), backend.to_device(b, "cpu"))


def test_a_step_is_one_product_and_one_kernel(card, rng):
    emulated = getattr(card, "_device", None)
    if emulated is None:
        pytest.skip("launches are counted where the kernels run on the host")

    def launches(steps):
        given = upload(*arrays(rng, 2, steps, 3, 4))
        start = len(emulated.launches)
        (h, _, _), cache = kernels.find("lstm_forward", "cuda")(*given)
        middle = len(emulated.launches)
        kernels.find("lstm_backward", "cuda")(h, None, None, cache)
        return np.array([middle - start, len(emulated.launches) - middle])

    np.testing.assert_array_equal(launches(9) - launches(4), [2 * 5, 2 * 5])


@pytest.mark.parametrize("p", [0, 0.4])
@pytest.mark.parametrize("shape", [(3, 5, 2, 4, 3), (1, 1, 1, 1, 1), (5, 2, 3, 2, 6, 1), (0, 3, 2, 4, 3)], ids=str)
def test_layers_one_above_the_other(card, rng, shape, p):
    batch, steps, *units = shape
    weights = [arrays(rng, batch, steps, inputs, u, with_state=False)[1:4] for inputs, u in zip(units, units[1:])]
    x, dh = (rng.normal(size=(batch, steps, width)) for width in (units[0], units[-1]))
    dropouts = [(p, seed) for seed in range(1, len(weights))]
    everything = (True,) * (1 + 3 * len(weights))
    for needs in (everything, (False, True, False) + everything[3:]):
        for dtype, tolerance in TOLERANCE.items():
            check_stack(x.astype(dtype), [[a.astype(dtype) for a in layer] for layer in weights], dropouts, dh.astype(dtype),
                        needs, tolerance)


def check_stack(x, weights, dropouts, dh, needs, tolerance):
    h, plain_cache = kernels.find("lstm_stack_forward_plain")(x, weights, dropouts)
    wanted = [h, *kernels.find("lstm_stack_backward_plain")(dh, plain_cache, needs)]

    def on_card():
        on_card, on_device = [upload(*layer) for layer in weights], upload(x, dh)
        h, cache = kernels.find("lstm_stack_forward", "cuda")(on_device[0], on_card, dropouts)
        return [h, *kernels.find("lstm_stack_backward", "cuda")(on_device[1], cache, needs)]

    same_numbers("lstm_stack", on_card, wanted, x.dtype, tolerance)


@pytest.mark.parametrize("name, shape, message", [
    ("x", (2, 5), r"x must be \(batch, steps, features\), got shape \(2, 5\)"),
    ("w", (2, 16), r"x has 3 features .* and u has 4 units, so w must be \(3, 16\); got \(2, 16\)"),
    ("h0", (4,), r"h0 must be \(batch, units\) = \(2, 4\), got \(4,\)"),
])
def test_wrong_shapes_are_named(card, name, shape, message):
    shapes = dict(x=(2, 5, 3), w=(3, 16), u=(4, 16), b=(16,), h0=(2, 4), c0=(2, 4)) | {name: shape}
    with pytest.raises(ValueError, match="lstm: .*" + message):
        forward_on_card([np.zeros(shape) for shape in shapes.values()])
