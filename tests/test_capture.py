"""A captured step gives the bits of the step itself, and does not wait for the card."""
import gc
from types import SimpleNamespace

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, backend, live, nn, ops, optim
from nanoemo.data import DataLoader, ImageSet
from nanoemo.graph_memory import NO_MEMORY, graph_memory
from nanoemo.training import Callback, Trainer
from small_steps import batches, small_model


def train(device, captured, batches, rates):
    """(losses, final state, optimiser's state) of a training with these batches and learning rates."""
    nanoemo.manual_seed(7)
    model = small_model().to(device)
    optimizer = optim.Adam(model.parameters(), lr=rates[0], weight_decay=1e-3)

    def step(x, labels):
        loss = ops.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run = nanoemo.capture(step) if captured else step
    losses = []
    for (x, labels), rate in zip(batches, rates, strict=True):
        optimizer.lr = rate
        losses.append(run(Tensor(x, device=device), Tensor(labels, device=device)))
    return [loss.item() for loss in losses], model.state_dict(), optimizer.state_dict()


def test_same_bits_as_without(device, rng):
    data, rates = batches(rng, [8, 8, 8, 5, 8, 5, 5, 8]), [0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.02, 0.02]
    plain, recorded = (train(device, captured, data, rates) for captured in (False, True))
    assert plain[0] == recorded[0]
    for before, after in zip(plain[1:], recorded[1:]):
        for name in before:
            np.testing.assert_array_equal(before[name], after[name], err_msg=name)


def test_a_mask_as_an_index_is_refused_with_the_step(card):
    """CuPy reads back how many are true."""
    def step(x):
        y = x * 1
        y.array[y.array < 0] = 0
        return y

    run, x = nanoemo.capture(step), Tensor([-1.0, 1.0], device="cuda")
    assert run(x).cpu().numpy().tolist() == [0, 1]
    with pytest.raises(RuntimeError, match="capture: step cannot be recorded"):
        run(x)


def test_a_replay_launches_no_kernel_of_its_own(card, rng):
    launches = card_log(card).launches
    x = Tensor(rng.normal(size=(4, 6)).astype(np.float32), device="cuda")
    model = small_model().to("cuda")
    run = nanoemo.capture(lambda x: model(x).relu())
    counts = []
    for _ in range(4):
        before = len(launches)
        run(x)
        counts.append(len(launches) - before)
    assert counts[0] > counts[2] == counts[3]
    assert not [name for name, *_ in launches[-counts[3]:] if name != "operation"]      # a copy in, a copy out


def test_dropout_differs_from_replay_to_replay(card):
    x = Tensor(np.ones((50, 50), np.float32), device="cuda")
    run = nanoemo.capture(lambda x: ops.dropout(x, 0.5, training=True))
    results = [run(x).cpu().numpy() for _ in range(4)]
    assert all((a != b).any() for a, b in zip(results, results[1:]))


def test_results_are_copies(card):
    double = nanoemo.capture(lambda x: (x * 2, x + 1))
    results = [double(Tensor([float(k)], device="cuda")) for k in range(4)]
    assert [(a.item(), b.item()) for a, b in results] == [(0, 1), (2, 2), (4, 3), (6, 4)]


@pytest.mark.parametrize("wrong", [lambda x: Tensor(x.sum().item(), device="cuda"), lambda x: x + 1 if x.sum() > 0 else x,
                                   lambda x: x * Tensor([2.0], device="cuda")], ids=["item", "if", "upload"])
def test_what_cannot_be_recorded_is_said(card, wrong):
    x = Tensor([1.0, 2.0], device="cuda")
    run = nanoemo.capture(wrong)
    run(x)
    with pytest.raises(RuntimeError, match="capture: .* cannot be recorded: .*nothing may be read back"):
        run(x)
    assert (x * 2).cpu().numpy().tolist() == [2, 4]         # the card goes on


