"""Activations on the GPU: the functions of activation.py, computed by activation.cu."""
import cupy as cp

from nanoemo.kernels.cuda import CudaFile, each, in_order

__all__ = [
    "leaky_relu_backward", "leaky_relu_forward", "log_softmax_backward", "log_softmax_forward", "relu_backward",
    "relu_forward", "sigmoid_backward", "sigmoid_forward", "softmax_backward", "softmax_forward", "tanh_backward",
    "tanh_forward",
]

launch = CudaFile("activation.cu").launch


def _elementwise(kernel, *arguments):
    """A new array like the first argument, filled by a kernel that takes the arguments, the new array, its size."""
    arguments = [in_order(a) if isinstance(a, cp.ndarray) else a for a in arguments]
    out = cp.empty_like(arguments[0])
    launch(kernel, each(out.size), *arguments, out, out.size)
    return out


def _rowwise(kernel, *arrays):
    """The same, with a warp for each row of the last axis."""
    arrays = [in_order(array) for array in arrays]
    out = cp.empty_like(arrays[0])
    length = out.shape[-1]
    rows = out.size // length
    launch(kernel, each(32 * rows), *arrays, out, rows, length)
    return out


def relu_forward(x):
    """max(x, 0), any shape. Keeps y."""
    y = _elementwise("relu_forward", x)
    return y, y


def relu_backward(dy, y):
    """dy where y is not 0."""
    return _elementwise("relu_backward", dy, y)


def leaky_relu_forward(x, slope):
    """x where x > 0, else slope·x. Keeps x."""
    return _elementwise("leaky_relu_forward", x, slope), (x, slope)


def leaky_relu_backward(dy, cache):
    """dy where x > 0, else slope·dy."""
    return _elementwise("leaky_relu_backward", dy, *cache)


def sigmoid_forward(x):
    """1 / (1 + e^−x). Keeps y."""
    y = _elementwise("sigmoid_forward", x)
    return y, y


def sigmoid_backward(dy, y):
    """dy · y · (1 − y)."""
    return _elementwise("sigmoid_backward", dy, y)


def tanh_forward(x):
    """tanh x. Keeps y."""
    y = _elementwise("tanh_forward", x)
    return y, y


def tanh_backward(dy, y):
    """dy · (1 − y²)."""
    return _elementwise("tanh_backward", dy, y)


def softmax_forward(x):
    """e^x_k / Σ_j e^x_j along the last axis. Keeps y."""
    y = _rowwise("softmax_forward", x)
    return y, y


def softmax_backward(dy, y):
    """y · (dy − Σ_j dy_j·y_j)."""
    return _rowwise("softmax_backward", dy, y)


def log_softmax_forward(x):
    """x_k − log Σ_j e^x_j along the last axis. Keeps y."""
    y = _rowwise("log_softmax_forward", x)
    return y, y


def log_softmax_backward(dy, y):
    """dy − e^y · Σ_j dy_j."""
    return _rowwise("log_softmax_backward", dy, y)
