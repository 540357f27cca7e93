"""The optimisers' update rules: plain against fast, fast against torch.optim, errors."""
import numpy as np
import pytest

from nanoemo.kernels import optim

SHAPES = [(3, 4), (1,), (), (40_000,), (0, 3)]              # 40,000 numbers are more than one block
ADAM = [dict(), dict(weight_decay=0.1), dict(beta1=0.5, beta2=0.9, eps=1e-3), dict(beta1=0.0, beta2=0.0)]
CASES = ([("sgd", options) for options in (
              dict(), dict(weight_decay=0.1), dict(momentum=0.9), dict(momentum=0.9, nesterov=True),
              dict(momentum=0.5, weight_decay=0.1), dict(momentum=0.5, nesterov=True, weight_decay=0.1))]
         + [("rmsprop", options) for options in (
              dict(), dict(alpha=0.5, eps=1e-3), dict(weight_decay=0.1), dict(alpha=0.0))]
         + [("adam", options) for options in ADAM] + [("adamw", options) for options in ADAM])
TORCH_NAMES = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
LEARNING_RATE = 0.05


def gradients_of(rng, dtype, steps=20):
    return [[np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES] for _ in range(steps)]


def state_of(rule, params):
    return [[np.zeros_like(p) for p in params] for _ in range(2 if rule.startswith("adam") else 1)]


def train(rule, options, params, gradients, plain=False):
    """Parameters and state after one step for each set of gradients."""
    update = getattr(optim, f"{rule}_step_plain" if plain else f"{rule}_step")
    params = [p.copy() for p in params]
    state = state_of(rule, params)
    for step, grads in enumerate(gradients, start=1):
        counted = (step,) if rule.startswith("adam") else ()
        update(params, grads, *state, *counted, lr=LEARNING_RATE, **options)
    return params, state


@pytest.mark.parametrize("rule, options", CASES)
def test_fast_equals_plain(rng, rule, options):
    params, gradients = gradients_of(rng, np.float64, 1)[0], gradients_of(rng, np.float64, 5)
    fast, fast_state = train(rule, options, params, gradients)
    plain, plain_state = train(rule, options, params, gradients, plain=True)
    for ours, expected in zip([*fast, *sum(fast_state, [])], [*plain, *sum(plain_state, [])]):
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("rule, options", CASES)
def test_equals_pytorch_over_20_steps(rng, torch, rule, options):
    params, gradients = gradients_of(rng, np.float64, 1)[0], gradients_of(rng, np.float64)
    ours, _ = train(rule, options, params, gradients)
    options = dict(options)
    if rule.startswith("adam"):
        options["betas"] = options.pop("beta1", 0.9), options.pop("beta2", 0.999)
    tensors = [torch.nn.Parameter(torch.tensor(p)) for p in params]
    optimizer = getattr(torch.optim, TORCH_NAMES[rule])(tensors, lr=LEARNING_RATE, **options)
    for grads in gradients:
        for tensor, gradient in zip(tensors, grads):
            tensor.grad = torch.tensor(gradient)
        optimizer.step()
    for array, tensor in zip(ours, tensors):
        np.testing.assert_allclose(array, tensor.detach().numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("rule, options", CASES)
def test_float32_stays_float32_and_gradients_stay_as_they_are(rng, rule, options):
    params, gradients = gradients_of(rng, np.float32, 1)[0], gradients_of(rng, np.float32, 2)
    copies = [g.copy() for grads in gradients for g in grads]
    after, state = train(rule, options, params, gradients)
    assert {array.dtype for array in (*after, *sum(state, []))} == {np.dtype(np.float32)}
    assert all(np.array_equal(g, copy) for g, copy in zip(sum(gradients, []), copies))


@pytest.mark.parametrize("rule", ["sgd", "rmsprop", "adam", "adamw"])
def test_numpy_scalars_as_settings_do_not_raise_the_precision(rng, rule):
    params, gradients = gradients_of(rng, np.float32, 1)[0], gradients_of(rng, np.float32, 2)
    options = dict(momentum=0.9) if rule == "sgd" else {}
    plain_numbers, _ = train(rule, dict(options, weight_decay=0.1), params, gradients)
    numpy_numbers, _ = train(rule, dict(options, weight_decay=np.float64(0.1)), params, gradients)
    assert all(np.array_equal(a, b) for a, b in zip(plain_numbers, numpy_numbers))


@pytest.mark.parametrize("rule", ["sgd", "rmsprop", "adam", "adamw"])
def test_arrays_that_are_not_contiguous_are_updated_in_place(rng, rule):
    base, gradient = rng.standard_normal((6, 4)), rng.standard_normal((4, 6))
    options = dict(momentum=0.9) if rule == "sgd" else {}
    expected, _ = train(rule, options, [base.T.copy()], [[gradient]])
    state, counted = state_of(rule, [base.T]), (1,) if rule.startswith("adam") else ()
    getattr(optim, f"{rule}_step")([base.T], [gradient], *state, *counted, lr=LEARNING_RATE, **options)
    np.testing.assert_allclose(base.T, expected[0], rtol=1e-12)


def test_the_same_bits_on_any_number_of_threads(rng):
    from nanoemo.kernels import threads
    params, gradients = gradients_of(rng, np.float32, 1)[0], gradients_of(rng, np.float32, 3)
    before, results = threads.get_num_threads(), []
    try:
        for n in (1, 3):
            threads.set_num_threads(n)
            results.append(train("adam", {}, params, gradients)[0] + [optim.joint_norm(gradients[0])])
    finally:
        threads.set_num_threads(before)
    assert all(np.array_equal(one, three) for one, three in zip(*results))


def test_joint_norm(rng):
    arrays = gradients_of(rng, np.float32, 1)[0] + [rng.standard_normal((3, 5)).astype(np.float32).T]
    exact = sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays) ** 0.5
    assert isinstance(optim.joint_norm(arrays), float)
    assert optim.joint_norm(arrays) == pytest.approx(exact, rel=5e-7)
    assert optim.clip_by_norm_plain([array.copy() for array in arrays], 1.0) == pytest.approx(exact, rel=5e-7)
    assert optim.joint_norm([]) == 0