def test_a_parameter_that_joins_while_recording(card):
    model = nn.Linear(2, 1).to("cuda")
    model.freeze()
    other = nn.Parameter(np.ones((), np.float32)).to("cuda").detach()
    other.requires_grad = True
    optimizer = optim.Adam([*model.parameters(), other], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = (model(x) * other).sum()
        loss.backward()
        optimizer.step()
        return loss

    run, x = nanoemo.capture(step), Tensor([[1.0, 2.0]], device="cuda")
    run(x)
    model.unfreeze()
    with pytest.raises(RuntimeError, match="Adam: parameter 0 has a gradient for the first time"):
        run(x)


def test_a_kernel_swapped_in_is_used_and_put_away_again(card):
    run, x = nanoemo.capture(lambda x: x.relu()), Tensor([-1.0, 1.0], device="cuda")
    for _ in range(3):
        assert run(x).cpu().numpy().tolist() == [0, 1]
    with nanoemo.kernels.override(relu_forward=lambda x: (x * 10, x), relu_backward=lambda dy, x: dy):
        assert [run(x).cpu().numpy().tolist() for _ in range(3)] == [[-10, 10]] * 3
    assert run(x).cpu().numpy().tolist() == [0, 1]


def test_watched_modules_are_seen(card, rng):
    model = small_model().to("cuda")
    run, x = nanoemo.capture(lambda x: model(x)), Tensor(rng.normal(size=(4, 6)).astype(np.float32), device="cuda")
    run(x), run(x)
    seen = []
    with nn.watch(lambda module, output: seen.append(type(module).__name__)):
        run(x)
    assert seen == ["Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear", "Sequential"]


def test_what_a_step_depends_on_besides_its_tensors(card):
    factor = [2.0]
    run, x = nanoemo.capture(lambda x: x * factor[0], depends_on=lambda: factor[0]), Tensor([1.0], device="cuda")
    results = []
    for factor[0] in (2.0, 2.0, 3.0, 3.0, 3.0, 2.0):
        results.append(run(x).item())
    assert results == [2, 2, 3, 3, 3, 2]


def test_no_grad_has_a_recording_of_its_own(card):
    run, x = nanoemo.capture(lambda x: x * (2.0 if nanoemo.is_grad_enabled() else 3.0)), Tensor([1.0], device="cuda")
    for _ in range(3):
        assert run(x).item() == 2
        with nanoemo.no_grad():
            assert run(x).item() == 3


def test_a_recording_keeps_its_results_and_not_what_they_came_from(card, rng):
    model, x = small_model().to("cuda"), Tensor(rng.normal(size=(4, 6)).astype(np.float32), device="cuda")
    run = nanoemo.capture(lambda x: model(x))
    for _ in range(3):
        run(x)
    gc.collect()
    assert [parameter.guard.savers for parameter in model.parameters()] == 6 * [0]


def test_numbers_on_their_way_are_waited_for_before_a_recording_goes(card, monkeypatch):
    """Their memory on the host would be given to others while the card may still read it."""
    log, x = card_log(card), Tensor([1.0, 2.0], device="cuda")
    run = nanoemo.capture(lambda x: ops.dropout(x, 0.5, training=True))
    for _ in range(3):
        run(x)
    monkeypatch.setattr(card.cuda.Event, "done", False)
    before = len(log.waits)
    del run
    gc.collect()
    assert log.waits[before:] == live.AHEAD * ["event.synchronize"]


def test_a_step_that_gives_other_arrays_itself_is_not_recorded(card):
    p, x = nn.Parameter([1.0]).to("cuda").detach(), Tensor([1.0], device="cuda")

    def double(x):
        p.data = p.data * 2
        return p * x

    run = nanoemo.capture(double)
    assert [run(x).item() for _ in range(4)] == [2, 4, 8, 16]


def test_what_a_record_cannot_follow_is_said(card):
    model, x, moves = nn.Linear(2, 1).to("cuda"), Tensor([[1.0, 2.0]], device="cuda"), []

    def adds_up(x):
        loss = model(x).sum()
        loss.backward()
        return loss

    def moves_later(x):
        if moves:
            model.weight.data = model.weight.data * 2
        moves.append(True)
        return model(x)

    for step, message in ((adds_up, "begin with zero_grad"), (moves_later, "gives a tensor another array")):
        run = nanoemo.capture(step)
        run(x)
        with pytest.raises(RuntimeError, match=f"capture: {step.__name__} cannot be recorded: .*{message}"):
            run(x)


def test_a_step_that_cannot_be_recorded_leaves_no_gradients_that_were_never_computed(card):
    model, x = nn.Linear(2, 1).to("cuda"), Tensor([[1.0, 2.0]], device="cuda")

    def step(x):
        model.zero_grad()
        loss = model(x).sum()
        loss.backward()
        return Tensor(loss.item(), device="cuda")

    run = nanoemo.capture(step)
    run(x)
    with pytest.raises(RuntimeError, match="cannot be recorded"):
        run(x)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gradient_of_an_argument_is_taken_inside(device):
    model = nn.Linear(2, 1).to(device)

    def saliency(x):
        x = x.detach()
        x.requires_grad = True
        model.zero_grad()
        model(x).sum().backward()
        return x.grad

    x, run = Tensor([[1.0, 2.0]], device=device), nanoemo.capture(saliency)
    for _ in range(3):
        np.testing.assert_array_equal(run(x).cpu().numpy(), model.weight.cpu().numpy().T)
    x.requires_grad = True
    with pytest.raises(ValueError, match="capture: saliency was given a tensor that requires a gradient"):
        run(x)


def test_a_step_without_tensors_is_simply_called():
    assert [nanoemo.capture(lambda: 5)() for _ in range(3)] == [5, 5, 5]


def test_more_arrays_than_cupy_joins_without_sending_their_addresses(card):
    parts = [Tensor([float(k)], device="cuda") for k in range(20)]
    run = nanoemo.capture(lambda *parts: ops.concat(parts))
    for _ in range(3):
        assert run(*parts).cpu().numpy().tolist() == list(range(20))


def test_only_the_numbers_that_a_step_needs_are_sent(card, monkeypatch):
    sent, original = [], card.ndarray.set
    monkeypatch.setattr(card.ndarray, "set", lambda self, array, stream=None: sent.append(array.size) or original(self, array))
    x = Tensor(np.ones(3), device="cuda")
    plain, two = nanoemo.capture(lambda x: x + 1), nanoemo.capture(lambda x: ops.dropout(ops.dropout(x, 0.5, True), 0.5, True))
    for _ in range(2):
        plain(x), two(x)
    assert sent == [2]


def test_memory_of_graphs_goes_back_to_the_card_after_the_last(card):
    gc.collect()
    memory, x = graph_memory(), Tensor(np.ones(1 << 16, np.float32), device="cuda")
    before = memory.graphs
    runs = [nanoemo.capture(lambda x: (x + 1) * 2) for _ in range(2)]
    for run in runs:
        run(x), run(x)
    assert memory.graphs == before + 2 and memory.pool.total_bytes() >= x.array.nbytes
    del run, runs
    gc.collect()
    assert memory.graphs == before
    assert before or memory.pool.total_bytes() == 0


def test_a_graph_that_goes_while_another_is_recorded_takes_no_memory_with_it(card, monkeypatch):
    """A trainer and its graph refer to each other, so the collector takes them away at any time, in a recording too."""
    gc.collect()
    memory, emptied = graph_memory(), []
    monkeypatch.setattr(memory, "pool", SimpleNamespace(
        malloc=memory.pool.malloc, total_bytes=memory.pool.total_bytes, free_all_blocks=lambda: emptied.append("pool")))
    x, others = Tensor([1.0, 2.0], device="cuda"), [nanoemo.capture(lambda x: x + 1)]
    others[0](x), others[0](x)

    def step(x):
        if live.capturing():
            others.clear()
            gc.collect()
        return x * 2

    run = nanoemo.capture(step)
    run(x)
    assert run(x).cpu().numpy().tolist() == [2, 4] and emptied == []


def test_ctrl_c_while_a_step_is_recorded_ends_the_recording(card):
    calls = []

    def step(x):
        calls.append(x)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return x + 1

    run, x = nanoemo.capture(step), Tensor([1.0], device="cuda")
    run(x)
    before = graph_memory().graphs
    with pytest.raises(KeyboardInterrupt):
        run(x)
    gc.collect()
    assert graph_memory().graphs == before and live.capturing() is None
    assert run(x).item() == 2 and nanoemo.capture(lambda x: x * 3)(x).item() == 3


def test_a_full_card_does_not_make_the_pool_give_back_what_graphs_use(card, monkeypatch):
    def no_memory(size):
        raise card.cuda.runtime.CUDARuntimeError(NO_MEMORY)

    monkeypatch.setattr(graph_memory(), "cuda", SimpleNamespace(
        Memory=no_memory, MemoryPointer=None, memory=card.cuda.memory,
        runtime=SimpleNamespace(CUDARuntimeError=card.cuda.runtime.CUDARuntimeError)))
    with pytest.raises(card.cuda.memory.OutOfMemoryError, match="allocating 1,024 bytes"):
        graph_memory()._from_card(1024)


def faces(rng, count):
    return ImageSet(rng.integers(0, 256, (count, 2, 3, 1), np.uint8), rng.integers(0, 3, count), ("a", "b", "c"))


def run_trainer(device, rng, epochs=3):
    nanoemo.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), small_model()).to(device)
    loader = DataLoader(faces(rng, 44), batch_size=8, shuffle=True, transform=lambda images, rng: images / 255)
    # SGD: Adam would turn the rounding noise of a gradient that is 0, of the bias before batch norm, into whole steps.
    trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9), ops.cross_entropy, loader, loader)
    return trainer, trainer.fit(epochs)


