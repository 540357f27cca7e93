"""What a Tensor can be made of, and the array it becomes."""
import numpy as np

from nanoemo import backend
from nanoemo.modes import is_grad_enabled

__all__ = ["as_array", "check_dtype"]


def as_array(data, dtype, device):
    """The array of a number, a nested list or an array; arguments and errors are those of `nanoemo.Tensor`.

    >>> as_array([1, 2.5], dtype=None, device=None)
    array([1. , 2.5], dtype=float32)
    """
    if isinstance(data, (list, tuple)) and is_grad_enabled() and _wants_gradient(data):
        raise RuntimeError("Tensor: a tensor in this list requires a gradient, which would not flow back to it; join tensors "
                           "with ops.stack or ops.concat, or take their .detach()")
    on_card = backend.is_array(data) and backend.device_of(data) == "cuda"
    try:
        array = data if on_card else np.asarray(data)           # an array of another library, such as PyTorch's, too
    except ValueError:
        raise ValueError("Tensor: the rows of a nested list differ in length") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"Tensor: expected numbers, got {type(data).__name__} of dtype {array.dtype}")
    if dtype is None and not hasattr(data, "dtype") and array.dtype.kind == "f":
        dtype = np.float32
    dtype = check_dtype(dtype or array.dtype, given=dtype is not None)
    if device is None:
        device = backend.device_of(array) if on_card else backend.default_device()
    return backend.to_device(array, device).astype(dtype, copy=False)


def _wants_gradient(items):
    """Whether a nested list holds a tensor that requires a gradient."""
    return any(_wants_gradient(item) if isinstance(item, (list, tuple)) else getattr(item, "requires_grad", False)
               for item in items)


def check_dtype(dtype, given):
    """`dtype` as NumPy's; TypeError for a float that is neither float32 nor float64, and for what is no number.

    given: whether the user named it, and it is not just that of the data
    """
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = None
    if known is None or known.kind not in "fiub" or known.kind == "f" and known.itemsize not in (4, 8):
        remedy = "expected float32, float64 or an integer type" if given else "pass dtype='float32'"
        raise TypeError(f"Tensor: {dtype} is not supported; {remedy}")
    return known.newbyteorder("=")
