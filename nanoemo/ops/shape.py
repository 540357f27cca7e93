"""The same values in another arrangement: reshape, transpose, flatten, slicing, concat, stack.

Where NumPy can it gives a view, not a copy.
"""
import math
import numbers
import operator

import numpy as np

from nanoemo import backend, live
from nanoemo.modes import is_grad_enabled
from nanoemo.ops.common import from_values, same_device, same_dtype, tensors_only
from nanoemo.tensor import Tensor

__all__ = ["reshape", "transpose", "flatten", "getitem", "concat", "stack"]


def _rearranged(name, x, y, backward):
    """A result that may be a view of x's memory, whose gradient needs no values."""
    shared = backend.array_module(y).may_share_memory(x.array, y)
    return Tensor.from_op(name, y, (x,), backward, saved=(), view_of=x if shared else None)


def _whole(name, what, values, x):
    """`values` as Python integers; TypeError where one is not a whole number."""
    tensors_only(name, x=x)
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError:
        raise TypeError(f"{name}: {what} must be whole numbers, got {', '.join(map(repr, values))}") from None


def reshape(x, *shape):
    """The values in order, in another shape; one size may be −1.

    >>> from nanoemo import Tensor
    >>> Tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1).shape
    (2, 2)
    """
    shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    shape = _whole("reshape", "sizes", shape, x)
    if any(size < -1 for size in shape):
        raise ValueError(f"reshape: a size must be at least 0, or -1 for what is left, got {shape}")
    try:
        y = x.array.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: {x.size} values of shape {x.shape} do not fit shape {shape}") from None
    return _rearranged("reshape", x, y, lambda dy: (dy.reshape(x.shape),))


def transpose(x, *axes):
    """Axes in another order; reversed unless given. As in NumPy: PyTorch's, which swaps two axes, is its permute there.

    >>> from nanoemo import Tensor
    >>> Tensor([[1.0, 2.0, 3.0]]).transpose().shape
    (3, 1)
    """
    if len(axes) == 2 == tensors_only("transpose", x=x)["x"].ndim and axes in ((0, 1), (0, -1), (-2, -1), (-2, 1)):
        raise ValueError(f"transpose: {axes} leaves both axes where they are; to swap them write transpose()")
    axes = tuple(axes[0]) if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    axes = _whole("transpose", "axes", axes, x) or tuple(reversed(range(x.ndim)))
    if sorted(a % x.ndim if -x.ndim <= a < x.ndim else -1 for a in axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: {axes} is not an order of the {x.ndim} axes of shape {x.shape}; name each "
                         f"of them once, as in transpose{tuple(reversed(range(x.ndim)))}")
    back = np.argsort([a % x.ndim for a in axes])
    return _rearranged("transpose", x, x.array.transpose(axes), lambda dy: (dy.transpose(tuple(back)),))


def flatten(x, start_axis=1):
    """Merge the axes from `start_axis` on, (N, H, W, C) to (N, H·W·C). Unlike PyTorch's it leaves the batch alone.

    >>> from nanoemo import Tensor
    >>> Tensor([[[1.0, 2.0], [3.0, 4.0]]]).flatten()
    Tensor([[1. 2. 3. 4.]])
    """
    start_axis, = _whole("flatten", "start_axis", (start_axis,), x)
    if not -x.ndim <= start_axis < x.ndim:
        raise ValueError(f"flatten: start_axis {start_axis} is out of range for shape {x.shape}; reshape(-1) makes one axis of "
                         f"them all")
    start_axis %= x.ndim
    return reshape(x, *x.shape[:start_axis], math.prod(x.shape[start_axis:]))


def getitem(x, key):
    """x[key], with slices, integers, masks and integer arrays as in NumPy; repeated indices add up in the gradient.

    >>> from nanoemo import Tensor
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].sum().backward()
    >>> x.grad
    Tensor([2. 0. 1.])
    """
    tensors_only("getitem", x=x)
    same_device("getitem", x=x, **_tensors_in(key))
    xp = backend.array_module(x.array)
    try:
        key = _key_for(x, key)
        y = xp.asarray(x.array[key])
    except IndexError as error:
        raise _out_of_range("getitem", x, error) from None
    basic = _is_basic(key)
    if not basic and x.requires_grad and is_grad_enabled():         # who made the indices may change them before backward
        key = tuple(map(_own, key)) if isinstance(key, tuple) else _own(key)

    def backward(dy):
        dx = xp.zeros(x.shape, x.dtype)
        if basic:
            dx[key] = dy
        else:
            backend.add_at(dx, key, dy)
        return (dx,)

    return _rearranged("getitem", x, y, backward)


def _own(index):
    """A copy of an array or a nested list; what cannot be changed as it is."""
    if isinstance(index, list):
        return [_own(part) for part in index]
    return index.copy() if hasattr(index, "copy") else index