def test_a_joint_norm_does_not_lose_small_numbers_beside_a_large_one():
    small = np.full(4_000_000, 1e-2, np.float32)
    assert optim.joint_norm([np.full(1, 3e3, np.float32), small]) ** 2 == pytest.approx(9e6 + 400, rel=1e-6)
    assert optim.joint_norm([small]) ** 2 == pytest.approx(400, rel=1e-5)


@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_by_norm_fast_equals_plain(rng, dtype, max_norm):
    arrays = gradients_of(rng, dtype, 1)[0] + [rng.standard_normal((3, 5)).astype(dtype).T]
    plain = [array.copy() for array in arrays]
    norm = optim.clip_by_norm(arrays, max_norm)
    assert isinstance(norm, float) and norm == pytest.approx(optim.clip_by_norm_plain(plain, max_norm), rel=1e-6)
    for ours, expected in zip(arrays, plain):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
    if max_norm == 0.5:
        assert optim.joint_norm(arrays) == pytest.approx(0.5, rel=5e-5)


@pytest.mark.parametrize("rule, setting, message", [
    ("sgd", dict(lr=-1.0), "lr must be 0 or more, got -1.0"),
    ("sgd", dict(lr=float("nan")), "lr must be 0 or more, got nan"),
    ("sgd", dict(lr=0.1, momentum=-0.5), "momentum must be 0 or more"),
    ("sgd", dict(lr=0.1, nesterov=True), "momentum must be above 0"),
    ("rmsprop", dict(lr=0.1, alpha=1.0), "alpha must be in 0 … 1, 1 not included, got 1.0"),
    ("rmsprop", dict(lr=0.1, weight_decay=-1), "weight_decay must be 0 or more"),
    ("adam", dict(lr=0.1, step=1, beta1=1.0), "beta1 must be in 0 … 1"),
    ("adamw", dict(lr=0.1, step=1, beta2=-0.1), "beta2 must be in 0 … 1"),
    ("adam", dict(lr=0.1, step=1, eps=float("inf")), "eps must be 0 or more"),
    ("adam", dict(lr=0.1, step=0), "step counts from 1, got 0"),
])
def test_settings_out_of_range_are_named(rule, setting, message):
    p = [np.zeros(2)]
    for update in (getattr(optim, f"{rule}_step"), getattr(optim, f"{rule}_step_plain")):
        with pytest.raises(ValueError, match=f"{rule}_step: .*{message}"):
            update(p, p, *state_of(rule, p), **setting)


def test_arrays_that_do_not_match_are_named():
    p = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"parameter 1 is \(2, 3\) float64, but .* state is \(3, 2\)"):
        optim.sgd_step([p, p], [p, p.T], None, lr=0.1)
    with pytest.raises(ValueError, match="float64, but its gradient or state is .* float32"):
        optim.rmsprop_step([p], [p.astype(np.float32)], [p], lr=0.1)
    with pytest.raises(ValueError, match=r"differ in length: \[1, 2, 1, 1\]"):
        optim.adam_step([p], [p, p], [p], [p], step=1, lr=0.1)
