"""LSTM layers in one go: against the definition, against the layers one by one, and what is remembered."""
import gc
import weakref

import numpy as np
import pytest

from nanoemo.kernels import dropout, recurrent, recurrent_stack
from nanoemo.kernels.threads import get_num_threads, set_num_threads

# batch, steps, inputs and then the units of each layer
SHAPES = [(3, 5, 2, 4, 3), (1, 1, 1, 1, 1), (5, 9, 3, 2, 6, 1), (2, 40, 1, 5, 5), (4, 7, 5, 3), (65, 3, 2, 128, 64)]
PLAIN = recurrent.lstm_stack_forward_plain, recurrent.lstm_stack_backward_plain
FAST = recurrent.lstm_stack_forward, recurrent.lstm_stack_backward


@pytest.fixture(params=["usual pieces", "small pieces"])
def pieces(request, monkeypatch):
    if request.param == "small pieces":
        monkeypatch.setattr(recurrent_stack, "STEPS", 2)
        monkeypatch.setattr(recurrent_stack, "BLOCK_STATES", 8)


def arrays(rng, shape, dtype=np.float64):
    """(x, weights, gradient of the result)"""
    batch, steps, *units = shape
    weights = [tuple(rng.standard_normal(size).astype(dtype) for size in ((inputs, 4 * u), (u, 4 * u), (4 * u,)))
               for inputs, u in zip(units, units[1:])]
    x, dh = (rng.standard_normal((batch, steps, width)).astype(dtype) for width in (units[0], units[-1]))
    return x, weights, dh


def dropouts_for(weights, p):
    return [(p, seed) for seed in range(1, len(weights))]


def everything(weights):
    return (True,) * (1 + 3 * len(weights))


