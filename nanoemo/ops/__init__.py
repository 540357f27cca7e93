"""Differentiable operations on tensors, as functions; the common ones are also methods and operators of Tensor."""
from nanoemo.ops import shape
from nanoemo.ops.activation import leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from nanoemo.ops.arithmetic import (abs, add, clip, div, exp, log, matmul, maximum, minimum, mul, neg, pow, sqrt, sub,
                                    where)
from nanoemo.ops.compare import argmax, eq, ge, gt, le, logical_and, logical_not, logical_or, lt, ne
from nanoemo.ops.conv import conv1d, conv2d, conv2d_relu_max_pool2d
from nanoemo.ops.dense import linear
from nanoemo.ops.inplace import iadd, imul, isub, itruediv
from nanoemo.ops.loss import binary_cross_entropy, cross_entropy, mse_loss
from nanoemo.ops.norm import batch_norm, dropout
from nanoemo.ops.pool import (avg_pool1d, avg_pool2d, max_pool1d, max_pool2d, min_pool2d, relu_max_pool1d, relu_max_pool2d,
                              upsample2d)
from nanoemo.ops.recurrent import lstm, lstm_stack
from nanoemo.ops.reduce import max, mean, min, sum
from nanoemo.ops.shape import concat, flatten, getitem, reshape, stack, transpose
from nanoemo.tensor import Tensor

__all__ = ["abs", "add", "argmax", "avg_pool1d", "avg_pool2d", "batch_norm", "binary_cross_entropy", "clip", "concat", "conv1d",
           "conv2d", "conv2d_relu_max_pool2d", "cross_entropy", "div", "dropout", "eq", "exp", "flatten", "ge", "getitem", "gt",
           "le", "leaky_relu", "linear", "log", "log_softmax", "logical_and", "logical_not", "logical_or", "lstm", "lstm_stack",
           "lt", "matmul", "max", "max_pool1d", "max_pool2d", "maximum", "mean", "min", "min_pool2d", "minimum", "mse_loss",
           "mul", "ne", "neg", "pow", "relu", "relu_max_pool1d", "relu_max_pool2d", "reshape", "sigmoid", "softmax", "sqrt",
           "stack", "sub", "sum", "tanh", "transpose", "upsample2d", "where"]

_METHODS = (abs, argmax, clip, exp, flatten, leaky_relu, log, log_softmax, matmul, max, mean, min, pow, relu, reshape, sigmoid,
            softmax, sqrt, sum, tanh, transpose)

_OPERATORS = {
    "__add__": add, "__radd__": add, "__sub__": sub, "__rsub__": lambda a, b: sub(b, a),
    "__mul__": mul, "__rmul__": mul, "__truediv__": div, "__rtruediv__": lambda a, b: div(b, a),
    "__matmul__": matmul, "__rmatmul__": lambda a, b: matmul(b, a), "__pow__": pow, "__rpow__": lambda x, base: pow(base, x),
    "__neg__": neg, "__abs__": abs,
    "__iadd__": iadd, "__isub__": isub, "__imul__": imul, "__itruediv__": itruediv,
    "__and__": logical_and, "__rand__": logical_and, "__or__": logical_or, "__ror__": logical_or, "__invert__": logical_not,
    "__eq__": eq, "__ne__": ne, "__lt__": lt, "__le__": le, "__gt__": gt, "__ge__": ge,
    "__getitem__": getitem, "__setitem__": shape.setitem,
}

for _method in _METHODS:
    setattr(Tensor, _method.__name__, _method)
for _name, _operator in _OPERATORS.items():
    setattr(Tensor, _name, _operator)
Tensor.T = property(transpose, doc="The tensor with its axes reversed.")
