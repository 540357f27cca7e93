"""The windows of a pooling along one axis: how many, which cells, and whether they fit."""
from dataclasses import dataclass

import numpy as np

from nanoemo.kernels.shapes import output_size, resolve_padding, resolve_padding_2d, sizes

__all__ = ["Axis", "as_one_row", "axes_1d", "axes_2d"]


@dataclass(frozen=True)
class Axis:
    """The windows along one axis of `size` cells."""
    size: int
    kernel: int
    stride: int
    pads: tuple

    @property
    def outputs(self):
        return output_size(self.size, self.kernel, self.stride, self.pads)

    def cells(self, offset):
        """(outputs, inputs): slices that pair outputs with cell `offset` of their windows, where it is real.

        >>> Axis(size=5, kernel=3, stride=2, pads=(1, 1)).cells(0)      # windows start at cells -1, 1, 3
        (slice(1, 3, None), slice(1, 4, 2))
        """
        start = offset - self.pads[0]
        first = max(0, -(start // self.stride))
        last = min(self.outputs - 1, (self.size - 1 - start) // self.stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        inputs = slice(first * self.stride + start, last * self.stride + start + 1, self.stride)
        return slice(first, last + 1), inputs

    def real_cells(self):
        """How many cells of each window are not padding."""
        starts = np.arange(self.outputs) * self.stride - self.pads[0]
        return np.minimum(starts + self.kernel, self.size) - np.maximum(starts, 0)


def axes_2d(name, x, kernel_size, stride, padding):
    """The windows along rows and columns of x (N, H, W, C). Raises ValueError where none fit."""
    _check_input(name, x, 4, "(N, H, W, C)")
    kernels = sizes(kernel_size, f"{name}: kernel_size")
    strides = kernels if stride is None else sizes(stride, f"{name}: stride")
    pads = resolve_padding_2d(padding, x.shape[1:3], kernels, strides, f"{name}: padding")
    axes = tuple(Axis(*values) for values in zip(x.shape[1:3], kernels, strides, pads))
    for axis, word in zip(axes, ("rows", "columns")):
        _check_axis(name, word, axis)
    return axes


def axes_1d(name, x, kernel_size, stride, padding):
    """The windows along the steps of x (N, T, C), seen as an image one row high."""
    _check_input(name, x, 3, "(N, T, C)")
    kernel, = sizes(kernel_size, f"{name}: kernel_size", axes=1)
    stride, = (kernel,) if stride is None else sizes(stride, f"{name}: stride", axes=1)
    pads = resolve_padding(padding, x.shape[1], kernel, stride, f"{name}: padding")
    axis = Axis(x.shape[1], kernel, stride, pads)
    _check_axis(name, "steps", axis)
    return Axis(1, 1, 1, (0, 0)), axis


def as_one_row(forward, x, axes, *how, **more):
    """What `forward(x, axes, …)`, the pooling of images, makes of sequences x (N, T, C): y (N, T', C) and the cache."""
    y, cache = forward(x[:, None], axes, *how, **more)
    return y[:, 0], cache


def _check_input(name, x, rank, layout):
    """Raise ValueError for another number of axes and for x without cells, TypeError for x that is not of floats."""
    if x.ndim != rank:
        raise ValueError(f"{name}: x must have {rank} axes {layout}, got shape {x.shape}")
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"{name}: x must be of a floating-point type, got {x.dtype}; convert it with astype")
    if 0 in x.shape[1:]:
        raise ValueError(f"{name}: x of shape {x.shape} has no cells to pool")


def _check_axis(name, word, axis):
    """Raise ValueError where a window could lie in the padding alone, or none fits; `word` says what the axis counts."""
    if max(axis.pads) > axis.kernel // 2:
        raise ValueError(f"{name}: padding {axis.pads} of {word} is more than half the window of "
                         f"{axis.kernel}, so some windows would hold padding alone; "
                         f"use at most {axis.kernel // 2}")
    if axis.outputs < 1:
        raise ValueError(f"{name}: a window of {axis.kernel} {word} does not fit x, which has {axis.size} "
                         f"{word} and padding {axis.pads}; use a smaller kernel_size or padding=\"same\"")
