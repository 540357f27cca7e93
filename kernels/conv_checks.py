"""What the arguments of a convolution must be, on either device, and the strides and padding that they mean."""
from nanoemo.kernels.shapes import output_size, resolve_padding, resolve_padding_2d, sizes

__all__ = ["as_images", "check_conv1d", "check_conv2d", "output_shape", "without_row_axis"]


def check_conv2d(x, w, b, stride, padding):
    """Strides (rows, columns) and padding ((top, bottom), (left, right)).

    Arguments as for `conv2d_forward`. Raises ValueError where they do not fit together.

    >>> import numpy as np
    >>> check_conv2d(np.ones((1, 6, 6, 3)), np.ones((3, 3, 3, 8)), None, 1, "same")
    ((1, 1), ((1, 1), (1, 1)))
    """
    _check_arrays("conv2d", x, w, b, "(N, H, W, C)", "(kh, kw, C, O)")
    strides = sizes(stride, "conv2d: stride")
    pads = resolve_padding_2d(padding, x.shape[1:3], w.shape[:2], strides, "conv2d: padding")
    _check_windows("conv2d", x, w.shape[:2], pads, padding)
    return strides, pads


def check_conv1d(x, w, b, stride, padding):
    """The same for sequences, seen as images of one row: strides (1, stride), padding ((0, 0), (before, after))."""
    _check_arrays("conv1d", x, w, b, "(N, T, C)", "(k, C, O)")
    step, = sizes(stride, "conv1d: stride", axes=1)
    pads = resolve_padding(padding, x.shape[1], w.shape[0], step, "conv1d: padding")
    _check_windows("conv1d", x, w.shape[:1], (pads,), padding)
    return (1, step), ((0, 0), pads)


def _check_arrays(name, x, w, b, x_axes, w_axes):
    """Raise ValueError where the shapes of x, w and b, which may be None, do not fit together, or an axis is 0."""
    if x.ndim != len(x_axes.split(",")) or w.ndim != x.ndim:
        raise ValueError(f"{name}: expected x {x_axes} and w {w_axes}, got shapes {x.shape} and {w.shape}")
    if x.shape[-1] != w.shape[-2]:
        raise ValueError(f"{name}: x has {x.shape[-1]} channels (last axis of {x.shape}) but w expects {w.shape[-2]}; "
                         f"w must be {w_axes}, and is {w.shape}")
    if b is not None and b.shape != w.shape[-1:]:
        raise ValueError(f"{name}: b has shape {b.shape} but w makes {w.shape[-1]} channels: expected ({w.shape[-1]},)")
    for argument, shape in (("x", x.shape), ("w", w.shape)):
        if 0 in shape:
            raise ValueError(f"{name}: {argument} of shape {shape} is empty; no axis may be 0")


def _check_windows(name, x, window, pads, padding):
    """Raise ValueError where no window fits into x with its padding."""
    for size, kernel, (before, after) in zip(x.shape[1:], window, pads):
        if size + before + after < kernel:
            raise ValueError(f"{name}: the window {window} is larger than the padded input "
                             f"(x {x.shape}, padding {padding!r}); use a smaller kernel or padding='same'")


def output_shape(x_shape, w_shape, strides, pads):
    """Height and width of what the convolution of images makes.

    >>> output_shape((1, 48, 48, 1), (3, 3, 1, 32), (1, 1), ((0, 0), (0, 0)))
    (46, 46)
    """
    return tuple(output_size(x_shape[1 + axis], w_shape[axis], strides[axis], pads[axis]) for axis in range(2))


def as_images(x, w):
    """Sequences (N, T, C) and their weights (k, C, O) as images of one row and weights for them."""
    return x[:, None], w[None]


def without_row_axis(dx, dw, db):
    """The gradients of `as_images`, None for one that nobody asked for, for the sequences."""
    return None if dx is None else dx[:, 0], None if dw is None else dw[0], db
