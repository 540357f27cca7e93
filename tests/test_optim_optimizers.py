"""Optimisers: the same steps as PyTorch's, what they remember, what they refuse; gradient clipping."""
import numpy as np
import pytest

from nanoemo import Tensor, kernels, nn, optim

STEPS = 5
SHAPES = [(3, 4), (4,), (2, 3, 2)]

CASES = {     # ours, PyTorch's class name, its arguments
    "sgd": (optim.SGD, "SGD", dict(lr=0.1)),
    "sgd, weight decay": (optim.SGD, "SGD", dict(lr=0.1, weight_decay=0.01)),
    "momentum": (optim.SGD, "SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.01)),
    "nesterov": (optim.SGD, "SGD", dict(lr=0.1, momentum=0.9, nesterov=True)),
    "rmsprop": (optim.RMSprop, "RMSprop", dict(lr=0.01, alpha=0.9, weight_decay=0.01)),
    "rmsprop defaults": (optim.RMSprop, "RMSprop", {}),
    "adam": (optim.Adam, "Adam", dict(lr=0.01, betas=(0.8, 0.99), weight_decay=0.01)),
    "adam defaults": (optim.Adam, "Adam", {}),
    "adamw": (optim.AdamW, "AdamW", dict(lr=0.01, weight_decay=0.1)),
    "adamw defaults": (optim.AdamW, "AdamW", {}),
}


def parameters(device, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(rng.normal(size=shape), dtype=dtype, device=device) for shape in SHAPES]


def gradients(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in SHAPES]


def give_gradients(params, seed):
    for parameter, gradient in zip(params, gradients(seed)):
        parameter.grad = Tensor(gradient, dtype=parameter.dtype, device=parameter.device)


@pytest.mark.parametrize("case", CASES)
def test_steps_equal_torch(torch, device, case):
    ours, name, options = CASES[case]
    params = parameters(device)
    theirs = [torch.tensor(p.cpu().detach().numpy().copy(), requires_grad=True) for p in params]
    optimizer = ours(params, **({"lr": 0.01} | options))
    expected = getattr(torch.optim, name)(theirs, **({"lr": 0.01} | options))
    for step in range(STEPS):
        give_gradients(params, step)
        for parameter, gradient in zip(theirs, gradients(step)):
            parameter.grad = torch.tensor(gradient)
        optimizer.step()
        expected.step()
    for parameter, other in zip(params, theirs):
        np.testing.assert_allclose(parameter.cpu().detach().numpy(), other.detach().numpy(), rtol=1e-9)


def test_a_step_that_fails_is_not_counted(device):
    def broken(*_, **__):
        raise ValueError("no")

    params = parameters(device)
    optimizer = optim.Adam(params)
    give_gradients(params, 0)
    with kernels.override(adam_step=broken), pytest.raises(ValueError, match="no"):
        optimizer.step()
    assert optimizer.step_counts == [0] * len(params)
    optimizer.step()
    assert optimizer.step_counts == [1] * len(params)


@pytest.mark.parametrize("case", CASES)
def test_a_step_writes_in_place_and_stays_float32(device, case):
    make, _, options = CASES[case]
    params = parameters(device, dtype="float32")
    arrays = [p.array for p in params]
    optimizer = make(params, **({"lr": 0.01} | options))
    give_gradients(params, 0)
    optimizer.step()
    assert all(p.array is array and p.dtype == np.float32 for p, array in zip(params, arrays))


@pytest.mark.parametrize("case", CASES)
def test_going_on_from_a_saved_state_gives_the_same_bits(device, case):
    make, _, options = CASES[case]

    def run(params, optimizer, steps):
        for step in steps:
            give_gradients(params, step)
            optimizer.step()

    params = parameters(device)
    optimizer = make(params, **({"lr": 0.01} | options))
    run(params, optimizer, range(3))
    copies = [nn.Parameter(p.array.copy()) for p in params]
    resumed = make(copies, **({"lr": 0.5} | options))
    resumed.load_state_dict({name: np.asarray(value) for name, value in optimizer.state_dict().items()})
    run(params, optimizer, range(3, 6))
    run(copies, resumed, range(3, 6))
    assert resumed.lr == optimizer.lr
    for a, b in zip(params, copies):
        np.testing.assert_array_equal(a.cpu().detach().numpy(), b.cpu().detach().numpy())


def test_parameters_without_gradient_stay_and_start_their_own_count_later(torch):
    params = parameters("cpu")
    theirs = [torch.tensor(p.numpy().copy(), requires_grad=True) for p in params]
    optimizer, expected = optim.Adam(params, lr=0.01), torch.optim.Adam(theirs, lr=0.01)
    for step in range(6):
        give_gradients(params, step)
        for parameter, gradient in zip(theirs, gradients(step)):
            parameter.grad = torch.tensor(gradient)
        if step < 3:
            params[1].grad = theirs[1].grad = None
        optimizer.step()
        expected.step()
    for parameter, other in zip(params, theirs):
        np.testing.assert_allclose(parameter.numpy(), other.detach().numpy(), rtol=1e-9)


def test_a_step_between_forward_and_backward_is_noticed():
    p = nn.Parameter([1.0, 2.0])
    p.grad = Tensor([1.0, 1.0])
    loss = (p * p).sum()
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_zero_grad_forgets():
    params = parameters("cpu")
    give_gradients(params, 0)
    optim.SGD(params, lr=0.1).zero_grad()
    assert all(p.grad is None for p in params)


def test_the_state_is_copies():
    params = parameters("cpu")
    optimizer = optim.Adam(params)
    give_gradients(params, 0)
    optimizer.step()
    state = optimizer.state_dict()
    before = state["mean.0"].copy()
    optimizer.step()
    np.testing.assert_array_equal(state["mean.0"], before)
    slots = [f"{name}.{i}" for name in ("mean", "square") for i in range(3)]
    assert list(state) == ["lr", "betas", "eps", "weight_decay", "step_counts", *slots]


@pytest.mark.parametrize("make, options", [
    (optim.AdamW, {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.3}),
    (optim.RMSprop, {"alpha": 0.5, "weight_decay": 0.1}),
    (optim.SGD, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.2})])