@pytest.mark.parametrize("p", [0, 0.4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fast_equals_plain(rng, pieces, shape, p):
    x, weights, dh = arrays(rng, shape)
    (h, cache), (plain_h, plain_cache) = (forward(x, weights, dropouts_for(weights, p)) for forward in (FAST[0], PLAIN[0]))
    np.testing.assert_allclose(h, plain_h, rtol=1e-10, atol=1e-12)
    gradients = [back(dh, kept, everything(weights)) for back, kept in ((FAST[1], cache), (PLAIN[1], plain_cache))]
    assert len(gradients[0]) == len(gradients[1]) == 1 + 3 * len(weights)
    for ours, plain in zip(*gradients):
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-11)


def test_the_same_bits_as_one_by_one(rng, pieces):
    """Which layer goes ahead of which, and on which thread, changes nothing."""
    x, weights, dh = arrays(rng, (6, 37, 3, 8, 8, 8), np.float32)
    before, results = get_num_threads(), []
    try:
        for count in (1, 2, 4):
            set_num_threads(count)
            h, cache = FAST[0](x, weights, dropouts_for(weights, 0.3))
            results.append((h, *FAST[1](dh, cache, everything(weights))))
    finally:
        set_num_threads(before)
    h, caches = recurrent.layer_by_layer(recurrent.lstm_forward, dropout.dropout_forward, x, weights, dropouts_for(weights, 0.3))
    back = recurrent.layer_by_layer_back(recurrent.lstm_backward, dropout.dropout_backward, dh, caches, everything(weights))
    for result in results:
        for ours, one_by_one in zip(result, (h, *back)):
            np.testing.assert_array_equal(ours, one_by_one)


def test_any_order_that_the_tasks_allow_gives_the_same_bits(rng, monkeypatch):
    """So nothing that a task needs is left out. Two threads would find out, too, but not every time."""
    monkeypatch.setattr(recurrent_stack, "STEPS", 2)
    monkeypatch.setattr(recurrent_stack, "BLOCK_STATES", 8)

    def run_in_some_order(tasks):
        ready, done = [task for task in tasks if not task.waits_for], 0
        while ready:
            task = ready.pop(rng.integers(len(ready)))
            task.work()
            done += 1
            for follower in task.followers:
                follower.waits_for -= 1
                if not follower.waits_for:
                    ready.append(follower)
        assert done == len(tasks)

    x, weights, dh = arrays(rng, (3, 9, 3, 4, 4, 4))

    def results():
        h, cache = FAST[0](x, weights, dropouts_for(weights, 0.3))
        return h, *FAST[1](dh, cache, everything(weights))

    expected = results()
    monkeypatch.setattr(recurrent_stack, "run", run_in_some_order)
    for _ in range(20):
        assert all(map(np.array_equal, results(), expected))


def test_needs_leaves_out_what_is_not_wanted(rng, pieces):
    x, weights, dh = arrays(rng, (3, 5, 2, 4, 3))
    for forward, backward in (FAST, PLAIN):
        _, cache = forward(x, weights, dropouts_for(weights, 0.4))
        whole = backward(dh, cache, everything(weights))
        for k in range(7):
            result = backward(dh, cache, tuple(j == k for j in range(7)))
            assert [gradient is not None for gradient in result] == [j == k for j in range(7)]
            np.testing.assert_allclose(result[k], whole[k], rtol=1e-12)


def test_backward_can_run_twice_and_leaves_its_inputs_as_they_were(rng, pieces):
    x, weights, dh = arrays(rng, (3, 5, 2, 4, 3))
    given = [x, dh, *(array for layer in weights for array in layer)]
    copies = [array.copy() for array in given]
    h, cache = FAST[0](x, weights, dropouts_for(weights, 0.4))
    first = FAST[1](dh, cache, everything(weights))
    h[...] = 0                                          # the result is the caller's
    assert all(map(np.array_equal, first, FAST[1](dh, cache, everything(weights))))
    assert all(map(np.array_equal, given, copies))


def test_float32_stays_float32(rng):
    x, weights, dh = arrays(rng, (3, 5, 2, 4, 3), np.float32)
    for forward, backward in (FAST, PLAIN):
        h, cache = forward(x, weights, dropouts_for(weights, 0.4))
        assert {array.dtype for array in (h, *backward(dh, cache, everything(weights)))} == {np.dtype(np.float32)}


def test_an_empty_batch(rng):
    x, weights, dh = arrays(rng, (0, 5, 2, 4, 3))
    h, cache = FAST[0](x, weights, dropouts_for(weights, 0.4))
    dx, *gradients = FAST[1](dh, cache, everything(weights))
    assert h.shape == dh.shape and dx.shape == x.shape and not any(gradient.any() for gradient in gradients)


def test_what_is_remembered_goes_with_the_cache(rng, monkeypatch):
    """Without waiting for the collector of cycles: it comes by when there are many objects, not when they are large."""
    made, kind = [], recurrent_stack.ForwardPass
    monkeypatch.setattr(recurrent_stack, "ForwardPass", lambda *given: made.append(weakref.ref(it := kind(*given))) or it)
    x, weights, dh = arrays(rng, (3, 5, 2, 4, 3))
    gc.disable()
    try:
        _, cache = FAST[0](x, weights, dropouts_for(weights, 0.4))
        FAST[1](dh, cache, everything(weights))
        assert made and all(one() for one in made)
        del cache
        assert not any(one() for one in made)
    finally:
        gc.enable()


@pytest.mark.parametrize("change, message", [
    (lambda x, layers, ps: (x[0], layers, ps), r"lstm: x must be \(batch, steps, features\), got shape \(5, 2\)"),
    (lambda x, layers, ps: (x, layers[::-1], ps), r"lstm: x has 2 features .* so w must be \(2, 12\); got \(4, 12\)"),
    (lambda x, layers, ps: (x, [layers[0], layers[0]], ps), r"lstm: x has 4 features .* so w must be \(4, 16\); got \(2, 16\)"),
    (lambda x, layers, ps: (x, [], ps), "lstm_stack: weights must be .* got none"),
    (lambda x, layers, ps: (x, layers, []), "lstm_stack: 2 layers have 1 places between them, .* got 0"),
    (lambda x, layers, ps: (x, layers, [(1, 0)]), "p must be at least 0 and below 1, got 1"),
])
def test_what_does_not_fit_is_named(rng, change, message):
    x, weights, _ = arrays(rng, (3, 5, 2, 4, 3))
    for forward, _ in (FAST, PLAIN):
        with pytest.raises(ValueError, match=message):
            forward(*change(x, weights, dropouts_for(weights, 0.4)))
