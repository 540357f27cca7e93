"""The same network for PyTorch: each layer's name and arguments there, and our weights in its layouts.

What comes out is plain data, so that PyTorch can be given the network in a process that has never seen ours
(nanoemo/bench/torch_step.py builds it). Where the layouts differ:

    images, sequences    (N, H, W, C) → (N, C, H, W), (N, T, C) → (N, C, T); LSTMs take (N, T, C) in both
    convolution          (kh, kw, in, out) → (out, in, kh, kw)
    linear               (in, out) → (out, in). Behind a Flatten PyTorch's features come channel by channel,
                         ours cell by cell: the rows of the weight (in) are reordered
    LSTM                 (in, 4u), (u, 4u) → (4u, in), (4u, u), the gates in one order in both; of PyTorch's
                         two biases the second is 0
    padding              PyTorch pads both sides alike. "same" may want one cell more at the end: a pooling
                         layer gets it from ceil_mode, before a convolution it takes a layer of its own
"""
import numpy as np

from nanoemo.kernels.shapes import output_size, pair, resolve_padding, resolve_padding_2d
from nanoemo.nn import shapes_of_inputs, undisturbed, watch, zero_inputs

__all__ = ["NoTwin", "check_same_scores", "to_torch_layout", "torch_twin"]


class NoTwin(ValueError):
    """The network cannot be said in PyTorch's words, or what was said is not the same network."""


def torch_twin(model, input_shape):
    """(layers, state) of `model` for PyTorch.

    layers: [(name of the class in torch.nn, its arguments), …], to be run one after the other; ("Join", {}) is where further
        inputs, vectors, are put behind what the first has become (`nanoemo.bench.torch_step.build`)
    state: {"<index of layer>.<name>": array}, as PyTorch's load_state_dict wants it
    Raises NoTwin for a layer that is not known here. A model whose layers do not run one after the other is
    found out by `check_same_scores`.

    >>> from nanoemo import nn
    >>> layers, state = torch_twin(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (2, 2, 3))
    >>> layers
    [('Flatten', {}), ('Linear', {'in_features': 12, 'out_features': 3, 'bias': True})]
    >>> {name: array.shape for name, array in state.items()}
    {'1.weight': (3, 12), '1.bias': (3,)}
    """
    layers, state = [], {}
    order = None                # of the features behind a Flatten: PyTorch's i-th is our order[i]-th
    for module, shape in _layers_in_order(model, input_shape):
        kind = type(module).__name__
        if kind not in _TRANSLATIONS:
            raise NoTwin(f"{kind}: no layer of PyTorch is known for it; add it to {__name__}")
        if kind == "Flatten" and not _has_lstm(model):
            order = np.moveaxis(np.arange(np.prod(shape)).reshape(shape), -1, 0).ravel()
        if kind == "Linear" and len(module.weight) > shape[-1]:         # it reads further inputs, too
            layers.append(("Join", {}))
            order = None if order is None else np.concatenate([order, np.arange(len(order), len(module.weight))])
        for name, arguments, weights in _TRANSLATIONS[kind](module, shape):
            if order is not None and kind in ("Linear", "BatchNorm1d"):
                weights = {key: array[..., order] if key != "bias" or kind != "Linear" else array
                           for key, array in weights.items()}
            state.update({f"{len(layers)}.{key}": np.ascontiguousarray(array)
                          for key, array in weights.items()})
            layers.append((name, arguments))
        if kind == "Linear":
            order = None
    return layers, state


def to_torch_layout(examples, layers):
    """A batch of ours, (N, …, C), as the twin of those `layers` wants it: a contiguous array."""
    if examples.ndim == 1 or any(name == "LSTM" for name, _ in layers):
        return examples
    return np.ascontiguousarray(np.moveaxis(examples, -1, 1))


def check_same_scores(ours, theirs):
    """Raise NoTwin unless two networks' scores for the same examples, (N, K) in float64, agree.

    In float64, since batch norm over a few examples that are nearly alike magnifies the rounding of float32
    a thousandfold. Rounding may cost 10⁻⁸ of the largest score; a wrong weight costs 10⁻² or more.

    >>> check_same_scores(np.array([[1.0, 2.0]]), np.array([[1.0, 2.1]]))
    Traceback (most recent call last):
        ...
    nanoemo.bench.twin.NoTwin: our scores and PyTorch's differ by 5.0e-02 of the largest; ...
    """
    if ours.shape != theirs.shape:
        raise NoTwin(f"our scores have shape {ours.shape}, PyTorch's {theirs.shape}")
    difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    if not difference < 1e-8:
        raise NoTwin(f"our scores and PyTorch's differ by {difference:.1e} of the largest; that is not the "
                     f"same network, so timing it would say nothing")


