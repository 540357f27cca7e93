"""Layers that are matrix products: Linear, and the LSTM, which is four of them a step."""
from nanoemo import ops
from nanoemo.nn import init
from nanoemo.nn.checks import positive_integers
from nanoemo.nn.module import Module, Parameter

__all__ = ["Linear", "LSTM"]


class Linear(Module):
    """x W + b over the last axis, (..., in_features) to (..., out_features).

    weight (in, out) starts as Glorot uniform, bias (out,) as 0.

    >>> from nanoemo import Tensor, nn
    >>> nn.Linear(3, 2)(Tensor([[1.0, 2.0, 3.0]])).shape
    (1, 2)
    """

    def __init__(self, in_features, out_features, bias=True):
        positive_integers("Linear", in_features=in_features, out_features=out_features)
        self.weight = Parameter(init.glorot_uniform((in_features, out_features)))
        self.bias = Parameter(init.zeros(out_features)) if bias else None

    def forward(self, x):
        return ops.linear(x, self.weight, self.bias)

    def describe(self):
        in_features, out_features = self.weight.shape
        return f"{in_features}, {out_features}" + ("" if self.bias is not None else ", bias=False")


class LSTM(Module):
    """Long short-term memory over (N, T, input_size); see `ops.lstm`.

    Gives all hidden states (N, T, hidden_size), or the last one (N, hidden_size) without return_sequences.
    weight (in, 4u) starts as Glorot uniform, recurrent_weight (u, 4u) orthogonal, bias (4u,) as 0 but 1 at
    the forget gate, so that the layer begins by remembering (Jozefowicz et al. 2015; Keras' defaults).

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> layer = nn.LSTM(1, 256)
    >>> layer.num_parameters()
    264192
    >>> nn.LSTM(1, 8, return_sequences=False)(Tensor(np.zeros((2, 5, 1), np.float32))).shape
    (2, 8)
    """

    def __init__(self, input_size, hidden_size, return_sequences=True):
        positive_integers("LSTM", input_size=input_size, hidden_size=hidden_size)
        self.weight = Parameter(init.glorot_uniform((input_size, 4 * hidden_size)))
        self.recurrent_weight = Parameter(init.orthogonal((hidden_size, 4 * hidden_size)))
        self.bias = Parameter(init.zeros(4 * hidden_size))
        self.bias.array[hidden_size:2 * hidden_size] = 1      # the forget gate: input, forget, cell, output
        self.return_sequences = return_sequences

    def forward(self, x):
        return ops.lstm(x, self.weight, self.recurrent_weight, self.bias, self.return_sequences)

    def describe(self):
        input_size, hidden_size = len(self.weight), len(self.recurrent_weight)
        return f"{input_size}, {hidden_size}, return_sequences={self.return_sequences}"