def setitem(x, key, value):
    """x[key] = value, for tensors outside the graph. RuntimeError for one that an operation made."""
    if x.node is not None:
        raise RuntimeError(f"x[...] = ...: this tensor was made by {x.node.name}, and writing into it would falsify its "
                           f"gradient; write into x.detach(), or build the value with ops.concat or ops.maximum")
    if isinstance(value, Tensor):
        if value.requires_grad and is_grad_enabled():
            raise RuntimeError("x[...] = value: the value requires a gradient, which would not flow through the "
                               "assignment; write value.detach(), or build the whole with ops.concat")
    elif not isinstance(value, (numbers.Number, np.generic, np.ndarray)) or x.device == "cuda" and isinstance(value, np.ndarray):
        value = from_values("x[...] = value", value, x)
    same_device("x[...] = value", x=x, **_tensors_in(key), **_tensors_in(value, "value"))
    value = value.array if isinstance(value, Tensor) else value
    try:
        x.array[_key_for(x, key)] = value
    except IndexError as error:
        raise _out_of_range("x[...] = value", x, error) from None
    x.changed_in_place()


def _out_of_range(name, x, error):
    return IndexError(f"{name}: {error} (the tensor has shape {x.shape})")


def _tensors_in(key, name="index"):
    """{name: tensor} for those in an index, or for what is assigned."""
    parts = key if isinstance(key, tuple) else (key,)
    return {f"{name}{i or ''}": part for i, part in enumerate(parts) if isinstance(part, Tensor)}


def _key_for(x, key):
    """`key` as the array library of x takes it.

    On the GPU indices from the host are checked here, since CuPy takes one that is out of range modulo the axis; then they
    are uploaded. Masks become indices, which waits for the card where the mask lies there.
    """
    keys = [k.array if isinstance(k, Tensor) else k for k in (key if isinstance(key, tuple) else (key,))]
    if x.device == "cpu":
        return tuple(keys) if isinstance(key, tuple) else keys[0]
    if all(not hasattr(k, "dtype") or backend.device_of(k) == "cpu" for k in keys):
        np.broadcast_to(np.uint8(0), x.shape)[tuple(keys)]
    return tuple(part for k in keys for part in _indices_on_card(k))


def _indices_on_card(k):
    if isinstance(k, (list, np.ndarray)):
        k = np.asarray(k)
        parts = k.nonzero() if k.dtype == bool else [k.astype(np.int64)]
        return [backend.to_device(part, "cuda") for part in parts]
    if hasattr(k, "dtype") and k.dtype == bool and k.ndim:
        return k.nonzero()
    return [k]


def _is_basic(key):
    """True for integers, slices, None and ...: then no element is taken twice."""
    keys = key if isinstance(key, tuple) else (key,)
    return all(k is None or k is Ellipsis or isinstance(k, (int, np.integer, slice)) and not isinstance(k, bool) for k in keys)


def concat(tensors, axis=-1):
    """Tensors one after the other along `axis`; their other axes must agree.

    >>> from nanoemo import Tensor, ops
    >>> ops.concat([Tensor([[1.0]]), Tensor([[2.0, 3.0]])]).numpy().tolist()
    [[1.0, 2.0, 3.0]]
    """
    tensors = _several("concat", tensors)
    axis, = _whole("concat", "axis", (axis,), tensors[0])
    if not -tensors[0].ndim <= axis < tensors[0].ndim:
        remedy = "" if tensors[0].ndim else "; tensors without an axis can be stacked"
        raise ValueError(f"concat: axis {axis} is out of range for shape {tensors[0].shape}{remedy}")
    arrays = [tensor.array for tensor in tensors]
    xp = backend.array_module(arrays[0])
    try:
        y = _concatenated(xp, arrays, axis)
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"concat: shapes {shapes} may differ only along axis {axis}") from None
    ends = np.cumsum([array.shape[axis] for array in arrays])[:-1]
    return Tensor.from_op("concat", y, tensors, lambda dy: tuple(xp.split(dy, ends.tolist(), axis=axis)), saved=())


def _concatenated(xp, arrays, axis):
    """CuPy sends the addresses of more than eight arrays to the card, and a captured step cannot repeat that."""
    while live.capturing() and len(arrays) > 8:
        arrays = [xp.concatenate(arrays[i:i + 8], axis=axis) for i in range(0, len(arrays), 8)]
    return xp.concatenate(arrays, axis=axis)


def stack(tensors, axis=0):
    """Tensors of one shape side by side along a new axis.

    >>> from nanoemo import Tensor, ops
    >>> ops.stack([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])], axis=1).numpy().tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    tensors = _several("stack", tensors)
    axis, = _whole("stack", "axis", (axis,), tensors[0])
    axes = tensors[0].ndim + 1
    if not -axes <= axis < axes:
        raise ValueError(f"stack: axis {axis} is out of range for {axes} axes: those of shape {tensors[0].shape} "
                         f"and one new")
    if len({tensor.shape for tensor in tensors}) > 1:
        raise ValueError(f"stack: shapes differ: {', '.join(str(tensor.shape) for tensor in tensors)}")
    at = axis % axes
    return concat([reshape(tensor, *tensor.shape[:at], 1, *tensor.shape[at:]) for tensor in tensors], axis=at)


def _several(name, tensors):
    """The tensors of a list, as a tuple, all on one device and of one dtype."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}: expected a list or tuple of tensors, got {type(tensors).__name__}")
    tensors = tuple(tensors)
    if not tensors:
        raise ValueError(f"{name}: expected at least one tensor, got none")
    arguments = {f"tensors[{i}]": tensor for i, tensor in enumerate(tensors)}
    same_device(name, **arguments)
    same_dtype(name, **arguments)
    return tensors