def test_the_state_holds_all_that_steps_depend_on(make, options):
    params = parameters("cpu")
    optimizer = make(params, lr=0.1, **options)
    give_gradients(params, 0)
    optimizer.step()
    copies = [nn.Parameter(p.numpy().copy()) for p in params]
    other = make(copies, lr=0.5, **({"momentum": 0.1} if "momentum" in options else {}))
    other.load_state_dict({name: np.asarray(value) for name, value in optimizer.state_dict().items()})
    assert {name: getattr(other, name) for name in options} == options
    for step in (1, 2):
        for each, mine in ((optimizer, params), (other, copies)):
            give_gradients(mine, step)
            each.step()
    for a, b in zip(params, copies):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_an_optimiser_of_ones_own_has_the_settings_that_it_names():
    class Plain(optim.Optimizer):
        def update(self, device, params, grads, slots, step, lr):
            for p, g in zip(params, grads):
                p -= lr * g

    class Shrinking(Plain):
        hyper_names = ("shrink",)

        def __init__(self, params, lr, shrink=0.5):
            super().__init__(params, lr, shrink=shrink)

    assert list(Plain(parameters("cpu"), 0.1).state_dict()) == ["lr", "step_counts"]
    other = Shrinking(parameters("cpu"), 0.1)
    other.load_state_dict(Shrinking(parameters("cpu"), 0.2, shrink=0.25).state_dict())
    assert (other.lr, other.shrink) == (0.2, 0.25)


def test_a_state_that_does_not_fit_is_refused_whole():
    params = parameters("cpu")
    give_gradients(params, 0)
    adam, sgd = optim.Adam(params), optim.SGD(params, lr=0.1)
    adam.step()
    state = adam.state_dict() | {"mean.1": np.ones(3)}
    del state["lr"]
    with pytest.raises(ValueError) as error:
        adam.load_state_dict(state)
    assert "lr: missing" in str(error.value) and "mean.1: expected shape (4,), got (3,)" in str(error.value)
    state = adam.state_dict()
    del state["mean.0"], state["betas"]
    with pytest.raises(ValueError, match="\n  betas: missing\n  mean.0: missing$"):
        adam.load_state_dict(state)
    before, words = adam.state_dict(), np.full(4, "one")
    with pytest.raises(ValueError, match="\n  lr: expected an array of numbers, got str .*\n  mean.1: expected an array of"):
        adam.load_state_dict({**before, "lr": "fast", "step_counts": before["step_counts"] + 1, "mean.1": words})
    assert adam.state_dict()["lr"] == before["lr"] and (adam.state_dict()["step_counts"] == before["step_counts"]).all()
    with pytest.raises(ValueError, match="does not fit this SGD over 3 parameters:\n(.*\n)*  mean.0: unexpected"):
        sgd.load_state_dict(adam.state_dict())


P = nn.Parameter([1.0])


