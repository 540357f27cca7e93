"""PyTorch on the GPU: its step eager and captured, in either layout of the images, and the memory that each takes.

With "cpu" for a device all this runs where there is no GPU as well, but for capturing and memory, which only a GPU has.
"""
import gc
from contextlib import contextmanager

from nanoemo.bench.compare import torch_steps
from nanoemo.bench.torch_step import TorchStep, random_batch

__all__ = ["contestants", "peak_memory", "settings"]

STEPS_FOR_MEMORY = 4


@contextmanager
def settings(torch, tf32):
    """Inside the `with` block products of float32 may, or may not, round to TF32, in cuBLAS and cuDNN alike.

    cuDNN also tries out its algorithms and keeps the fastest, as PyTorch's manual advises where shapes do not change.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = tf32, tf32, True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


def contestants(torch, ours, device="cuda"):
    """({("eager" or "captured", layout): function that makes a step}, task for `peak_memory`).

    All are checked to be the same network as `ours`, a `TrainingStep`; on the CPU nothing is captured.
    Raises NoTwin (a ValueError) where PyTorch would be computing another network.
    """
    eager, task = torch_steps(torch, ours, device=device)
    runs = {("eager", layout): step.learn for layout, step in eager.items()}
    if device == "cuda":
        recorded, _ = torch_steps(torch, ours, device=device, capturable=True)
        runs |= {("captured", layout): step.record().replay for layout, step in recorded.items()}
    return runs, task


def peak_memory(torch, task, kind, layout):
    """Most bytes that PyTorch ever reserved on the GPU for this step alone; all others must have been dropped."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    captured = kind == "captured"
    step = TorchStep(torch, task["layers"], *random_batch(torch, task), task["optimizer"], layout == "channels_last", "cuda",
                     captured)
    run = step.record().replay if captured else step.learn
    for _ in range(STEPS_FOR_MEMORY):
        run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_reserved()
