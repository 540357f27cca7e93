"""The table that papers print of a model: each layer, the shape it gives, the numbers it learns."""
from dataclasses import dataclass
from itertools import pairwise

from nanoemo.nn import Activation, Sequential, undisturbed, watch, zero_inputs
from nanoemo.nn.module import must_be_module
from nanoemo.tensor import Tensor

__all__ = ["Row", "Summary", "summarize", "summary"]


@dataclass
class Row:
    """One layer. `activation` is that of the activation layer right behind it, which papers give no row."""
    name: str
    kind: str
    output_shape: tuple         # without the batch
    params: int
    activation: str = ""

    @property
    def label(self):
        kinds = f"{self.kind}, {self.activation}" if self.activation else self.kind
        return f"{self.name} ({kinds})" if self.name else f"({kinds})"


@dataclass
class Summary:
    """What `summarize` found; `str()` of it is the table."""
    rows: list
    total: int
    trainable: int

    def __str__(self):
        header = ("Layer (type)", "Output Shape", "Param #")
        lines = [(row.label, str((None, *row.output_shape)), f"{row.params:,}") for row in self.rows]
        widths = [max(len(cell) for cell in column) for column in zip(header, *lines)]
        rule = "─" * (sum(widths) + 4)
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in (header, *lines)]
        return "\n".join([lines[0], rule, *lines[1:], rule,
                          f"Total params: {self.total:,}",
                          f"Trainable params: {self.trainable:,}",
                          f"Non-trainable params: {self.total - self.trainable:,}"])


def summarize(model, input_shape):
    """The model's `Summary`, found by running zeros of `input_shape` (no batch axis) through it.

    input_shape: a tuple of shapes for a model of several inputs

    Weights, running statistics, modes and the random state stay as they are. Running statistics, as
    in Keras, and what is frozen count as non-trainable. A layer that runs twice is listed twice, its parameters counted
    the first time; the second time under its second name, where it has one.

    >>> from nanoemo import nn
    >>> from nanoemo.summary import summarize
    >>> summarize(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (2, 2)).total
    10
    """
    must_be_module("summary", model)
    names = {}
    for name, module in model.named_modules():
        names.setdefault(id(module), []).append(name)
    rows, seen, inside_sequence = [], [], _followers(model)

    def add_row(module, output):
        own = [value for value in vars(module).values() if isinstance(value, Tensor)]
        has_children = next(module.children(), None) is not None
        if has_children and not own:
            return
        runs, of_module = seen.count(id(module)), names[id(module)]
        if isinstance(module, Activation) and rows and (seen[-1], id(module)) in inside_sequence:
            rows[-1].activation = type(module).__name__
        else:
            params = 0 if runs else sum(tensor.size for tensor in own)
            name = of_module[min(runs, len(of_module) - 1)]
            rows.append(Row(name, type(module).__name__, output.shape[1:], params))
        seen.append(id(module))

    with undisturbed(model), watch(add_row):
        model(*zero_inputs(model, input_shape))
    tensors = [*model.parameters(), *model.buffers()]
    trainable = sum(parameter.size for parameter in model.parameters() if parameter.requires_grad)
    return Summary(rows, sum(tensor.size for tensor in tensors), trainable)


def _followers(model):
    """Pairs of layers that follow each other in a Sequential: (id of the first, id of the second)."""
    pairs = set()
    for _, module in model.named_modules():
        if isinstance(module, Sequential):
            layers = list(module)
            pairs.update((id(before), id(after)) for before, after in pairwise(layers))
    return pairs


def summary(model, input_shape):
    """Print the model's table: layers, output shapes, parameters, totals. See `summarize`.

    >>> import nanoemo
    >>> from nanoemo import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    >>> nanoemo.summary(model, (48, 48, 1))
    Layer (type)      Output Shape        Param #
    ─────────────────────────────────────────────
    0 (Conv2d, ReLU)  (None, 46, 46, 32)      320
    2 (MaxPool2d)     (None, 23, 23, 32)        0
    3 (Flatten)       (None, 16928)             0
    ─────────────────────────────────────────────
    Total params: 320
    Trainable params: 320
    Non-trainable params: 0
    """
    print(summarize(model, input_shape))
