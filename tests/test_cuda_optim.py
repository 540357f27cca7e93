"""optim_cupy.py and optim.cu against the definitions in optim.py."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, backend, kernels, nn, ops, optim
from test_kernels_optim import CASES, state_of
from twins import TOLERANCE, same_numbers

RATE = 0.05
SHAPES = [(3, 4), (1,), (), (2_500,), (0, 3)]           # 2,500 numbers are three chunks


def gradients_of(rng, dtype, steps):
    return [[np.asarray(rng.normal(size=shape), dtype) for shape in SHAPES] for _ in range(steps)]


def upload(arrays):
    return [backend.to_device(array.copy(), "cuda") for array in arrays]


def train(card, rule, options, params, gradients, live=False):
    """Parameters and state after a step for each set of gradients; live: lr and step are arrays on the card."""
    update = kernels.find(f"{rule}_step", "cuda")
    params, state = upload(params), [upload(arrays) for arrays in state_of(rule, params)]
    number = (lambda value: card.array(value, card.float64)) if live else (lambda value: value)
    for step, grads in enumerate(gradients, start=1):
        counted = (number(step),) if rule.startswith("adam") else ()
        update(params, upload(grads), *state, *counted, lr=number(RATE), **options)
    return [*params, *sum(state, [])]


def train_plain(rule, options, params, gradients):
    update = kernels.find(f"{rule}_step_plain")
    params, state = [p.copy() for p in params], state_of(rule, params)
    for step, grads in enumerate(gradients, start=1):
        update(params, grads, *state, *((step,) if rule.startswith("adam") else ()), lr=RATE, **options)
    return [*params, *sum(state, [])]


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("rule, options", CASES)
def test_update_rules(card, rng, rule, options, dtype):
    params, gradients = gradients_of(rng, dtype, 1)[0], gradients_of(rng, dtype, 3)
    same_numbers(rule, lambda: train(card, rule, options, params, gradients),
                 train_plain(rule, options, params, gradients), dtype, TOLERANCE[dtype])


@pytest.mark.parametrize("rule", ["sgd", "rmsprop", "adam", "adamw"])
def test_numbers_on_the_card_give_the_same_bits(card, rng, rule):
    params, gradients = gradients_of(rng, np.float32, 1)[0], gradients_of(rng, np.float32, 3)
    pairs = zip(*(train(card, rule, {}, params, gradients, live=live) for live in (False, True)))
    for ours, live in pairs:
        np.testing.assert_array_equal(backend.to_device(ours, "cpu"), backend.to_device(live, "cpu"))


@pytest.mark.parametrize("sizes, blocks", [
    ([0, 1, 0, 1023, 1024, 1025, 0, 5000, 0], 3),                # a block goes on to chunks of other tensors
    ([3] * 200, 4),                                              # more tensors than one launch takes
    ([], 1024), ([0, 0], 1024),
], ids=["chunks", "tensors", "none", "empty"])
def test_how_tensors_are_cut(card, rng, monkeypatch, sizes, blocks):
    monkeypatch.setattr("nanoemo.kernels.optim_cupy.MOST_BLOCKS", blocks)
    params, grads = ([rng.normal(size=size) for size in sizes] for _ in range(2))
    same_numbers("adam", lambda: train(card, "adam", {}, params, [grads]), train_plain("adam", {}, params, [grads]),
                 np.float64, 1e-10)
    norm = kernels.find("clip_by_norm", "cuda")(upload(params), 1.0)
    assert float(norm) == pytest.approx(sum((p**2).sum() for p in params) ** 0.5, rel=1e-12, abs=0)


def test_tensors_of_two_dtypes(card, rng):
    params, grads = ([rng.normal(size=9).astype(dtype) for dtype in ("f4", "f8", "f4")] for _ in range(2))
    wanted = train_plain("sgd", {}, params, [grads])
    for ours, theirs in zip(train(card, "sgd", {}, params, [grads]), wanted):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(backend.to_device(ours, "cpu"), theirs, rtol=1e-6)
    norm = kernels.find("clip_by_norm", "cuda")(upload(params), 1.0)
    assert float(norm) == pytest.approx(sum((p.astype("f8")**2).sum() for p in params) ** 0.5, rel=5e-7)


@pytest.mark.parametrize("rule", ["sgd", "rmsprop", "adam", "adamw"])
def test_arrays_that_do_not_lie_in_order_change_in_place(card, rng, rule):
    base, gradient = rng.normal(size=(6, 4)), rng.normal(size=(4, 6))
    wanted = train_plain(rule, {}, [base.T.copy()], [[gradient]])[0]
    [on_card], state = upload([base]), [upload(arrays) for arrays in state_of(rule, [base.T])]
    counted = (1,) if rule.startswith("adam") else ()
    kernels.find(f"{rule}_step", "cuda")([on_card.T], upload([gradient]), *state, *counted, lr=RATE)
    np.testing.assert_allclose(backend.to_device(on_card, "cpu").T, wanted, rtol=1e-10)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_joint_norm(card, rng, dtype):
    arrays = [*gradients_of(rng, dtype, 1)[0], np.full(5_000, 1e-2, dtype)]
    exact = sum((array.astype(np.float64) ** 2).sum() for array in arrays) ** 0.5
    same_numbers("joint_norm", lambda: [kernels.find("clip_by_norm", "cuda")(upload(arrays), 1.0)], [exact], np.float64,
                 5e-7 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e6])
def test_clip_by_norm(card, rng, dtype, max_norm):
    arrays = [*gradients_of(rng, dtype, 1)[0], rng.normal(size=(3, 5)).astype(dtype).T]
    plain = [array.copy() for array in arrays]
    norm = kernels.find("clip_by_norm_plain")(plain, max_norm)
    on_card = upload(arrays)
    assert float(kernels.find("clip_by_norm", "cuda")(on_card, max_norm)) == pytest.approx(norm, rel=1e-6)
    for ours, theirs in zip(on_card, plain):
        assert ours.dtype == dtype
        np.testing.assert_allclose(backend.to_device(ours, "cpu"), theirs, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("rule, arguments", [
    ("sgd", dict(lr=-1.0)), ("sgd", dict(lr=0.1, nesterov=True)), ("rmsprop", dict(lr=0.1, alpha=1.0)),
    ("adam", dict(lr=0.1, step=0)), ("adamw", dict(lr=0.1, step=1, beta2=-0.1))])
def test_wrong_settings_are_refused_as_on_the_cpu(card, rule, arguments):
    p = [np.zeros(2)]
    with pytest.raises(ValueError) as on_the_host:
        kernels.find(f"{rule}_step")(p, p, *state_of(rule, p), **arguments)
    with pytest.raises(ValueError) as on_the_card:
        kernels.find(f"{rule}_step", "cuda")(upload(p), upload(p), *map(upload, state_of(rule, p)), **arguments)
    assert str(on_the_card.value) == str(on_the_host.value)


def test_wrong_arrays_and_numbers_are_refused(card):
    p, step = upload([np.zeros((2, 3))]), kernels.find("sgd_step", "cuda")
    with pytest.raises(ValueError, match=r"parameter 0 is \(2, 3\) float64, but .* is \(3, 2\) float64"):
        step(p, [p[0].T], None, lr=0.1)
    with pytest.raises(TypeError, match="lr must be a number, or an array .* of float64"):
        step(p, p, None, lr=card.zeros((), card.float32))


def test_sixty_parameters_are_clipped_and_changed_in_four_launches_without_waiting(card, rng):
    if not hasattr(card, "_device"):
        pytest.skip("launches are counted by the stand-in alone")
    params = [nn.Parameter(rng.normal(size=(3, 3)), dtype="float32", device="cuda") for _ in range(60)]
    adam = optim.Adam(params)
    for p in params:
        p.grad = Tensor(rng.normal(size=(3, 3)).astype("f4"), device="cuda")
    adam.step()                                                 # makes the state
    launches, waits = len(card._device.launches), len(card._device.waits)
    optim.clip_grad_norm_(params, 1.0)
    adam.step()
    assert [what for what, *_ in card._device.launches[launches:]] == [
        "squares_of_blocks", "norm_of_blocks", "clip_by_norm", "adam_step"]
    assert len(card._device.waits) == waits


def test_a_norm_over_two_devices_is_refused(card):
    params = [nn.Parameter([1.0], device=device) for device in ("cpu", "cuda")]
    for p in params:
        p.grad = Tensor(p.data)
    with pytest.raises(RuntimeError, match="clip_grad_norm_: gradients are on 'cpu' and 'cuda'"):
        optim.clip_grad_norm_(params, 1.0)


def test_a_captured_step_with_clipping_gives_the_same_bits(card, rng):
    images, labels = rng.normal(size=(4, 5)).astype("f4"), np.array([0, 2, 1, 2])
    weights = rng.normal(size=(5, 3)).astype("f4")

    def trained(wrap):
        w = nn.Parameter(weights.copy(), device="cuda")
        adam = optim.AdamW([w], lr=0.1)

        def step(x, y):
            adam.zero_grad()
            loss = ops.cross_entropy(ops.matmul(x, w), y)
            loss.backward()
            norm = optim.clip_grad_norm_([w], 0.1)
            adam.step()
            return loss, norm

        step = wrap(step)
        seen = [step(Tensor(images, device="cuda"), Tensor(labels, device="cuda")) for _ in range(4)]
        return [float(value) for pair in seen for value in pair] + w.cpu().numpy().tolist()

    assert trained(nanoemo.capture) == trained(lambda step: step)
