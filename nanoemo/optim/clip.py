"""Gradient clipping: keep one bad batch from throwing the weights far away."""
import numbers
from collections.abc import Iterable

from nanoemo import backend
from nanoemo.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def _gradients(name, params):
    """The gradients of a list of tensors, or of one; of a tensor that is listed twice, once."""
    params = list(params) if isinstance(params, Iterable) and not isinstance(params, Tensor) else [params]
    for parameter in params:
        if not isinstance(parameter, Tensor):
            raise TypeError(f"{name}: expected a list of parameters, got {type(parameter).__name__}; pass model.parameters()")
    return [parameter.grad for parameter in {id(parameter): parameter for parameter in params}.values()
            if parameter.grad is not None]


def check_limit(name, value):
    """Raise ValueError where `value`, which is called `name`, is no limit: a number of at least 0."""
    if not (isinstance(value, numbers.Real) and value >= 0):
        raise ValueError(f"{name} must be a number of at least 0, got {value!r}")


def clip_grad_norm_(params, max_norm):
    """Scale all gradients together, in place, so that their joint length is at most `max_norm`.

    params: a list of tensors, or one. Pascanu et al. 2013. Returns the length before clipping: a float; on the GPU,
    where that would wait for the card, a Tensor of shape (), of which `float` makes one. As in PyTorch a NaN spreads to all
    gradients, and an infinity becomes NaN and all else 0: `detect_anomaly` finds the source of either.
    Raises RuntimeError for gradients on more than one device.

    >>> from nanoemo import nn, optim
    >>> p = nn.Parameter([3.0, 4.0])
    >>> (p * p).sum().backward()                 # gradient (6, 8), of length 10
    >>> optim.clip_grad_norm_([p], 1.0), p.grad.numpy().round(2).tolist()
    (10.0, [0.6000000238418579, 0.800000011920929])
    """
    check_limit("clip_grad_norm_: max_norm", max_norm)
    gradients = _gradients("clip_grad_norm_", params)
    if not gradients:
        return 0.0
    device = _one_device(gradients)
    norm = backend.kernel("clip_by_norm", device)([gradient.array for gradient in gradients], max_norm)
    return norm if device == "cpu" else Tensor(norm)


def _one_device(gradients):
    devices = sorted({gradient.device for gradient in gradients})
    if len(devices) > 1:
        raise RuntimeError(f"clip_grad_norm_: gradients are on {' and '.join(map(repr, devices))}, but a joint norm "
                           f"needs them on one device; clip the parameters of each device on their own")
    return devices[0]


def clip_grad_value_(params, max_value):
    """Hold each number of the gradients between −max_value and max_value, in place. params: a list, or one tensor.

    >>> from nanoemo import nn, optim
    >>> p = nn.Parameter([3.0, -0.25])
    >>> (p * p).sum().backward()
    >>> optim.clip_grad_value_([p], 1.0)
    >>> p.grad
    Tensor([ 1.  -0.5])
    """
    check_limit("clip_grad_value_: max_value", max_value)
    for gradient in _gradients("clip_grad_value_", params):
        backend.array_module(gradient.array).clip(gradient.array, -max_value, max_value, out=gradient.array)