@pytest.mark.parametrize("make, error, message", [
    (lambda: optim.SGD([], lr=0.1), ValueError, "SGD: there are no parameters to change"),
    (lambda: optim.SGD([P, P], lr=0.1), ValueError, "parameters 0 and 1 are the same tensor"),
    (lambda: optim.SGD([np.ones(2)], lr=0.1), TypeError, "parameter 0 must be a Tensor, got ndarray"),
    (lambda: optim.SGD(P, lr=0.1), TypeError, r"expected a list of parameters, got Parameter; .* or \[parameter\]"),
    (lambda: optim.SGD(nn.Linear(1, 1).parameters, lr=0.1), TypeError, r"got method; pass model.parameters\(\)"),
    (lambda: optim.SGD([P * 2], lr=0.1), ValueError, "parameter 0 was made by mul, so it gets no gradient"),
    (lambda: optim.SGD([P], lr=-1), ValueError, "SGD: lr must be a finite number, at least 0, got -1"),
    (lambda: optim.SGD([P], lr="0.1"), ValueError, "SGD: lr must be a finite number, at least 0, got '0.1'"),
    (lambda: optim.SGD([P], lr=float("nan")), ValueError, "SGD: lr must be a finite number"),
    (lambda: optim.SGD([P], lr=0.1, nesterov=True), ValueError, "give momentum > 0"),
    (lambda: optim.Adam([P], betas=(0.9, 1.0)), ValueError, r"Adam: betas\[1\] must be .* below 1, got 1.0"),
    (lambda: optim.Adam([P], weight_decay=-1), ValueError, "Adam: weight_decay must be"),
    *((lambda kind=kind, betas=betas: kind([P], betas=betas), ValueError, rf"{kind.__name__}: betas must be two numbers, such as")
      for kind in (optim.Adam, optim.AdamW) for betas in ((0.9,), (0.9, 0.99, 0.999), 0.9)),
    (lambda: optim.RMSprop([P], alpha=2), ValueError, "RMSprop: alpha must be at least 0 and below 1"),
    (lambda: optim.build("adm", [P]), ValueError, "no optimiser called 'adm'; did you mean adam"),
    (lambda: optim.clip_grad_norm_([P], -1), ValueError, "clip_grad_norm_: max_norm"),
    (lambda: optim.clip_grad_value_([P], -1), ValueError, "clip_grad_value_: max_value"),
])
def test_arguments_out_of_range_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_by_norm_equals_torch(torch, device, max_norm):
    params = parameters(device)
    give_gradients(params, 0)
    theirs = [torch.zeros(p.shape, dtype=torch.float64) for p in params]
    for parameter, gradient in zip(theirs, gradients(0)):
        parameter.grad = torch.tensor(gradient)
    norm = optim.clip_grad_norm_(params, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    np.testing.assert_allclose(float(norm), expected.item(), rtol=1e-12)
    for parameter, other in zip(params, theirs):
        np.testing.assert_allclose(parameter.grad.cpu().numpy(), other.grad.numpy(), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clipping_by_norm_does_not_hide_what_is_not_finite(torch, device, bad):
    p, theirs = nn.Parameter([1.0, 2.0], device=device), torch.zeros(2)
    p.grad = Tensor(np.array([1.0, bad], np.float32), device=device)
    theirs.grad = torch.tensor([1.0, bad])
    torch.nn.utils.clip_grad_norm_([theirs], 1.0)
    assert not np.isfinite(float(optim.clip_grad_norm_([p], 1.0)))
    assert np.isnan(p.grad.cpu().numpy()[1])
    np.testing.assert_array_equal(p.grad.cpu().numpy(), theirs.grad.numpy())


@pytest.mark.filterwarnings("ignore:overflow")
def test_gradients_whose_squares_are_too_large_for_float32_are_clipped_all_the_same(device):
    params = [nn.Parameter(np.zeros(size, np.float32), device=device) for size in (3000, 2)]
    for p, value in zip(params, (3e30, 0.0)):
        p.grad = Tensor(np.full(p.shape, value, np.float32), device=device)
    params[1].grad.data[0] = 1e30
    norm = float(optim.clip_grad_norm_(params, 1.0))
    assert norm == pytest.approx((3000 * 9 + 1) ** 0.5 * 1e30, rel=1e-6)
    np.testing.assert_allclose(params[0].grad.cpu().numpy(), 3e30 / norm, rtol=1e-5)
    np.testing.assert_allclose(params[1].grad.cpu().numpy(), [1e30 / norm, 0], rtol=1e-5)


def test_clipping_by_value_equals_numpy(device):
    params = parameters(device)
    give_gradients(params, 0)
    optim.clip_grad_value_(params, 0.5)
    for parameter, gradient in zip(params, gradients(0)):
        np.testing.assert_array_equal(parameter.grad.cpu().numpy(), gradient.clip(-0.5, 0.5))


def test_clipping_stays_float32_and_skips_what_has_no_gradient():
    params = parameters("cpu", dtype="float32")
    assert optim.clip_grad_norm_(params, 1.0) == 0.0
    give_gradients(params, 0)
    params[0].grad = None
    optim.clip_grad_norm_(params, 0.1)
    optim.clip_grad_value_(params, 0.01)
    assert params[0].grad is None and params[1].grad.dtype == np.float32


def test_clipping_takes_one_tensor_as_well():
    p = nn.Parameter([3.0, 4.0])
    (p * p).sum().backward()
    assert optim.clip_grad_norm_(p, 5.0) == 10.0
    optim.clip_grad_value_(p, 3.5)
    assert p.grad.numpy().round(3).tolist() == [3.0, 3.5]
