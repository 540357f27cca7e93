"""The arithmetic of windows: how much padding, how many outputs. One axis at a time."""
from numbers import Integral

__all__ = ["copy_with_border", "output_size", "overlap", "pair", "resolve_padding", "resolve_padding_2d", "sizes"]


def pair(value, name="value"):
    """One number for both axes, or a pair (rows, columns).

    >>> pair(3), pair((2, 1))
    ((3, 3), (2, 1))
    """
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or not all(map(_is_whole, both)):
        raise ValueError(f"{name}: expected a number or a pair of whole numbers, got {value!r}")
    return int(both[0]), int(both[1])


def sizes(value, name="value", axes=2):
    """One number for all axes, or one for each, all of them at least 1: of a window, of its steps. ValueError for others.

    >>> sizes(3), sizes((2, 1)), sizes(5, axes=1)
    ((3, 3), (2, 1), (5,))
    """
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(numbers) != axes or not all(_is_whole(number) and number >= 1 for number in numbers):
        kind = "a positive whole number" + (" or a pair of them" if axes == 2 else "")
        raise ValueError(f"{name} must be {kind}, got {value!r}")
    return tuple(map(int, numbers))


def _is_whole(number):
    return isinstance(number, Integral) and not isinstance(number, bool)


def resolve_padding(padding, size, kernel, stride, name="padding"):
    """Cells to add (before, after) along an axis of `size` cells.

    - "valid": none.
    - "same": TensorFlow's rule. The output has ceil(size / stride) cells; an odd cell goes to the end.
    - a number: so many on both sides; a pair: before, after.

    >>> resolve_padding("same", 48, 3, 1), resolve_padding("same", 9, 2, 2), resolve_padding(2, 9, 5, 1)
    ((1, 1), (0, 1), (2, 2))
    """
    if padding == "valid":
        return 0, 0
    if padding == "same":
        outputs = -(-size // stride)
        total = max((outputs - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    if isinstance(padding, str):
        raise ValueError(f'{name}: expected "valid", "same", a number or a pair, got {padding!r}')
    before, after = pair(padding, name)
    if before < 0 or after < 0:
        raise ValueError(f"{name}: must not be negative, got {padding!r}")
    return before, after


def resolve_padding_2d(padding, shape, kernels, strides, name="padding"):
    """`resolve_padding` for the rows and columns of images of `shape` (height, width): ((top, bottom), (left, right)).

    A pair means (rows, columns), each the same on both of its sides, as in PyTorch.

    >>> resolve_padding_2d((1, 2), (8, 8), (3, 5), (1, 1))
    ((1, 1), (2, 2))
    """
    rows, columns = (padding, padding) if isinstance(padding, str) else pair(padding, name)
    return (resolve_padding(rows, shape[0], kernels[0], strides[0], name),
            resolve_padding(columns, shape[1], kernels[1], strides[1], name))


def output_size(size, kernel, stride, pads):
    """Windows that fit an axis: floor((size + before + after − kernel) / stride) + 1.

    >>> output_size(48, 3, 1, (0, 0)), output_size(48, 2, 2, (0, 0))
    (46, 24)
    """
    return (size + pads[0] + pads[1] - kernel) // stride + 1


def overlap(first, extent, limit):
    """Where cells first … first + extent − 1 meet an axis of `limit` cells: slices of the axis, and of those cells.

    >>> overlap(-2, 5, 10), overlap(12, 5, 10)
    ((slice(0, 3, None), slice(2, 5, None)), (slice(10, 10, None), slice(0, 0, None)))
    """
    start = min(max(first, 0), limit)
    stop = max(start, min(first + extent, limit))
    offset = max(start - first, 0)
    return slice(start, stop), slice(offset, offset + stop - start)


def copy_with_border(x, images, start, out):
    """The pixels of some images of x (N, H, W, C) from `start` (row, column) on into `out`, zeros where that is outside."""
    (rows, out_rows), (columns, out_columns) = map(overlap, start, out.shape[1:3], x.shape[1:3])
    out.fill(0)
    out[:, out_rows, out_columns] = x[images, rows, columns]
    return out
