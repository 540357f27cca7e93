"""What every operation needs: arguments made tensors and checked, broadcasting undone, a kernel called."""
import numbers

import numpy as np

from nanoemo import backend
from nanoemo.tensor import Tensor

__all__ = ["operands", "same_device", "unbroadcast", "kernel_op"]


def same_device(name, **arguments):
    """The one device that all the tensors among `arguments` are on.

    Raises TypeError for an argument that is no tensor and RuntimeError where devices are mixed.
    """
    for argument, value in arguments.items():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{name}: {argument} must be a Tensor, got {type(value).__name__}; wrap it as Tensor({argument})")
    devices = {argument: value.device for argument, value in arguments.items() if value is not None}
    if len(set(devices.values())) > 1:
        places = ", ".join(f"{argument} is on '{device}'" for argument, device in devices.items())
        raise RuntimeError(f"{name}: {places}; move them to one device first, with .to('cpu') or .to('cuda')")
    return next(iter(devices.values()))


def same_dtype(name, **arguments):
    """Raise TypeError where float tensors of different precision meet."""
    dtypes = {argument: value.dtype for argument, value in arguments.items() if value is not None}
    if len({dtype for dtype in dtypes.values() if dtype.kind == "f"}) > 1:
        kinds = ", ".join(f"{argument} is {dtype}" for argument, dtype in dtypes.items())
        raise TypeError(f"{name}: {kinds}; make them the same with Tensor(x, dtype=...)")


def operands(name, a, b):
    """Both operands of a binary operation as tensors; a plain number takes the other's dtype and device."""
    other = a if isinstance(a, Tensor) else b
    a, b = (_operand(name, value, other) for value in (a, b))
    same_device(name, left=a, right=b)
    same_dtype(name, left=a, right=b)
    return a, b


def _operand(name, value, other):
    if isinstance(value, Tensor):
        return value
    if isinstance(value, numbers.Number):
        dtype = other.dtype if other.dtype.kind == "f" or isinstance(value, numbers.Integral) else np.dtype(np.float32)
        return Tensor(value, dtype=dtype, device=other.device)
    if isinstance(value, np.ndarray) and value.dtype.kind in "iub":
        return Tensor(value.astype(other.dtype))
    if isinstance(value, (np.ndarray, list, tuple)):
        return Tensor(value)
    raise TypeError(f"{name}: expected a Tensor, an array or a number, got {type(value).__name__}")


def unbroadcast(gradient, shape):
    """Sum `gradient` over the axes along which a value of `shape` had been repeated.

    >>> import numpy as np
    >>> unbroadcast(np.ones((4, 3)), (3,)).tolist(), unbroadcast(np.ones((4, 3)), (4, 1)).tolist()
    ([4.0, 4.0, 4.0], [[3.0], [3.0], [3.0], [3.0]])
    """
    if gradient.shape == shape:
        return gradient
    new_axes = gradient.ndim - len(shape)
    repeated = tuple(axis + new_axes for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis + new_axes] != 1)
    summed = gradient.sum(axis=tuple(range(new_axes)) + repeated)
    return summed.reshape(shape)


def kernel_op(name, tensors, *options, wants_needs=False):
    """Run `<name>_forward(*arrays, *options)` and record `<name>_backward` as its gradient.

    name: of the kernel pair in kernels/
    tensors: dictionary from argument name to Tensor (or None, for an absent bias); the first is the input
    options: further arguments of the forward kernel
    wants_needs: whether the backward kernel can leave out gradients that nobody asked for
    """
    device = same_device(name, **tensors)
    same_dtype(name, **tensors)
    inputs = tuple(tensors.values())
    arrays = [None if tensor is None else tensor.array for tensor in inputs]
    y, cache = backend.kernel(f"{name}_forward", device)(*arrays, *options)
    backward_kernel = backend.kernel(f"{name}_backward", device)
    needs = tuple(tensor is not None and tensor.requires_grad for tensor in inputs)

    def backward(dy):
        gradients = backward_kernel(dy, cache, needs=needs) if wants_needs else backward_kernel(dy, cache)
        return gradients if isinstance(gradients, (tuple, list)) else (gradients,)

    return Tensor.from_op(name, y, inputs, backward)
