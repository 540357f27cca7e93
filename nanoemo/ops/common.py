"""What every operation needs: arguments made tensors and checked, broadcasting undone, a kernel called."""
import numbers

import numpy as np

from nanoemo import backend
from nanoemo.tensor import Tensor

__all__ = ["operands", "from_values", "tensors_only", "floats_only", "same_device", "same_dtype", "unbroadcast", "kernel_op"]


def tensors_only(name, optional=(), **arguments):
    """Those of `arguments` that are there; TypeError for one that is no Tensor (None only where it is optional)."""
    given = {}
    for argument, value in arguments.items():
        if value is None and argument in optional:
            continue
        if not isinstance(value, Tensor):
            remedy = "" if value is None else f"; wrap it as Tensor({argument})"
            raise TypeError(f"{name}: {argument} must be a Tensor, got {type(value).__name__}{remedy}")
        given[argument] = value
    return given


def floats_only(name, **arguments):
    """Raise TypeError for an argument that is no Tensor, or one of whole numbers."""
    for argument, value in tensors_only(name, **arguments).items():
        if value.dtype.kind != "f":
            raise TypeError(f"{name}: {argument} is {value.dtype}, but must be of a floating-point type; "
                            f"make it Tensor({argument}, dtype='float32')")


def same_device(name, **arguments):
    """The one device that all of `arguments` are on.

    Raises TypeError for an argument that is no tensor and RuntimeError where devices are mixed.
    """
    devices = {argument: value.device for argument, value in tensors_only(name, **arguments).items()}
    if len(set(devices.values())) > 1:
        places = ", ".join(f"{argument} is on '{device}'" for argument, device in devices.items())
        raise RuntimeError(f"{name}: {places}; move them to one device first, with .to('cpu') or .to('cuda')")
    return next(iter(devices.values()))


def same_dtype(name, **arguments):
    """Raise TypeError where tensors of different dtypes meet."""
    dtypes = {argument: value.dtype for argument, value in arguments.items()}
    if len(set(dtypes.values())) > 1:
        kinds = ", ".join(f"{argument} is {dtype}" for argument, dtype in dtypes.items())
        raise TypeError(f"{name}: {kinds}; make them the same with .to(dtype=...), or with .astype where the data is made")


def operands(name, a, b):
    """Both operands of a binary operation as tensors; numbers, lists and integers take the other's float dtype."""
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        raise TypeError(f"{name}: one operand at least must be a Tensor, got {type(a).__name__} and {type(b).__name__}")
    other = a if isinstance(a, Tensor) else b
    a, b = (_operand(name, value, other) for value in (a, b))
    same_device(name, left=a, right=b)
    a, b = _as_float_like(a, b), _as_float_like(b, a)
    if a.dtype.kind == "f":
        same_dtype(name, left=a, right=b)
    return a, b


def _as_float_like(value, other):
    """Integers beside floats become floats of the same dtype; NumPy, left alone, would make float64 of int64 and float32."""
    if value.dtype.kind == "f" or other.dtype.kind != "f":
        return value
    return Tensor(value, dtype=other.dtype)


def _operand(name, value, other):
    if isinstance(value, Tensor):
        return value
    if isinstance(value, numbers.Real):
        # Filled in on the device: an upload could not be captured.
        return Tensor(backend.array_module(other.array).full((), value, _dtype_for(value, other.dtype)), device=other.device)
    if backend.is_array(value) or isinstance(value, (list, tuple)):
        return from_values(name, value, other)
    raise TypeError(f"{name}: expected a Tensor, an array or a number, got {_kind(value)}")


def _dtype_for(number, dtype):
    """The dtype for a number beside a tensor of `dtype`: the tensor's where it can hold the number. Bools are then 0 and 1."""
    if dtype.kind == "f" or isinstance(number, bool):
        return dtype
    if not isinstance(number, numbers.Integral):
        return np.dtype(np.float32)
    return np.dtype(np.int64) if dtype.kind == "b" else np.result_type(dtype, np.min_scalar_type(number))


def from_values(name, values, other):
    """A tensor of an array, which keeps its dtype, or of a list, whose floats take the other operand's."""
    try:
        tensor = Tensor(values, device=backend.device_beside(values, other.device))
        adapts = not backend.is_array(values) and tensor.dtype.kind == other.dtype.kind == "f"
        return Tensor(values, dtype=other.dtype, device=tensor.device) if adapts else tensor
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: an operand cannot be made a Tensor: {error}") from None


def _kind(value):
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


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


def kernel_op(name, tensors, *options, optional=(), wants_needs=False):
    """Run `<name>_forward(*arrays, *options)` and record `<name>_backward` as its gradient.

    name: of the kernel pair in kernels/
    tensors: dictionary from argument name to Tensor; the first is the input
    options: further arguments of the forward kernel; a Tensor among them is a constant that backward needs as well
    optional: names of tensors that may be None, such as a bias
    wants_needs: whether the backward kernel can leave out gradients that nobody asked for
    """
    given = tensors_only(name, optional, **tensors)
    device = same_device(name, **given)
    floats_only(name, **given)
    same_dtype(name, **given)
    inputs = tuple(tensors.values())
    arrays = [None if tensor is None else tensor.array for tensor in inputs]
    constants = [option for option in options if isinstance(option, Tensor)]
    options = [option.array if isinstance(option, Tensor) else option for option in options]
    y, cache = backend.kernel(f"{name}_forward", device)(*arrays, *options)
    backward_kernel = backend.kernel(f"{name}_backward", device)
    needs = tuple(tensor is not None and tensor.requires_grad for tensor in inputs)

    def backward(dy):
        gradients = backward_kernel(dy, cache, needs=needs) if wants_needs else backward_kernel(dy, cache)
        return gradients if isinstance(gradients, (tuple, list)) else (gradients,)

    kept = cache if isinstance(cache, (tuple, list)) else (cache,)
    return Tensor.from_op(name, y, inputs, backward, saved=(*inputs, *constants), saves_output=any(part is y for part in kept))
