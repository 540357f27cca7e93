"""Draws the figures of docs/autograd.md, docs/convolution.md, docs/augmentation.md, docs/lstm.md and docs/marrugat.md into
docs/figures/.

    python docs/make_figures.py [FOLDER]

With the same matplotlib it writes the same bytes each time. Numbers in the drawings that are results are
computed here, not typed in.
"""
import io
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

import nanoemo
from nanoemo import Tensor, data, models, nn, ops, viz
from nanoemo.cli.show_records import times_of_steps
from nanoemo.files import write_file
from nanoemo.kernels.conv import COLUMN_BYTES
from nanoemo.viz.style import BLUE, GREY, LABEL_SIZE, ORANGE, SEVERAL, TICK_SIZE, TITLE_SIZE, new_axes, remove_box

CELL = {"ha": "center", "va": "center"}
FER2013_TRAINING = 28_709
PALE_BLUE, PALE_ORANGE = "#cfe6f5", "#fbdcc8"


def blank(width, height):
    """A figure without axes, one unit of the drawing an inch."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    return figure, axes


def arrow(axes, start, end, color=GREY, bend=0.0):
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=18, linewidth=2, color=color,
                                   connectionstyle=f"arc3,rad={bend}"))


def number(value):
    return f"{value:g}".replace("-", "−")


def box(axes, center, middle, width, text, color, linewidth=1):
    axes.add_patch(Rectangle((center - width / 2, middle - 0.33), width, 0.66, facecolor=color,
                             edgecolor="black", linewidth=linewidth))
    axes.text(center, middle, text, fontsize=LABEL_SIZE - 1, **CELL)


def grid(axes, left, top, values, size=0.5, fill=None, fontsize=TICK_SIZE):
    """A table of cells with its upper left corner at (left, top); fill: the colour of each cell, or None."""
    values = np.atleast_2d(values)
    for (row, column), value in np.ndenumerate(values):
        corner = left + column * size, top - (row + 1) * size
        color = "white" if fill is None else fill(row, column)
        axes.add_patch(Rectangle(corner, size, size, facecolor=color, edgecolor="black", linewidth=1))
        axes.text(corner[0] + size / 2, corner[1] + size / 2, number(value), fontsize=fontsize, **CELL)


# ---- autograd.md -------------------------------------------------------------------------------------------


def graph():
    """L = (x·w + x)² at x = 2, w = 3, with the gradients that flow back along each arrow."""
    x, w = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    a = x * w
    s = a + x
    loss = s * s
    value = {"x": x.item(), "w": w.item(), "a": a.item(), "s": s.item(), "L": loss.item()}
    names = {"a": a.node.name, "s": s.node.name, "L": loss.node.name}
    loss.backward()
    ds = 2 * value["s"]
    gradient = {"x": x.grad.item(), "w": w.grad.item(), "a": ds, "s": ds, "L": 1}

    figure, axes = blank(11, 4.6)
    places = {"x": (1.1, 3.4), "w": (1.1, 1.0), "a": (4.0, 1.9), "s": (6.9, 2.7), "L": (9.8, 2.7)}
    rules = {"x": "leaf", "w": "leaf", "a": "x · w", "s": "a + x", "L": "s · s"}
    arrows = [("x", "a", 0, value["w"] * ds, (3.05, 2.85)), ("w", "a", 0, value["x"] * ds, (2.65, 0.98)),
              ("a", "s", 0, ds, (5.45, 1.9)), ("x", "s", -0.15, ds, (4.0, 3.85)),
              ("s", "L", -0.45, value["s"], (8.35, 3.38)), ("s", "L", 0.45, value["s"], (8.35, 2.0))]
    for start, end, bend, sent, at in arrows:
        (left, low), (right, high) = places[start], places[end]
        arrow(axes, (left + 0.8, low), (right - 0.8, high), bend=bend)
        axes.text(*at, f"← {sent:g}", color=ORANGE, fontsize=LABEL_SIZE, fontweight="bold", **CELL)
    for name, (left, middle) in places.items():
        color = PALE_BLUE if name in ("x", "w") else "white"
        axes.add_patch(FancyBboxPatch((left - 0.72, middle - 0.62), 1.44, 1.24, boxstyle="round,pad=0.05",
                                      facecolor=color, edgecolor="black", linewidth=1.5))
        axes.text(left, middle + 0.34, f"{name} = {value[name]:g}", fontsize=TITLE_SIZE, **CELL)
        rule = f"{rules[name]}   ({names[name]})" if name in names else rules[name]
        axes.text(left, middle - 0.02, rule, fontsize=12, color=GREY, **CELL)
        slope = f"∂L/∂{name} = {gradient[name]:g}"
        axes.text(left, middle - 0.38, slope, fontsize=TICK_SIZE, color=ORANGE, **CELL)
    axes.text(5.5, 0.3, "→ forward: values        ← backward: what each operation sends to its inputs",
              fontsize=TICK_SIZE, color=GREY, **CELL)
    return figure


# ---- convolution.md ----------------------------------------------------------------------------------------


def window_to_row():
    """A 4×4 image, a 3×3 window: each of the four windows becomes a row, and the convolution a product."""
    image = np.arange(16).reshape(4, 4)
    weights = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    rows = np.lib.stride_tricks.sliding_window_view(image, (3, 3)).reshape(4, 9)
    shown = 1                                           # the window drawn in colour

    def in_window(row, column):
        return PALE_ORANGE if row < 3 and 1 <= column else "white"

    figure, axes = blank(12, 5.9)
    grid(axes, 0.4, 5.0, image, fill=in_window)
    grid(axes, 4.0, 4.5, rows, fill=lambda row, column: PALE_ORANGE if row == shown else "white")
    grid(axes, 9.2, 5.25, weights.reshape(9, 1), fill=lambda row, column: PALE_BLUE)
    grid(axes, 10.6, 4.5, rows @ weights.reshape(9, 1),
         fill=lambda row, column: PALE_ORANGE if row == shown else "white")
    grid(axes, 0.65, 2.2, weights, fill=lambda row, column: PALE_BLUE)
    arrow(axes, (2.5, 3.75), (3.9, 3.75), ORANGE)
    axes.text(8.85, 3.5, "×", fontsize=24, **CELL)
    axes.text(10.15, 3.5, "=", fontsize=24, **CELL)
    for at, text in [((1.4, 5.4), "image, 4 × 4"), ((6.25, 4.9), "columns: a row for each of the 4 places"),
                     ((9.45, 5.6), "weights"), ((10.85, 4.9), "outputs"), ((1.4, 0.35), "weights, 3 × 3")]:
        axes.text(*at, text, fontsize=LABEL_SIZE, **CELL)
    axes.text(6.25, 2.0, "16 numbers became 36:\nin a large image, nine times as many",
              fontsize=LABEL_SIZE, color=GREY, **CELL)
    return figure


def column_memory():
    """Bytes of input and of columns against the batch size, for the second convolution of njoku.cnn."""
    batch = 2 ** np.arange(0, 9)
    x = batch * 48 * 48 * 32 * 4 / 2 ** 20
    columns = batch * 46 * 46 * 9 * 32 * 4 / 2 ** 20
    blocks = np.full(len(batch), 2 * COLUMN_BYTES / 2 ** 20)        # one for each of two threads
    figure, axes = new_axes("Second convolution of njoku.cnn, 3 × 3 over 48 × 48 × 32, float32",
                            "images in the batch", "memory (MiB)", size=(10, 5.5))
    lines = [(columns, "o-", ORANGE, "columns of the whole batch", (2, 8), 17),
             (x, "s--", BLUE, "the images themselves", (40, 6), 17),
             (blocks, "-", GREY, "columns, a block at a time\n(one for each of two threads)", (36, 0.75), 0)]
    for values, style, color, text, at, angle in lines:
        axes.plot(batch, values, style, color=color, linewidth=2.5, markersize=7)
        axes.text(*at, text, color=color, fontsize=LABEL_SIZE, rotation=angle, rotation_mode="anchor")
    axes.axvline(32, color="black", linestyle=":", linewidth=1.5)
    axes.text(33, 0.15, "the paper's batch", fontsize=TICK_SIZE)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(batch, [str(n) for n in batch])
    axes.set_yticks([0.1, 1, 10, 100, 1000], ["0.1", "1", "10", "100", "1000"])
    axes.set_ylim(0.1, 1500)
    remove_box(axes)
    return figure


def minimal_filtering():
    """F(2, 3) on d = 1 2 3 4 and g = 1 10 100: two outputs from four products."""
    d, g = np.array([1, 2, 3, 4]), np.array([1, 10, 100])
    inputs = np.array([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])
    weights = np.array([g[0], g.sum() / 2, (g[0] - g[1] + g[2]) / 2, g[2]])
    products = inputs * weights
    input_sums = "$d_0 - d_2$", "$d_1 + d_2$", "$d_2 - d_1$", "$d_1 - d_3$"
    weight_sums = "$g_0$", r"$\frac{1}{2}(g_0 + g_1 + g_2)$", r"$\frac{1}{2}(g_0 - g_1 + g_2)$", "$g_2$"
    rows = [("inputs", [f"$d_{k}$" for k in range(4)], d, "white"),
            ("sums of inputs", input_sums, inputs, "white"),
            ("sums of weights", weight_sums, weights, PALE_BLUE),
            ("4 products", [f"$m_{k}$" for k in range(4)], products, PALE_ORANGE)]
    outputs = [("$y_0 = m_0 + m_1 + m_2$", products[0] + products[1] + products[2],
                "$1 · 1 + 2 · 10 + 3 · 100$", 5.0),
               ("$y_1 = m_1 - m_2 - m_3$", products[1] - products[2] - products[3],
                "$2 · 1 + 3 · 10 + 4 · 100$", 9.4)]

    figure, axes = blank(12.4, 6.2)
    for row, (label, texts, values, color) in enumerate(rows):
        middle = 5.6 - 1.05 * row
        axes.text(0.2, middle, label, fontsize=LABEL_SIZE, va="center", color=GREY)
        for column, (text, value) in enumerate(zip(texts, values)):
            center = 3.4 + 2.5 * column
            box(axes, center, middle, 2.4, f"{text} = {number(value)}", color)
            if row > 1:
                axes.text(center, middle + 0.52, {2: "×", 3: "="}[row], fontsize=LABEL_SIZE, **CELL)
    for text, value, check, center in outputs:
        box(axes, center, 1.18, 3.8, f"{text} = {number(value)}", "white", linewidth=2)
        axes.text(center, 0.45, f"check: {check}", fontsize=TICK_SIZE, color=GREY, **CELL)
    axes.text(0.2, 1.18, "2 outputs", fontsize=LABEL_SIZE, va="center", color=GREY)
    for product, center in [(0, 5.0), (1, 5.0), (2, 5.0), (1, 9.4), (2, 9.4), (3, 9.4)]:
        minus = center == 9.4 and product > 1
        arrow(axes, (3.4 + 2.5 * product, 2.1), (center + 0.5 * (product - 1.5), 1.55),
              ORANGE if minus else BLUE)
    axes.text(12.2, 1.75, "orange: minus", fontsize=TICK_SIZE, color=ORANGE, ha="right", va="center")
    return figure


def augmentation():
    """Drawn faces beside what augmentation makes of them."""
    text = "flip,rotate=10,zoom=0.1,shift=0.1,brightness=0.2,contrast=0.2,noise=5,cutout=12,mixup=0.2,cutmix=1"
    faces = data.drawn_faces(40)
    return viz.augmented(*data.augmented_samples(faces, text, rows=3, columns=5), faces.class_names,
                         title="Drawn faces, with every augmentation but vflip")


# ---- lstm.md -----------------------------------------------------------------------------------------------


def reach(last_state, *weights, steps=60):
    """Mean size of ∂(sum of the last state)/∂x at 0, 1, 2 … steps before the end."""
    x = Tensor(np.random.default_rng(0).standard_normal((8, steps, 1)), requires_grad=True)
    last_state(x, *(Tensor(array.astype(np.float64)) for array in weights)).sum().backward()
    return np.abs(x.grad.numpy()).mean(axis=(0, 2))[::-1]


def no_gates(x, w, u):
    h = Tensor(np.zeros((len(x), len(u))))
    for t in range(x.shape[1]):
        h = ops.tanh(x[:, t] @ w + h @ u)
    return h


def reaches():
    """How far back the gradient of the last state reaches, without gates and in LSTMs."""
    units = 32
    figure, axes = new_axes("How much the last state depends on earlier inputs", "steps before the end",
                            "mean |∂ last state / ∂ input|", size=(9, 5.4))
    nanoemo.manual_seed(0)
    w, u = nn.init.glorot_uniform((1, units)), nn.init.orthogonal((units, units))
    for scale, color in ((0.5, ORANGE), (2, GREY)):
        axes.semilogy(reach(no_gates, w, scale * u), color=color, linestyle="--", linewidth=2.5,
                      label=f"no gates, {scale:g} u")
    for bias, color in ((0, SEVERAL[3]), (1, SEVERAL[4]), (3, BLUE)):
        nanoemo.manual_seed(0)
        layer = nn.LSTM(1, units)
        layer.bias.array[units:2 * units] = bias
        values = reach(lambda *args: ops.lstm(*args, return_sequences=False),
                       *(parameter.numpy() for parameter in layer.parameters()))
        axes.semilogy(values, color=color, linewidth=2.5, label=f"LSTM, forget bias {bias}")
    axes.set_ylim(1e-20, 1e5)
    axes.legend(fontsize=TICK_SIZE, frameon=False, loc="lower left")
    remove_box(axes)
    return figure


# ---- docs/marrugat.md -----------------------------------------------------------------------------------------


def marrugat_times():
    """The paper's figure 6: how long each model's training takes, by the steps of its recipe and the time measured for one."""
    files = (Path(__file__).parent / "benchmarks" / f"2026-11-23-epyc-2-cores-{part}.json" for part in ("goals", "others"))
    step, _ = times_of_steps(files)
    seconds, notes = {}, {}
    for name in sorted(name for name in step if name.startswith("marrugat")):
        recipe = models.recipe(name)
        steps = recipe.epochs * -(-FER2013_TRAINING // recipe.batch_size)
        seconds[name], notes[name] = steps * step[name], f"{steps:,} steps of {1000 * step[name]:,.0f} ms"
    return viz.times(seconds, notes, "Training on FER2013, on two cores")


FIGURES = {"graph": graph, "window_to_row": window_to_row, "column_memory": column_memory,
           "minimal_filtering": minimal_filtering, "reach": reaches, "marrugat_times": marrugat_times}
PICTURES = {"augmentation": augmentation}       # of pixels: an SVG of them would be larger, and no sharper


def to_svg(figure):
    """The figure as SVG text, the same each time: no date, no random identifiers."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "nanoemo"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def main(folder):
    folder.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        write_file(folder / f"{name}.svg", to_svg(draw()))
    for name, draw in PICTURES.items():
        write_file(folder / f"{name}.png", viz.to_png(draw(), dpi=75))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "figures")
