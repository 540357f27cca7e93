"""The layer that is one matrix product. Its kernels are in kernels/dense.py."""
from nanoemo.ops.common import kernel_op

__all__ = ["linear"]


def linear(x, w, b=None):
    """x W + b. x: (..., in); w: (in, out); b: (out,) or None. ValueError where shapes do not fit.

    >>> from nanoemo import Tensor, ops
    >>> ops.linear(Tensor([[1.0, 2.0]]), Tensor([[1.0], [1.0]]), Tensor([0.5]))
    Tensor([[3.5]])
    """
    return kernel_op("linear", {"x": x, "w": w, "b": b}, optional=("b",), wants_needs=True)