def test_trainer_learns_the_same_on_both_devices(card):
    (_, on_cpu), (_, on_card) = (run_trainer(device, np.random.default_rng(0)) for device in ("cpu", "cuda"))
    for a, b in zip(on_cpu, on_card, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert a[name] == pytest.approx(b[name], rel=1e-4), name


def test_a_trainer_that_goes_back_learns_the_same_again(device):
    trainer, _ = run_trainer(device, np.random.default_rng(0), epochs=2)
    state = trainer.state()
    ends = []
    for _ in range(2):
        trainer.fit(4)
        ends.append(trainer.model.state_dict())
        trainer.restore(*state)
    for name in ends[0]:
        np.testing.assert_array_equal(ends[0][name], ends[1][name], err_msg=name)


def test_a_layer_frozen_between_steps_stays_as_it_is(device, rng):
    class Freeze(Callback):
        def step_end(self, trainer):
            if trainer.step == 3:
                trainer.model[-1].freeze()
                self.weights = trainer.model[-1].state_dict()["weight"]

    freeze = Freeze()
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Linear(4, 3)).to(device)
    loader = DataLoader(faces(rng, 48), batch_size=8)
    Trainer(model, optim.SGD(model.parameters(), lr=0.1), ops.cross_entropy, loader, callbacks=[freeze]).fit(1)
    np.testing.assert_array_equal(model[-1].weight.cpu().numpy(), freeze.weights)


def test_no_step_waits_for_the_card(card, rng):
    log = card_log(card)
    waits = []

    class Watch(Callback):
        def step_end(self, trainer): waits.append(len(log.waits))

    nanoemo.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), small_model()).to("cuda")
    loader = DataLoader(faces(rng, 44), batch_size=8)
    trainer = Trainer(model, optim.Adam(model.parameters()), ops.cross_entropy, loader, callbacks=[Watch()])
    trainer.fit(1)
    copies_of_earlier_batches = [what for what in log.waits[waits[0]:waits[-1]] if what == "event.synchronize"]
    assert waits[-1] - waits[0] == len(copies_of_earlier_batches)


def card_log(card):
    """What the stand-in wrote down of launches and waits."""
    log = getattr(card, "_device", None)
    if log is None:
        pytest.skip("launches and waits are counted on the stand-in only")
    assert backend.why_no_cuda() == ""
    return log
