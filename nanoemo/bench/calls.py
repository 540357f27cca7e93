"""Which kernels a step calls, on what shapes, how long each takes, and how many multiplications it asks for.

For the time of a `with` block every kernel is replaced (`kernels.override`) by itself with a stop-watch
around it; outside the block nothing is different, so it costs nothing.

Operations (flop) are counted from the shapes of the arrays that reach the kernels, a multiplication and an
addition each as one, and only in products, which is where nearly all of them are:

    convolution, linear     y = x ∗ w + b    forward 2 · (values in y) · (weights that each of them sums over)
                                             backward as much again for dx, and for dw
    LSTM                    z = x w + h u    forward 2 · N · T · (values in w and u); backward as much again
                                             for dx and dw, and for dh (always) and du

What nobody asks for is not counted: the first layer's dx. A convolution is counted as its definition says,
padding included, however few multiplications the kernel gets by with (see kernels/winograd.py).
"""
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass

from nanoemo import kernels
from nanoemo.kernels.shapes import output_size, pair, resolve_padding_2d

__all__ = ["Call", "watch_kernels"]


@dataclass
class Call:
    """One operation of a step: its forward kernel and, with the same cache, its backward kernel.

    An update rule, which has no backward, has its time in `forward`. Times are in seconds.
    """
    op: str
    shapes: tuple               # of the arrays it was given, the input first; an update rule's parameters
    products: tuple = ()        # flop of x times w; of h times u
    forward: float = 0.0
    backward: float = 0.0
    backward_flop: int = 0

    @property
    def forward_flop(self):
        return sum(self.products)

    @property
    def flop(self):
        return self.forward_flop + self.backward_flop


@contextmanager
def watch_kernels():
    """Inside the `with` block, enter each operation in the list that it gives, in order of the forward pass.

    >>> from nanoemo import Tensor, nn
    >>> import numpy as np
    >>> layer = nn.Linear(4, 3)
    >>> with watch_kernels() as calls:
    ...     layer(Tensor(np.ones((2, 4), np.float32))).sum().backward()
    >>> calls[0].op, calls[0].shapes, calls[0].forward_flop, calls[0].backward_flop      # dw only
    ('linear', ((2, 4), (4, 3), (3,)), 48, 48)
    """
    calls, waiting = [], {}
    names = [name for name in kernels.names() if not name.endswith("_plain")]
    watched = {name: _watched(name, kernels.find(name), calls, waiting) for name in names}
    with kernels.override(**watched):
        yield calls


def _watched(name, kernel, calls, waiting):
    """`kernel` with a stop-watch. waiting: (operation, id of cache) -> (call, cache) until its backward."""
    op, _, direction = name.rpartition("_")

    def forward(*args):
        call = Call(op, tuple(value.shape for value in args if hasattr(value, "shape")))
        calls.append(call)
        start = time.perf_counter()
        y, cache = kernel(*args)
        call.forward = time.perf_counter() - start
        call.products = _products(op, y, args)
        waiting[op, id(cache)] = call, cache        # the cache itself too, lest another get its id
        return y, cache

    def backward(*args, **options):
        keys = ((op, id(value)) for value in args)
        call, _ = waiting.pop(next(key for key in keys if key in waiting))
        start = time.perf_counter()
        gradients = kernel(*args, **options)
        call.backward = time.perf_counter() - start
        call.backward_flop = _backward_flop(call.products, options.get("needs"))
        return gradients

    def update(params, *args):
        start = time.perf_counter()
        result = kernel(params, *args)
        seconds = time.perf_counter() - start
        calls.append(Call(name, tuple(value.shape for value in params), forward=seconds))
        return result

    return {"forward": forward, "backward": backward}.get(direction, update)


def _products(op, y, args):
    """Flop of the forward kernel's matrix products: (x times w, h times u)."""
    if op in ("conv1d", "conv2d", "linear"):
        w = args[1]
        return (2 * y.size * (w.size // w.shape[-1]),)
    if op == "conv2d_relu_max_pool2d":
        x, w, b, stride, padding, _ = args
        strides = pair(stride)
        pads = resolve_padding_2d(padding, x.shape[1:3], w.shape[:2], strides)
        places = [output_size(*axis) for axis in zip(x.shape[1:3], w.shape[:2], strides, pads)]
        return (2 * len(x) * math.prod(places) * w.size,)
    if op == "lstm":
        x, w, u = args[:3]
        steps = x.shape[0] * x.shape[1]
        return 2 * steps * w.size, 2 * steps * u.size
    return ()


def _backward_flop(products, needs):
    """The same for the backward kernel; needs: whether dx, dw (and the LSTM's du) are wanted."""
    if not products:
        return 0
    needs_dx, needs_dw, needs_du, *_ = needs
    from_input, *from_hidden = products
    return from_input * (needs_dx + needs_dw) + sum(from_hidden) * (1 + needs_du)
