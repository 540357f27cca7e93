"""A captured step and the arrays it was recorded with: gradients, and parameters and states that get others."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, nn, ops, optim
from small_steps import batches, small_model


def learning(device, optimizer_class=optim.Adam, **options):
    """A model, its optimiser, and a step of forward and backward alone."""
    nanoemo.manual_seed(3)
    model = small_model().to(device)
    optimizer = optimizer_class(model.parameters(), lr=0.05, **options)

    def step(x, labels):
        loss = ops.cross_entropy(model(x), labels)
        loss.backward()
        return loss

    return model, optimizer, step


def test_gradients_are_those_of_the_step_that_was_launched(card, rng):
    data, gradients = batches(rng, [8, 8, 8, 5, 8, 8, 5, 5, 8]), []
    for captured in (False, True):
        model, optimizer, step = learning("cuda")
        run, of_each = nanoemo.capture(step) if captured else step, []
        for x, labels in data:
            optimizer.zero_grad()
            run(Tensor(x, device="cuda"), Tensor(labels, device="cuda"))
            of_each.append([parameter.grad.cpu().numpy().tobytes() for parameter in model.parameters()])
            optimizer.step()
        gradients.append(of_each)
    assert gradients[0] == gradients[1]


def test_gradients_that_a_step_forgets_are_forgotten(card, rng):
    """Two captured steps, each of one head of a network; the optimiser, outside, moves what has a gradient."""
    ends, data = [], batches(rng, [8] * 4)
    for captured in (False, True):
        nanoemo.manual_seed(3)
        body, heads = nn.Linear(6, 4).to("cuda"), [nn.Linear(4, 3).to("cuda") for _ in range(2)]
        parameters = [*body.parameters(), *heads[0].parameters(), *heads[1].parameters()]
        optimizer = optim.SGD(parameters, lr=0.1)

        def of(head):
            def step(x, labels):
                optimizer.zero_grad()
                ops.cross_entropy(head(body(x)), labels).backward()
                return labels
            return nanoemo.capture(step) if captured else step

        steps = [of(head) for head in heads]
        for x, labels in data:
            for step in steps:
                step(Tensor(x, device="cuda"), Tensor(labels, device="cuda"))
                optimizer.step()
        ends.append([parameter.cpu().numpy() for parameter in parameters])
    for plain, recorded in zip(*ends):
        np.testing.assert_array_equal(plain, recorded)


def test_gradients_are_not_added_up_over_captured_steps(card, rng):
    (x, labels), = batches(rng, [8])
    model, optimizer, step = learning("cuda")
    run = nanoemo.capture(step)
    for _ in range(3):
        optimizer.zero_grad()
        run(Tensor(x, device="cuda"), Tensor(labels, device="cuda"))
    with pytest.raises(RuntimeError, match="capture: the step would add to gradients of an earlier one"):
        run(Tensor(x, device="cuda"), Tensor(labels, device="cuda"))


def test_what_is_written_into_the_same_array_is_not_recorded_anew(card):
    p, x, calls = nn.Parameter([1.0]).to("cuda").detach(), Tensor([1.0], device="cuda"), []

    def step(x):
        calls.append(x)
        return p * x

    run, results = nanoemo.capture(step), []
    for _ in range(4):
        results.append(run(x).item())
        p.data *= 2
    assert results == [1, 2, 4, 8] and len(calls) == 2


def go_back(model, optimizer, state):
    model.load_state_dict(state[0])
    optimizer.load_state_dict(state[1])


def away_and_back(model, optimizer, state):
    model.to("cpu")
    model.to("cuda")


def other_arrays(model, optimizer, state):
    for parameter in model.parameters():
        parameter.data = parameter.data * 0.5


@pytest.mark.parametrize("move", [go_back, away_and_back, other_arrays])
@pytest.mark.parametrize("optimizer_class, options", [(optim.Adam, {}), (optim.SGD, {"momentum": 0.9})])
def test_what_gets_other_arrays_is_recorded_anew(card, rng, move, optimizer_class, options):
    ends, data = [], batches(rng, [8] * 10)
    for captured in (False, True):
        model, optimizer, step = learning("cuda", optimizer_class, **options)

        def learn(x, labels):
            optimizer.zero_grad()
            loss = step(x, labels)
            optimizer.step()
            return loss

        run = nanoemo.capture(learn) if captured else learn
        for number, (x, labels) in enumerate(data):
            if number == 3:
                state = model.state_dict(), optimizer.state_dict()
            if number == 6:
                move(model, optimizer, state)
            run(Tensor(x, device="cuda"), Tensor(labels, device="cuda"))
        ends.append({**model.state_dict(), **optimizer.state_dict()})
    for name in ends[0]:
        np.testing.assert_array_equal(ends[0][name], ends[1][name], err_msg=name)
