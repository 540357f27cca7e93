"""What all figures share: sizes that can be read on a projector, and colours that a colour-blind reader can
tell apart.

Figures are made without pyplot: no global state, no window, nothing to close. Matplotlib is imported inside
the functions, so that importing nanoemo stays fast.
"""
import io

# Okabe & Ito (2008), "Color universal design": distinct under all common forms of colour blindness.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"

TITLE_SIZE, LABEL_SIZE, TICK_SIZE = 17, 15, 13      # points, on a figure about 8 inches wide


def new_axes(title, x_label, y_label, size=(8.0, 5.0)):
    """A figure with one labelled pair of axes; returns (figure, axes)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=TITLE_SIZE)
    axes.set_xlabel(x_label, fontsize=LABEL_SIZE)
    axes.set_ylabel(y_label, fontsize=LABEL_SIZE)
    axes.tick_params(labelsize=TICK_SIZE)
    return figure, axes


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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
