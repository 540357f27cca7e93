"""The series paper's recipe in stages: what each adds, keeps and freezes, and that what is frozen costs nothing."""
import tracemalloc

import numpy as np
import pytest

from nanoemo import Tensor, backend, models, ops
from nanoemo.kernels import threads
from nanoemo.training.stages import PAPER, REVERSED, build_stage

pytestmark = pytest.mark.usefixtures("blank_pictures")

ARCHITECTURES = ("series.architecture1", "series.architecture2", "series.speech")


# ---- the recipe -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stages", [PAPER, REVERSED], ids=["paper", "reversed"])
@pytest.mark.parametrize("cnn", ["cnn1", "cnn2"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_last_stage_is_the_architecture(name, cnn, stages):
    shape = (24, 16, 1)
    last = build_stage(stages, len(stages), name, 7, shape, cnn)
    built = models.build(name, 7, shape, cnn=cnn, reverse=stages is REVERSED)
    assert {k: v.shape for k, v in last.state_dict().items()} == {k: v.shape for k, v in built.state_dict().items()}
    assert not any(part.frozen for _, part in last.named_modules())


@pytest.mark.parametrize("stages", [PAPER, REVERSED], ids=["paper", "reversed"])
def test_each_stage_has_what_it_keeps_and_freezes(stages):
    before = set()
    for number, stage in enumerate(stages, start=1):
        model = build_stage(stages, number, "series.architecture2", 7, (24, 24, 1), "cnn1")
        parts = dict(model.children())
        assert set(stage.keeps) <= before and set(stage.frozen) <= set(stage.keeps)
        assert {name for name, part in parts.items() if part.frozen} == set(stage.frozen)
        assert {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad} == \
            parts.keys() - set(stage.frozen)
        assert list(parts)[-1] == ("decoder" if stage.reconstructs else "classifier")
        assert stage.fine_tunes == ("tuned" in stage.name)
        before = set(parts)


def test_every_step_of_the_text_belongs_to_a_stage():
    ranges = [tuple(map(int, stage.steps.split("–"))) for stage in PAPER]
    assert [step for start, *end in ranges for step in range(start, (end or [start])[0] + 1)] == list(range(1, 18))


# ---- what is frozen costs nothing ---------------------------------------------------------------------------


@pytest.fixture
def kernel_calls(monkeypatch):
    """Names of the kernels called, in order."""
    calls, find = [], backend.kernel

    def find_and_watch(name, device):
        kernel = find(name, device)

        def watched(*args, **kwargs):
            calls.append(name)
            return kernel(*args, **kwargs)
        return watched

    monkeypatch.setattr(backend, "kernel", find_and_watch)
    return calls


def stage4(name, device="cpu", frozen=True):
    model = build_stage(PAPER, 4, name, 7, (16, 16, 1), "cnn1").to(device).train()
    return model if frozen else model.unfreeze()


def test_no_gradient_is_computed_for_what_is_frozen(kernel_calls, rng, device, trains_a_paper):
    """Extractor and encoder of architecture 2 are convolutions and pools; the perceptron has neither."""
    model = stage4("series.architecture2", device)
    kernel_calls.clear()
    images = Tensor(rng.random((2, 16, 16, 1), dtype=np.float32), device=device)
    loss = ops.cross_entropy(model(images), Tensor(np.array([0, 6]), device=device))
    assert sum("conv2d" in name for name in kernel_calls) == 6
    kernel_calls.clear()
    loss.backward()
    assert kernel_calls and not any("conv" in name or "pool" in name for name in kernel_calls)
    assert sum(name == "linear_backward" for name in kernel_calls) == 3
    assert {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None} == {"classifier"}


def test_no_gradient_is_computed_through_a_frozen_part_in_front(kernel_calls, rng):
    model = build_stage(PAPER, 2, "series.architecture1", 7, (16, 16, 1), "cnn1").train()
    images = Tensor(rng.random((2, 16, 16, 1), dtype=np.float32))
    loss = ops.mse_loss(model(images), np.zeros((2, 2, 2, 8), np.float32))
    kernel_calls.clear()
    loss.backward()
    assert kernel_calls and not any("conv" in name or "pool" in name for name in kernel_calls)


def test_no_activation_is_kept_for_what_is_frozen(rng, monkeypatch):
    """What a forward pass leaves in memory until its backward: without a graph of the frozen parts, less by their activations."""
    monkeypatch.setattr(threads, "_num_threads", 1)             # each thread's scratch memory would count when first used
    images = Tensor(rng.random((32, 16, 16, 1), dtype=np.float32))
    first_activation = 32 * 8 * 8 * 16 * 4                      # after the first pool, float32
    kept = {}
    for frozen in (True, False):
        model = stage4("series.architecture2", frozen=frozen)
        model(images)                                           # scratch memory
        tracemalloc.start()
        try:
            scores = model(images)
            kept[frozen] = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert scores.shape == (32, 7)
    assert kept[True] + first_activation < kept[False]
