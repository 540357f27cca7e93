"""Layers that follow each other and are computed in one go, in less time than one by one."""
from functools import partial

from nanoemo import kernels, ops
from nanoemo.nn.activation import ReLU
from nanoemo.nn.conv import Conv2d
from nanoemo.nn.norm import Dropout
from nanoemo.nn.pool import MaxPool1d, MaxPool2d
from nanoemo.nn.recurrent import LSTM

__all__ = ["fused"]

POOLS = {(ReLU, MaxPool2d): "max_pool2d", (ReLU, MaxPool1d): "max_pool1d"}


def fused(layers):
    """What the layers compute, as functions of x: convolution, ReLU and max pooling in one where they follow each other, and
    LSTMs of which each reads all hidden states of the one before, with the dropout between them.

    The numbers are those of the layers one by one, but for rounding. kernels/pool.py, kernels/conv_pool.py and
    kernels/recurrent_stack.py say why it is faster. The layers run one by one where somebody has replaced one of their kernels,
    or given one of them a `forward` of its own.
    """
    steps, layers = [], list(layers)
    while layers:
        kinds = tuple(map(_kind, layers[:3]))
        lstms, dropouts, count = _lstms_above_each_other(layers)
        if (kinds == (Conv2d, ReLU, MaxPool2d) and layers[2].tiles
                and _may_fuse("conv2d_relu_max_pool2d", "conv2d", "relu", "max_pool2d")):
            steps.append(partial(_conv_relu_pool, layers[0], layers[2]))
            del layers[:3]
        elif kinds[:2] in POOLS and _may_fuse(f"relu_{POOLS[kinds[:2]]}", "relu", POOLS[kinds[:2]]):
            pool = layers[1]
            steps.append(partial(getattr(ops, f"relu_{POOLS[kinds[:2]]}"), kernel_size=pool.kernel_size, stride=pool.stride,
                                 padding=pool.padding))
            del layers[:2]
        elif len(lstms) > 1 and _may_fuse("lstm_stack", "lstm", "dropout"):
            steps.append(partial(_lstm_stack, lstms, dropouts))
            del layers[:count]
        else:
            steps.append(layers.pop(0))
    return steps


def _kind(layer):
    """The layer's type, or None where it has a `forward` of its own."""
    return None if "forward" in vars(layer) else type(layer)


def _may_fuse(whole, *parts):
    """Whether the kernels of the operations `parts` are the project's own, or the one for all of them is replaced as well."""
    of_parts = [f"{name}_{direction}" for name in parts for direction in ("forward", "backward")]
    return not kernels.is_overridden(*of_parts) or kernels.is_overridden(f"{whole}_forward")


def _conv_relu_pool(conv, pool, x):
    return ops.conv2d_relu_max_pool2d(x, conv.weight, conv.bias, conv.stride, conv.padding,
                                      kernel_size=pool.kernel_size, pool_padding=pool.padding)


def _lstms_above_each_other(layers):
    """(LSTMs, what is dropped between each two of them, how many layers that is) at the beginning of `layers`."""
    lstms, dropouts, count, p = [], [], 0, 0
    for index, layer in enumerate(layers):
        if _is_plain_lstm(layer) and (not lstms or lstms[-1].return_sequences):
            dropouts += [p] if lstms else []
            lstms.append(layer)
            count, p = index + 1, 0
        elif lstms and _kind(layer) is Dropout and index == count:       # one behind an LSTM
            p = layer.p if layer.training else 0
        else:
            break
    return lstms, dropouts, count


def _is_plain_lstm(layer):
    """Whether it may go together with others. Not a frozen one: run by itself before all that learns, it keeps nothing for a
    backward pass. (Under `no_grad`, where nothing learns, they go together: what they keep in vain is less than what training
    would keep.) Nor one whose state is wanted."""
    return _kind(layer) is LSTM and not layer.return_state and any(p.requires_grad for p in layer.parameters())


def _lstm_stack(lstms, dropouts, x):
    h = ops.lstm_stack(x, [(lstm.weight, lstm.recurrent_weight, lstm.bias) for lstm in lstms], dropouts)
    return h if lstms[-1].return_sequences else h[:, -1]
