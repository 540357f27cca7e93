"""Which kernels a step calls, on what shapes, how long each takes, and what it costs at least (work.py).

For the time of a `with` block every kernel is replaced (`kernels.override`) by itself with a stop-watch
around it; outside the block nothing is different, so it costs nothing.

On the GPU, where a kernel is only queued when it returns, the watch waits for the card before and after. So all of its
time is counted, but the step as a whole is slower than it would be.
"""
import time
from contextlib import contextmanager
from dataclasses import dataclass

from nanoemo import backend, kernels
from nanoemo.bench import work

__all__ = ["Call", "watch_kernels"]


@dataclass
class Call:
    """One operation of a step: its forward kernel and, with the same cache, its backward kernel.

    What has no backward, an update rule or a product of matrices, has all in `forward`. Times are in seconds.
    """
    op: str
    shapes: tuple               # of the arrays it was given, the input first; an update rule's parameters
    products: tuple = ()        # flop of x times w; of h times u
    forward: float = 0.0
    backward: float = 0.0
    backward_flop: int = 0
    forward_bytes: int = 0
    backward_bytes: int = 0

    @property
    def forward_flop(self):
        return sum(self.products)

    @property
    def flop(self):
        return self.forward_flop + self.backward_flop

    @property
    def bytes(self):
        return self.forward_bytes + self.backward_bytes


@contextmanager
def watch_kernels(device="cpu"):
    """Inside the `with` block, enter each operation in the list that it gives, in order of the forward pass.

    device: of all tensors in the block

    >>> from nanoemo import Tensor, nn
    >>> import numpy as np
    >>> layer = nn.Linear(4, 3)
    >>> with watch_kernels() as calls:
    ...     layer(Tensor(np.ones((2, 4), np.float32))).sum().backward()
    >>> calls[0].op, calls[0].shapes, calls[0].forward_flop, calls[0].backward_flop      # dw only
    ('linear', ((2, 4), (4, 3), (3,)), 48, 48)
    """
    watch = _Watch(device)
    names = kernels.names()
    with kernels.override(**{name: watch.around(name, kernels.find(name, device)) for name in names}):
        yield watch.calls


class _Watch:
    """Kernels with a stop-watch around them, and the list of their calls."""

    def __init__(self, device):
        self.device = device
        self.calls = []
        self.waiting = {}       # (operation, id of its cache) -> (call, cache, arguments) until its backward

    def around(self, name, kernel):
        op, _, direction = name.rpartition("_")
        if direction == "forward":
            return lambda *args: self.forward(op, kernel, args)
        if direction == "backward":
            return lambda *args, **options: self.backward(op, kernel, args, options)
        return lambda *args: self.alone(name, kernel, args)

    def forward(self, op, kernel, args):
        call = Call(op, _shapes(args))
        self.calls.append(call)
        call.forward, (y, cache) = self.timed(kernel, args)
        call.products = work.products(op, y, args)
        call.forward_bytes = work.forward_bytes(args, y)
        self.waiting[op, id(cache)] = call, cache, args        # the cache itself too, lest another get its id
        return y, cache

    def backward(self, op, kernel, args, options):
        key = next(key for key in ((op, id(value)) for value in args) if key in self.waiting)
        call, cache, inputs = self.waiting.pop(key)
        call.backward, gradients = self.timed(kernel, args, **options)
        call.backward_flop = work.backward_flop(call.products, options.get("needs"))
        arriving = [value for value in args if value is not cache]
        call.backward_bytes = work.backward_bytes(op, inputs, arriving, gradients)
        return gradients

    def alone(self, name, kernel, args):
        """A kernel that is no half of a pair: an update rule, or a product of matrices."""
        seconds, result = self.timed(kernel, args)
        if name == "matmul":
            call = Call(name, _shapes(args), work.products(name, result, args))
            call.forward_bytes = work.forward_bytes(args, result)
        else:
            call = Call(name, _shapes(args[0]), forward_bytes=work.update_bytes(name, args))
        call.forward = seconds
        self.calls.append(call)
        return result

    def timed(self, kernel, args, **options):
        """(seconds, what the kernel returned)."""
        backend.synchronize(self.device)
        start = time.perf_counter()
        result = kernel(*args, **options)
        backend.synchronize(self.device)
        return time.perf_counter() - start, result


def _shapes(args):
    """Of all arrays among the arguments, or in lists of them."""
    shapes = (_shapes(value) if isinstance(value, (list, tuple)) else (value.shape,) for value in args
              if isinstance(value, (list, tuple)) or hasattr(value, "shape"))
    return sum(shapes, ())
