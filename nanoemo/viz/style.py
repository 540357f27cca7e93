"""What all figures share: sizes that can be read on a projector, and colours that a colour-blind reader can
tell apart.

Figures are made without pyplot: no global state, no window, nothing to close. Matplotlib is imported inside
the functions, so that importing nanoemo stays fast.
"""
import io
import textwrap
from pathlib import Path

import numpy as np

from nanoemo.files import write_file
from nanoemo.hints import type_of

# Okabe & Ito (2008), "Color universal design": distinct under all common forms of colour blindness.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
SEVERAL = [BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "black"]       # for as many curves

TITLE_SIZE, LABEL_SIZE, TICK_SIZE = 17, 15, 13      # points, on a figure about 8 inches wide
TITLE_LINE = 0.3                                    # inches

TICK_LETTERS = 25
ROUNDING = 1e-3             # beyond 0 and 1 is taken for 0 and 1


def new_figure(title, size, layout="constrained"):
    """An empty figure of (width, height) inches, its title broken into lines that fit; higher by each line after the first."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout=layout)
    text = figure.suptitle(title, fontsize=TITLE_SIZE, parse_math=False)
    lines = title.splitlines()
    letters = max(map(len, lines), default=0)
    most = int(0.9 * letters * figure.bbox.width / max(1, text.get_window_extent().width))      # with a margin
    lines = "\n".join(textwrap.fill(line, most, break_on_hyphens=False) for line in lines)      # too long a word is broken, too
    text.set_text(lines)
    figure.set_figheight(size[1] + TITLE_LINE * lines.count("\n"))
    return figure


def new_axes(title, x_label, y_label, size=(8.0, 5.0)):
    """A figure with one labelled pair of axes; returns (figure, axes)."""
    figure = new_figure(title, size)
    axes = figure.subplots()
    axes.set_xlabel(x_label, fontsize=LABEL_SIZE)
    axes.set_ylabel(y_label, fontsize=LABEL_SIZE)
    axes.tick_params(labelsize=TICK_SIZE)
    return figure, axes


def new_grid(rows, columns, title, cell=1.7, below=0.0):
    """A figure of pictures `cell` inches wide and high, without ticks; returns (figure, axes (rows, columns)).

    below: inches for text under each picture
    """
    figure = new_figure(title, (max(6.0, columns * cell + 1.0), rows * (cell + below) + 0.7))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    return figure, grid


def color_bar(axes, image, label, **options):
    """A scale for the colours of `image`, which `axes` show, beside them; returns matplotlib's Colorbar.

    label: what they measure, with its unit; options: as for matplotlib's `colorbar`
    """
    bar = axes.figure.colorbar(image, ax=axes, **options)
    bar.set_label(label, fontsize=TICK_SIZE)
    bar.ax.tick_params(labelsize=TICK_SIZE)
    return bar


def show_image(axes, image):
    """Draw an image (H, W, 1) or (H, W, 3) of those that `check_images` gives."""
    most = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=most)


def as_pictures(name, images):
    """`images` of any shape as an array, ready to be drawn: uint8 as they are, floats in 0 … 1.

    Raises ValueError, in the name of a figure, where floats lie beyond that.

    >>> as_pictures("samples", [0.5, 1.0001])
    array([0.5, 1. ])
    >>> as_pictures("samples", [0.0, 200.0])
    Traceback (most recent call last):
        ...
    ValueError: samples: expected images of uint8, or floats in 0 … 1, got float64 from 0 to 200; divide those in 0 … 255 by 255
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    if _beyond(images):
        raise ValueError(f"{name}: expected images of uint8, or floats in 0 … 1, got {images.dtype} from {np.nanmin(images):g} "
                         f"to {np.nanmax(images):g}; divide those in 0 … 255 by 255")
    return np.clip(images, 0, 1)


def shortened(name, most):
    """A class's name in at most so many letters, the last of them … where some are left out.

    >>> shortened("happy", 14), shortened("sadly disgusted and angry", 14)
    ('happy', 'sadly disgust…')
    """
    return name if len(name) <= most else name[:most - 1].rstrip() + "…"


def tick_names(names):
    """Names of classes as labels of ticks: the longest leave room for the figure.

    >>> tick_names(["sad", "neither happy nor especially sad"])
    ['sad', 'neither happy nor especi…']
    """
    return [shortened(name, TICK_LETTERS) for name in names]


def largest(values):
    """The largest of the numbers that are finite; a little above 0 where none is more. For the upper end of a scale.

    >>> largest([0.5, np.nan, np.inf]), largest([0.0])
    (0.5, 1e-12)
    """
    return float(np.max(values, where=np.isfinite(values), initial=1e-12))


def check_shares(name, values):
    """`values` as an array of floats; ValueError, in the name of a figure, where one is not in 0 … 1. None becomes NaN.

    >>> check_shares("accuracy_curves", [0.5, None])
    array([0.5, nan])
    >>> check_shares("accuracy_curves", [20, 90])
    Traceback (most recent call last):
        ...
    ValueError: accuracy_curves: expected shares from 0 to 1, got numbers from 20 to 90; divide per cent by 100
    """
    values = np.asarray(values, float)
    if _beyond(values):
        raise ValueError(f"{name}: expected shares from 0 to 1, got numbers from {np.nanmin(values):g} to {np.nanmax(values):g}; "
                         "divide per cent by 100")
    return values


def _beyond(values):
    """Whether one of them is less than 0 or more than 1. NaN, for what is not known, is neither."""
    return ((values < -ROUNDING) | (values > 1 + ROUNDING)).any()


def check_images(name, images):
    """`as_pictures` of images; ValueError, too, where they are not (N, H, W, 1) or (N, H, W, 3), N > 0."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"{name}: expected images of shape (N, H, W, 1) or (N, H, W, 3), got {images.shape}")
    return as_pictures(name, images)


def remove_box(axes):
    """Take away the upper and right frame lines, which carry no information, and draw a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def to_png(figure, dpi=110):
    """The figure as the bytes of a PNG file.

    >>> to_png(new_axes("a title", "epoch", "loss")[0])[:4]
    b'\\x89PNG'
    """
    return _to_bytes(figure, "png", dpi)


def save(figure, path, dpi=110):
    """Write the figure to `path`, whole or not at all, as its suffix says: .png, .svg or .pdf.

    The same figure gives the same bytes each time: no date, no random names inside. Raises ValueError for another suffix,
    TypeError for what is no figure.

    >>> save(new_axes("a title", "epoch", "loss")[0], "loss.gif")
    Traceback (most recent call last):
        ...
    ValueError: loss.gif: a figure's name ends in .png, .svg or .pdf
    """
    write_file(path, _to_bytes(figure, format_of(path), dpi))


def format_of(path):
    """"png", "svg" or "pdf", by the suffix of `path`; ValueError for another."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".svg", ".pdf"):
        raise ValueError(f"{path}: a figure's name ends in .png, .svg or .pdf")
    return suffix[1:]


def _to_bytes(figure, kind, dpi):
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    if not isinstance(figure, Figure):
        raise TypeError(f"viz: expected a figure, as viz.loss_curves(...) and the others give it, got {type_of(figure)}")
    for text in figure.findobj(Text):           # names of classes and files are drawn as they stand, though they hold $ … $,
        text.set_parse_math(False)              # which matplotlib would take for a formula
    buffer = io.BytesIO()
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": "nanoemo"}):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=undated[kind])
    return buffer.getvalue()
