"""What an operation costs at least: multiplications, and bytes moved. Counted from the arrays that its kernels get.

Operations (flop): a multiplication and an addition count as one each, and only those in products count, which is where nearly
all of them are:

    convolution, linear     y = x ∗ w + b    forward 2 · (values in y) · (weights that each of them sums over)
                                             backward as much again for dx, and for dw
    LSTM, stacks of them    z = x w + h u    forward 2 · N · T · (values in w and u); backward as much again
                                             for dx and dw, and for dh (always) and du
    matmul                  y = a b          2 · (values in y) · (values of a that each of them sums over)

What nobody asks for is not counted: the first layer's dx. A convolution is counted as its definition
says, padding included, however few multiplications the kernel gets by with (see kernels/winograd.py).

Bytes are those of every array once, however often a kernel comes back to it and whatever it notes down in between:

    forward                 the arguments are read, the results written
    backward                the gradient that arrives is read, and the forward arguments with it, except where the
                            operation needs none of their values (see WITHOUT_INPUT); the gradients are written
    update of parameters    parameters and what the rule remembers of them are read and written, gradients read
"""
import math

from nanoemo.kernels.shapes import output_size, pair, resolve_padding_2d

__all__ = ["backward_bytes", "backward_flop", "forward_bytes", "products", "update_bytes"]

# Which cell a maximum came from, or which values a dropout kept, is an index or a bit each, and is not counted.
WITHOUT_INPUT = {"avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "min_pool2d", "relu_max_pool1d", "relu_max_pool2d",
                 "dropout", "upsample2d"}


def products(op, y, args):
    """Flop of the forward kernel's matrix products: (x times w, h times u), of each layer. () where there are none."""
    if op in ("conv1d", "conv2d", "linear"):
        w = args[1]
        return (2 * y.size * (w.size // w.shape[-1]),)
    if op == "conv2d_relu_max_pool2d":
        x, w, _, stride, padding, *_ = args
        strides = pair(stride)
        pads = resolve_padding_2d(padding, x.shape[1:3], w.shape[:2], strides)
        places = [output_size(*axis) for axis in zip(x.shape[1:3], w.shape[:2], strides, pads)]
        return (2 * len(x) * math.prod(places) * w.size,)
    if op == "lstm":
        x, w, u = args[:3]
        steps = x.shape[0] * x.shape[1]
        return 2 * steps * w.size, 2 * steps * u.size
    if op == "lstm_stack":
        x, weights, _ = args
        return sum((products("lstm", y, (x, w, u)) for w, u, _ in weights), ())
    if op == "matmul":
        return (2 * y.size * args[0].shape[-1],)
    return ()


def backward_flop(forward, needs):
    """Flop of the backward kernel's. forward: what `products` gave

    needs: whether dx, dw (and the LSTM's du and db) are wanted, and of LSTMs above it dw, du, db, whose dx always is

    >>> backward_flop((10,), (False, True, True)), backward_flop((10, 7), (True, True, True, True))
    (10, 34)
    >>> backward_flop((10, 7, 5, 3), (False, True, True, True, False, True, True))
    35
    """
    if not forward:
        return 0
    needs_dx, *of_weights = needs
    total = 0
    for layer in range(-(-len(forward) // 2)):
        from_input, *from_hidden = forward[2 * layer:2 * layer + 2]
        needs_dw, needs_du = of_weights[3 * layer:3 * layer + 2]
        total += from_input * ((needs_dx or layer > 0) + needs_dw) + sum(from_hidden) * (1 + needs_du)
    return total


def forward_bytes(args, results):
    """Bytes that a forward kernel moves at least.

    >>> import numpy as np
    >>> forward_bytes((np.ones(3), 0.5), np.ones(2))
    40
    """
    return _bytes(args) + _bytes(results)


def backward_bytes(op, args, arriving, gradients):
    """Bytes that a backward kernel moves at least. args: of the forward kernel, as arrays or in bytes

    arriving: the gradients that it was given; gradients: what it returned
    """
    return (0 if op in WITHOUT_INPUT else _bytes(args)) + _bytes(arriving) + _bytes(gradients)


def update_bytes(name, args):
    """Bytes that an update rule, or the clipping of gradients, moves at least.

    >>> import numpy as np
    >>> params, grads, velocities = [np.ones(2)], [np.ones(2)], [np.ones(2)]
    >>> update_bytes("sgd_step", (params, grads, velocities, 0.1))
    80
    """
    lists = [value for value in args if isinstance(value, (list, tuple))]
    written = lists if name == "clip_by_norm" else lists[:1] + lists[2:]
    return _bytes(lists) + _bytes(written)


def _bytes(value):
    """Of all arrays in a value, or in a list or tuple of values."""
    if isinstance(value, (list, tuple)):
        return sum(map(_bytes, value))
    return getattr(value, "nbytes", 0)
