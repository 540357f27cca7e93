"""x += y and its kin.

For most tensors they make a new one: what an operation made may be needed for a gradient. A leaf that is learned, and a
parameter of a model even where it is frozen, is written to in place inside `no_grad`, so that an update rule, or a mean of
weights over time, can be written by hand as in PyTorch.
"""
from nanoemo.modes import is_grad_enabled
from nanoemo.ops.arithmetic import add, div, mul, sub
from nanoemo.tensor import Tensor

__all__ = ["iadd", "isub", "imul", "itruediv"]


def _in_place(name, symbol, operation):
    def update(x, other):
        learned = x.is_leaf and x.requires_grad
        if not (learned or x.is_parameter and not is_grad_enabled()):
            return operation(x, other)
        if is_grad_enabled():
            raise RuntimeError(f"x {symbol} ...: x requires gradients, and this would change it in the middle of the graph; "
                               f"update it inside `with no_grad():`, or with an optimiser of nanoemo.optim")
        y = operation(x, other)
        if y.shape != x.shape:
            raise ValueError(f"x {symbol} ...: the result has shape {y.shape}, which does not fit into x {x.shape}")
        x.array[...] = y.array
        x.changed_in_place()
        return x

    update.__name__ = name
    update.__doc__ = f"""x {symbol} other: in place for a learned leaf, else a new tensor; another name of x keeps the old one.

    >>> from nanoemo import Tensor, no_grad
    >>> w = Tensor([2.0], requires_grad=True)
    >>> with no_grad():
    ...     w {symbol} 0.5
    >>> w
    {Tensor(operation(Tensor([2.0]), 0.5), requires_grad=True)}
    """
    return update


iadd = _in_place("iadd", "+=", add)
isub = _in_place("isub", "-=", sub)
imul = _in_place("imul", "*=", mul)
itruediv = _in_place("itruediv", "/=", div)
