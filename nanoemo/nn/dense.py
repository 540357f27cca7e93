"""The layer that is one matrix product."""
from nanoemo import ops
from nanoemo.nn import init
from nanoemo.nn.checks import positive_integers
from nanoemo.nn.module import Module, Parameter

__all__ = ["Linear"]


class Linear(Module):
    """x W + b over the last axis, (..., in_features) to (..., out_features).

    weight (in, out) starts as Glorot uniform, bias (out,) as 0.

    >>> from nanoemo import Tensor, nn
    >>> nn.Linear(3, 2)(Tensor([[1.0, 2.0, 3.0]])).shape
    (1, 2)
    """

    def __init__(self, in_features, out_features, bias=True):
        positive_integers("Linear", in_features=in_features, out_features=out_features)
        self.weight = Parameter(init.glorot_uniform((in_features, out_features)))
        self.bias = Parameter(init.zeros(out_features)) if bias else None

    def forward(self, x):
        return ops.linear(x, self.weight, self.bias)

    def extra_repr(self):
        in_features, out_features = self.weight.shape
        return f"{in_features}, {out_features}" + ("" if self.bias is not None else ", bias=False")
