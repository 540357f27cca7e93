"""Layers that are matrix products: linear and LSTM. Their kernels are in kernels/dense.py and kernels/recurrent.py."""
from nanoemo import backend
from nanoemo.ops.common import floats_only, kernel_op, same_device, same_dtype
from nanoemo.tensor import Tensor

__all__ = ["linear", "lstm"]


def linear(x, w, b=None):
    """x W + b. x: (..., in); w: (in, out); b: (out,) or None. ValueError where shapes do not fit.

    >>> from nanoemo import Tensor, ops
    >>> ops.linear(Tensor([[1.0, 2.0]]), Tensor([[1.0], [1.0]]), Tensor([0.5]))
    Tensor([[3.5]])
    """
    return kernel_op("linear", {"x": x, "w": w, "b": b}, optional=("b",), wants_needs=True)


def lstm(x, w, u, b, return_sequences=True):
    """Long short-term memory, Hochreiter & Schmidhuber 1997 with a forget gate; starts from a state of zeros.

    x: (N, T, C); w: (C, 4u); u: (u, 4u); b: (4u,), gates in the order input, forget, cell, output
    Returns all hidden states (N, T, u), or the last one (N, u) where return_sequences is False.

    >>> from nanoemo import Tensor, ops
    >>> import numpy as np
    >>> x, w, u, b = (Tensor(np.zeros(s, np.float32)) for s in ((2, 5, 3), (3, 16), (4, 16), (16,)))
    >>> ops.lstm(x, w, u, b).shape, ops.lstm(x, w, u, b, return_sequences=False).shape
    ((2, 5, 4), (2, 4))
    """
    device = same_device("lstm", x=x, w=w, u=u, b=b)
    floats_only("lstm", x=x, w=w, u=u, b=b)
    same_dtype("lstm", x=x, w=w, u=u, b=b)
    (h, _, _), cache = backend.kernel("lstm_forward", device)(x.array, w.array, u.array, b.array, None, None)
    lstm_backward = backend.kernel("lstm_backward", device)
    needs = tuple(tensor.requires_grad for tensor in (x, w, u, b))

    def backward(dh):
        return lstm_backward(dh, None, None, cache, needs=needs)[:4]

    sequence = Tensor.from_op("lstm", h, (x, w, u, b), backward, saves_output=True)
    return sequence if return_sequences else sequence[:, -1]
