"""How long do the four convolutions of njoku.cnn take, forward, on this machine? Prints a Markdown table.

    python docs/measure_convolution.py

Four ways, all described in docs/convolution.md: the definition in loops (one image is timed, and multiplied
by the batch), the columns of the whole batch at once, columns a block at a time, and minimal filtering. The
last three take turns; medians are shown. Other programs that run meanwhile spoil the figures.
"""
import datetime
import os
import statistics
import sys
import time
from unittest.mock import patch

import numpy as np

import nanoemo
from nanoemo.bench.report import describe_machine
from nanoemo.bench.timing import in_turn, on_threads
from nanoemo.kernels import conv
from nanoemo.kernels.shapes import resolve_padding_2d
from nanoemo.kernels.winograd import winograd_suits

BATCH = 32
# Of njoku.cnn: input, channels out, padding.
LAYERS = [((48, 48, 1), 32, "same"), ((48, 48, 32), 64, "valid"),
          ((23, 23, 64), 128, "valid"), ((10, 10, 128), 256, "valid")]
REPEATS = 10


def whole_batch(x, w, b, stride, padding):
    """All columns written out, then one matrix product. For stride 1."""
    pads = resolve_padding_2d(padding, x.shape[1:3], w.shape[:2], (stride, stride))
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[:2], axis=(1, 2))
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, w[..., 0].size)
    return (columns @ w.reshape(-1, w.shape[3]) + b).reshape(*windows.shape[:3], -1)


def in_blocks(*arguments):
    """The library's convolution, with columns even where it would use minimal filtering."""
    with patch.object(conv, "winograd_suits", return_value=False):
        return conv.conv2d_forward(*arguments)[0]


def measure(shape, channels, padding):
    """Milliseconds for a batch, a number for each way; None for minimal filtering where it does not suit."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, *shape), np.float32)
    w = rng.normal(size=(3, 3, shape[2], channels)).astype(np.float32)
    arguments = x, w, np.zeros(channels, np.float32), 1, padding
    start = time.perf_counter()
    conv.conv2d_forward_plain(x[:1], *arguments[1:])
    loops = (time.perf_counter() - start) * BATCH
    ways = {"whole": lambda: whole_batch(*arguments), "blocks": lambda: in_blocks(*arguments)}
    if winograd_suits(w.shape, (1, 1), BATCH, conv.conv2d_forward(*arguments)[0].shape[1:3]):
        ways["minimal"] = lambda: conv.conv2d_forward(*arguments)
    seconds = {name: statistics.median(times) for name, times in in_turn(ways, REPEATS).items()}
    return [loops, seconds["whole"], seconds["blocks"], seconds.get("minimal")]


def main():
    threads = nanoemo.get_num_threads()
    if os.getloadavg()[0] > 1:
        print(f"note: other programs are busy (load {os.getloadavg()[0]:.1f}), so the times will be too long",
              file=sys.stderr)
    machine = describe_machine(threads)
    print(f"{datetime.date.today()}, {machine['processor']}, {threads} threads, "
          f"nanoemo {machine['nanoemo']}, Python {machine['python']}, NumPy {machine['numpy']}. "
          f"Milliseconds for the forward pass, batch of {BATCH}, float32.\n")
    print("| input | channels out | definition in loops | whole batch's columns | columns in blocks | "
          "minimal filtering |")
    print("|---|---|---|---|---|---|")
    with on_threads(threads):
        for shape, channels, padding in LAYERS:
            loops, *others = measure(shape, channels, padding)
            cells = ["–" if seconds is None else f"{1e3 * seconds:.1f}" for seconds in others]
            size = " × ".join(map(str, shape))
            print(f"| {size} | {channels} | {1e3 * loops:,.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