def _layers_in_order(model, input_shape):
    """(layer, shape of its input without the batch), as they run; of modules that hold modules, those."""
    calls, shape = [], [tuple(shapes_of_inputs(input_shape)[0])]

    def note(module, output):
        if next(module.children(), None) is None:
            calls.append((module, shape[-1]))
            shape.append(output.shape[1:])

    with undisturbed(model), watch(note):
        model(*zero_inputs(model, input_shape))
    return calls


def _has_lstm(model):
    return any(type(module).__name__ == "LSTM" for _, module in model.named_modules())


# ---- one layer of ours: (name, arguments, weights) of each layer of PyTorch that it becomes ----------------

def _conv(module, shape):
    weight = module.weight.array
    *window, in_channels, out_channels = weight.shape
    strides, pads = _strides_and_pads(window, module, shape)
    if any(before != after for before, after in pads):
        yield f"ZeroPad{len(window)}d", {"padding": [cells for axis in reversed(pads) for cells in axis]}, {}
        pads = [(0, 0)] * len(window)
    bias = {} if module.bias is None else {"bias": module.bias.array}
    yield (type(module).__name__,
           {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": window,
            "stride": strides, "padding": [before for before, _ in pads], "bias": module.bias is not None},
           {"weight": np.moveaxis(weight, (-1, -2), (0, 1)), **bias})


def _pool(module, shape):
    rank = len(shape) - 1
    window = list(pair(module.kernel_size))[:rank]
    strides, pads = _strides_and_pads(window, module, shape)
    sizes = [output_size(*axis) for axis in zip(shape, window, strides, pads)]
    even_pads = [(before, before) for before, _ in pads]
    evenly = [output_size(*axis) for axis in zip(shape, window, strides, even_pads)]
    arguments = {"kernel_size": window, "stride": strides, "padding": [before for before, _ in pads],
                 "ceil_mode": sizes != evenly}
    if type(module).__name__.startswith("Avg"):
        arguments["count_include_pad"] = False
    yield type(module).__name__, arguments, {}


def _strides_and_pads(window, module, shape):
    """Stride, and cells of padding (before, after), for each axis of the window."""
    strides = list(pair(module.stride))[:len(window)]
    if len(window) == 1:
        return strides, [resolve_padding(module.padding, shape[0], window[0], strides[0])]
    return strides, list(resolve_padding_2d(module.padding, shape[:2], window, strides))


def _linear(module, shape):
    in_features, out_features = module.weight.shape
    bias = {} if module.bias is None else {"bias": module.bias.array}
    yield ("Linear",
           {"in_features": in_features, "out_features": out_features, "bias": module.bias is not None},
           {"weight": module.weight.array.T, **bias})


def _lstm(module, shape):
    if not module.return_sequences:
        raise NoTwin("LSTM: only one that returns sequences has a twin here")
    units = len(module.recurrent_weight)
    yield ("LSTM", {"input_size": shape[-1], "hidden_size": units, "batch_first": True},
           {"weight_ih_l0": module.weight.array.T, "weight_hh_l0": module.recurrent_weight.array.T,
            "bias_ih_l0": module.bias.array, "bias_hh_l0": np.zeros(4 * units, np.float32)})


def _batch_norm(module, shape):
    yield (type(module).__name__,
           {"num_features": module.gamma.size, "eps": module.eps, "momentum": module.momentum},
           {"weight": module.gamma.array, "bias": module.beta.array,
            "running_mean": module.running_mean.array, "running_var": module.running_var.array})


def _upsample(module, shape):
    yield "Upsample", {"scale_factor": [float(times) for times in pair(module.scale)]}, {}


def _reshape(module, shape):
    if module.shape[-1] != 1:
        raise NoTwin(f"Reshape: {module.shape} has {module.shape[-1]} channels, elsewhere in PyTorch; only 1 has a twin")
    yield "Unflatten", {"dim": 1, "unflattened_size": [1, *module.shape[:-1]]}, {}


def _same_name(**arguments):
    """For a layer without weights: arguments gives PyTorch's name -> our attribute's."""
    def translate(module, shape):
        yield type(module).__name__, {name: getattr(module, ours) for name, ours in arguments.items()}, {}
    return translate


_TRANSLATIONS = {
    "Conv1d": _conv, "Conv2d": _conv, "Linear": _linear, "LSTM": _lstm,
    "MaxPool1d": _pool, "MaxPool2d": _pool, "AvgPool1d": _pool, "AvgPool2d": _pool,
    "BatchNorm1d": _batch_norm, "BatchNorm2d": _batch_norm,
    "Upsample2d": _upsample, "Reshape": _reshape,
    "Flatten": _same_name(), "ReLU": _same_name(), "Sigmoid": _same_name(), "Tanh": _same_name(),
    "LeakyReLU": _same_name(negative_slope="slope"), "Dropout": _same_name(p="p"),
}
