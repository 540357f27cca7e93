"""Schedules: PyTorch's rates, epoch by epoch, and that a resumed one goes on the same."""
import json

import pytest

from nanoemo import nn, optim

EPOCHS = 12

CASES = {     # ours, and PyTorch's with its arguments
    "StepLR": (lambda o: optim.StepLR(o, 3, gamma=0.5), "StepLR", dict(step_size=3, gamma=0.5)),
    "MultiStepLR": (lambda o: optim.MultiStepLR(o, [2, 5, 5], 0.1), "MultiStepLR",
                    dict(milestones=[2, 5, 5], gamma=0.1)),
    "ExponentialLR": (lambda o: optim.ExponentialLR(o, 0.9), "ExponentialLR", dict(gamma=0.9)),
    "LinearWarmup": (lambda o: optim.LinearWarmup(o, 5, start=0.2), "LinearLR",
                     dict(start_factor=0.2, total_iters=5)),
    "CosineAnnealingLR": (lambda o: optim.CosineAnnealingLR(o, EPOCHS, min_lr=0.01), "CosineAnnealingLR",
                          dict(T_max=EPOCHS, eta_min=0.01)),
}

ALL = {name: make for name, (make, _, _) in CASES.items()} | {
    "warm-up, then cosine": lambda o: optim.LinearWarmup(o, 3, after=optim.CosineAnnealingLR(o, EPOCHS - 3))}


def optimizer(lr=0.5):
    return optim.SGD([nn.Parameter([1.0])], lr)


@pytest.mark.parametrize("case", CASES)
def test_rates_equal_torch(torch, case):
    make, name, options = CASES[case]
    ours = optimizer()
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule, expected = make(ours), getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for epoch in range(EPOCHS):
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9), f"epoch {epoch}"
        schedule.step()
        theirs.step()
        expected.step()


def test_warm_up_and_then_another_equals_torch(torch):
    ours, theirs = optimizer(), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = optim.LinearWarmup(ours, 3, start=0.1, after=optim.ExponentialLR(ours, 0.8))
    lr = torch.optim.lr_scheduler
    parts = [lr.LinearLR(theirs, 0.1, total_iters=3), lr.ExponentialLR(theirs, 0.8)]
    expected = lr.SequentialLR(theirs, parts, milestones=[3])
    for _ in range(EPOCHS):
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9)
        schedule.step()
        theirs.step()
        expected.step()


def test_what_cannot_follow_a_warm_up_is_refused():
    ours = optimizer()
    with pytest.raises(TypeError, match="after must be a schedule that depends on the epoch alone, got ReduceLROnPlateau"):
        optim.LinearWarmup(ours, 2, after=optim.ReduceLROnPlateau(ours))
    with pytest.raises(ValueError, match="after is a schedule of another optimiser; make StepLR with this one"):
        optim.LinearWarmup(ours, 2, after=optim.StepLR(optimizer(), 2))


LOSSES = [1.0, 0.9, 0.9, 0.95, 0.89999, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]


def test_plateau_equals_torch(torch):
    ours, theirs = optimizer(), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = optim.ReduceLROnPlateau(ours, factor=0.5, patience=2, min_lr=0.2)
    expected = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, factor=0.5, patience=2, min_lr=0.2)
    for loss in LOSSES:
        schedule.step(loss)
        expected.step(loss)
        assert ours.lr == theirs.param_groups[0]["lr"]
    assert ours.lr == 0.2


@pytest.mark.parametrize("case", ALL)
def test_a_resumed_schedule_goes_on_the_same(case):
    schedule, resumed = ALL[case](optimizer()), ALL[case](optimizer(lr=0.3))
    for _ in range(4):
        schedule.step()
    resumed.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for _ in range(EPOCHS - 4):
        assert resumed.optimizer.lr == schedule.optimizer.lr
        schedule.step()
        resumed.step()


def test_a_resumed_plateau_goes_on_the_same():
    schedule, resumed = (optim.ReduceLROnPlateau(optimizer(), patience=1) for _ in range(2))
    assert json.loads(json.dumps(schedule.state_dict()))["best"] is None
    for loss in LOSSES[:5]:
        schedule.step(loss)
    resumed.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for loss in LOSSES[5:]:
        schedule.step(loss)
        resumed.step(loss)
        assert resumed.optimizer.lr == schedule.optimizer.lr


@pytest.mark.parametrize("make, message", [
    (lambda o: optim.StepLR(o, 0), "StepLR: step_size must be at least 1, got 0"),
    (lambda o: optim.CosineAnnealingLR(o, 0), "CosineAnnealingLR: epochs must be at least 1"),
    (lambda o: optim.LinearWarmup(o, 0), "LinearWarmup: epochs must be at least 1"),
    (lambda o: optim.ReduceLROnPlateau(o, factor=1.5), "ReduceLROnPlateau: factor must lie between 0 and 1"),
    (lambda o: optim.StepLR(o, 1).load_state_dict({"epoch": 1}), "StepLR expects base_lr, epoch; got epoch"),
])
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer())


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_better_is_a_share_of_the_loss(torch, size):
    ours, theirs = optimizer(), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = optim.ReduceLROnPlateau(ours, factor=0.5, patience=1, threshold=1e-3)
    expected = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, factor=0.5, patience=1, threshold=1e-3)
    for loss in (1, 0.9995, 0.9992, 0.9991, 0.95, 0.9496, 0.9492, 0.9491):
        schedule.step(size * loss)
        expected.step(size * loss)
        assert ours.lr == theirs.param_groups[0]["lr"]
    assert ours.lr < 0.5
