"""One model, measured on the GPU: our training step plain and captured, and PyTorch's eager and captured."""
import gc
from contextlib import contextmanager, nullcontext

from nanoemo import backend, capture
from nanoemo.bench import torch_on_card
from nanoemo.bench.calls import watch_kernels
from nanoemo.bench.card_report import CardResult, Contestant
from nanoemo.bench.steps import TrainingStep
from nanoemo.bench.timing import in_blocks
from nanoemo.card_memory import bytes_held

__all__ = ["measure"]

STEPS_FOR_MEMORY = 4            # of a captured step the first is not captured, and the second is recorded


def measure(name, batch_size, steps, tf32, ceilings, torch=None, torch_device="cuda"):
    """The `CardResult` for the model `name`, against PyTorch where its module `torch` is given.

    batch_size: None for the paper's; steps: how many a block has
    tf32: whether products of float32 may round to it, on both sides
    ceilings: the card's (`ceilings.measure_ceilings`)
    torch_device: where PyTorch computes; it captures its step, and tells its memory, on "cuda" only
    Raises NoTwin (a ValueError) where PyTorch would be computing another network.
    """
    with _our_products(tf32), torch_on_card.settings(torch, tf32) if torch else nullcontext():
        peaks = {kind: _peak_memory(name, batch_size, kind) for kind in ("plain", "captured")}
        ours = TrainingStep(name, batch_size, device="cuda")
        theirs, task = torch_on_card.contestants(torch, ours, torch_device) if torch else ({}, None)
        runs = {kind: _run(ours, kind) for kind in peaks} | theirs
        times = in_blocks(runs, steps, lambda: backend.synchronize("cuda"))
        with watch_kernels("cuda") as calls:
            ours()
        result = CardResult(name, ours.batch_size, ours.model.num_parameters(), tf32,
                            sum(call.flop for call in calls), sum(call.bytes for call in calls), ceilings,
                            {kind: Contestant(times[kind], peak=peak) for kind, peak in peaks.items()})
        del runs, theirs
        for kind in ("eager", "captured"):
            layouts = {layout: times[kind, layout] for layout in ("contiguous", "channels_last")
                       if (kind, layout) in times}
            if layouts:
                result.torch[kind] = Contestant.faster(layouts)
                if torch_device == "cuda":
                    result.torch[kind].peak = torch_on_card.peak_memory(torch, task, kind, result.torch[kind].layout)
    return result


@contextmanager
def _our_products(tf32):
    from nanoemo.kernels.blas_cupy import allow_tf32

    allow_tf32(tf32)
    try:
        yield
    finally:
        allow_tf32(False)


def _run(step, kind):
    """A function that makes one step and waits for nothing."""
    learn = capture(step.learn) if kind == "captured" else step.learn
    return lambda: learn(*step.batch)


def _peak_memory(name, batch_size, kind):
    """Most bytes that CuPy's pools held while a step of this kind alone was made."""
    gc.collect()
    backend.card_module().get_default_memory_pool().free_all_blocks()
    run, peak = _run(TrainingStep(name, batch_size, device="cuda"), kind), 0
    for _ in range(STEPS_FOR_MEMORY):
        run()
        backend.synchronize("cuda")
        peak = max(peak, bytes_held())
    return peak
