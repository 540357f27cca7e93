"""A network drawn: a column of boxes for each of its parts, a box for each layer, what is frozen marked."""
import numpy as np

from nanoemo.nn import Conv2d, Dropout, Linear, Upsample2d
from nanoemo.nn.module import must_be_module
from nanoemo.nn.pool import AvgPool2d, MaxPool2d, MinPool2d
from nanoemo.summary import summarize
from nanoemo.viz.style import BLUE, GREY, LABEL_SIZE, ORANGE, TITLE_SIZE, new_figure

__all__ = ["network"]

PALE_BLUE, PALE_GREY = "#e3f1fa", "#ececec"
COLUMN, GAP, BOX, HEAD = 3.7, 0.55, 0.72, 1.0        # inches: widths of a column and a gap, heights of a layer, a heading


def network(model, input_shape, title="Network", target=""):
    """Figure of `model`, whose children are its parts and run one after the other.

    A frozen part is grey and hatched. target: what the output is compared with, written behind the last arrow
    Raises TypeError for what is no model.

    >>> from nanoemo import models
    >>> cnn = models.build("series.cnn1")
    >>> _ = cnn.extractor.freeze()
    >>> figure = network(cnn, (48, 48, 1))
    >>> texts = [text.get_text() for text in figure.axes[0].texts]
    >>> "frozen" in texts, "conv 3×3, 16, ReLU" in texts, "48×48×16" in texts
    (True, True, True)
    """
    must_be_module("network", model)
    parts = list(model.children())
    columns = _layers(model, input_shape)
    ends = 1.9                                              # room on either side, for the names of input and target
    width = 2 * ends + len(parts) * (COLUMN + GAP) + GAP
    top = max(len(layers) for layers in columns.values()) * BOX + HEAD + 0.1
    figure = new_figure(title, (width, top + 0.65), layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, figure.get_figheight()))
    axes.axis("off")

    middle = top / 2
    axes.text(ends - 0.1, middle, f"input\n{_times(input_shape)}", ha="right", va="center", fontsize=LABEL_SIZE)
    left = ends + GAP
    for name, part in parts:
        _arrow(axes, left - GAP, left, middle)
        _column(axes, left, top, name, part, columns[name])
        left += COLUMN + GAP
    _arrow(axes, left - GAP, left, middle)
    axes.text(left + 0.1, middle, target, ha="left", va="center", fontsize=LABEL_SIZE)
    return figure


def _column(axes, left, top, name, part, layers):
    from matplotlib.patches import Rectangle

    bottom = top - HEAD - BOX * len(layers) - 0.05
    axes.add_patch(Rectangle((left, bottom), COLUMN, top - bottom, linewidth=2,
                             facecolor=PALE_GREY if part.frozen else PALE_BLUE, edgecolor=GREY if part.frozen else BLUE,
                             hatch="//" if part.frozen else None))
    heading = {"va": "center", "backgroundcolor": PALE_GREY if part.frozen else PALE_BLUE}
    axes.text(left + 0.15, top - 0.28, name, fontsize=TITLE_SIZE + 1, weight="bold", **heading)
    axes.text(left + COLUMN - 0.15, top - 0.28, "frozen" if part.frozen else "learns", ha="right", fontsize=TITLE_SIZE,
              weight="bold", color=ORANGE if part.frozen else BLUE, **heading)
    axes.text(left + 0.15, top - 0.72, f"{part.num_parameters():,} parameters", fontsize=LABEL_SIZE, **heading)
    for row, (text, shape) in enumerate(layers):
        low = top - HEAD - BOX * (row + 1) + 0.04
        axes.add_patch(Rectangle((left + 0.1, low), COLUMN - 0.2, BOX - 0.07, facecolor="white", edgecolor=GREY))
        axes.text(left + 0.18, low + 0.46, text, va="center", fontsize=LABEL_SIZE)
        axes.text(left + COLUMN - 0.18, low + 0.18, shape, ha="right", va="center", color=GREY, fontsize=LABEL_SIZE)


def _arrow(axes, start, end, y):
    axes.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "-|>", "linewidth": 2, "color": GREY,
                                                        "mutation_scale": 18, "shrinkA": 3, "shrinkB": 1})


def _layers(model, input_shape):
    """{part: [(what the layer is, shape that it gives)]}; dropout is written beside the layer before it."""
    modules = dict(model.named_modules())
    columns = {name: [] for name, _ in model.children()}
    for row in summarize(model, input_shape).rows:
        if not row.name:                            # the whole, which may keep numbers of its own
            continue
        module, column = modules[row.name], columns[row.name.split(".")[0]]
        if isinstance(module, Dropout) and column:
            text, shape = column[-1]
            column[-1] = f"{text}, dropout {module.p:g}", shape
        else:
            column.append((_text(module) + (f", {row.activation}" if row.activation else ""), _times(row.output_shape)))
    return columns


def _text(module):
    if isinstance(module, Conv2d):
        height, width, _, filters = module.weight.shape
        return f"conv {height}×{width}, {filters}"
    if isinstance(module, Linear):
        return f"dense {module.weight.shape[1]}"
    if isinstance(module, (MaxPool2d, AvgPool2d, MinPool2d)):
        return f"{type(module).__name__[:3].lower()} pool {_times(np.broadcast_to(module.kernel_size, 2))}"
    if isinstance(module, Upsample2d):
        return f"up-sample {module.extra_repr()}"
    return type(module).__name__.lower()


def _times(sizes):
    return "×".join(map(str, sizes))
