"""Convolution, ReLU and max pooling on the GPU: the functions of conv_pool.py, by conv_cupy.py and pool_cupy.py.

The kernels run one after the other. What the convolution wrote is free again when forward returns: for the way back, x
and the chosen places are enough.
"""
from nanoemo.kernels.conv_checks import check_conv2d
from nanoemo.kernels.conv_cupy import convolve, conv2d_backward
from nanoemo.kernels.pool_cupy import max_pool2d_backward, relu_max_pool2d_forward
from nanoemo.kernels.windows import axes_2d

__all__ = ["conv2d_relu_max_pool2d_backward", "conv2d_relu_max_pool2d_forward"]


def conv2d_relu_max_pool2d_forward(x, w, b, stride, padding, kernel_size, pool_padding="valid"):
    """max_pool2d(relu(conv2d(x, w, b))), the windows of the pooling side by side. Keeps x, w and the chosen places."""
    strides, pads = check_conv2d(x, w, b, stride, padding)
    whole, conv_cache = convolve(x, w, b, strides, pads)
    axes_2d("max_pool2d", whole, kernel_size, None, pool_padding)       # errors name the layer that does not fit
    y, pool_cache = relu_max_pool2d_forward(whole, kernel_size, None, pool_padding)
    return y, (conv_cache, pool_cache)


def conv2d_relu_max_pool2d_backward(dy, cache, needs=(True, True, True)):
    """Gradients (dx, dw, db), None where `needs` does not ask for one."""
    conv_cache, pool_cache = cache
    return conv2d_backward(max_pool2d_backward(dy, pool_cache), conv_cache, needs)
