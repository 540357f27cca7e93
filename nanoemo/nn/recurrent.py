"""The layer that reads a sequence: LSTM, four gates in each step."""
from nanoemo import ops
from nanoemo.nn import init
from nanoemo.nn.checks import positive_integers
from nanoemo.nn.module import Module, Parameter

__all__ = ["LSTM"]


class LSTM(Module):
    """Long short-term memory over (N, T, input_size); see `ops.lstm`.

    Gives all hidden states (N, T, hidden_size), or the last one (N, hidden_size) without return_sequences; with return_state
    this and the state (h_T, c_T), each (N, hidden_size), which a next call can take: `layer(x, state)`.
    weight (in, 4u) starts as Glorot uniform, recurrent_weight (u, 4u) orthogonal, bias (4u,) as 0 but 1 at
    the forget gate, so that the layer begins by remembering (Jozefowicz et al. 2015; Keras' defaults).

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> layer = nn.LSTM(1, 256)
    >>> layer.num_parameters()
    264192
    >>> nn.LSTM(1, 8, return_sequences=False)(Tensor(np.zeros((2, 5, 1), np.float32))).shape
    (2, 8)
    >>> reader, state = nn.LSTM(1, 8, return_state=True), None
    >>> for piece in np.zeros((3, 2, 5, 1), np.float32):            # one long sequence, in three pieces
    ...     hidden, state = reader(Tensor(piece), state)
    """

    def __init__(self, input_size, hidden_size, return_sequences=True, return_state=False):
        positive_integers("LSTM", input_size=input_size, hidden_size=hidden_size)
        if not isinstance(return_sequences, bool):
            raise TypeError(f"LSTM: return_sequences must be True or False, got {return_sequences!r}; for several layers put "
                            "as many LSTMs into nn.Sequential")
        self.weight = Parameter(init.glorot_uniform((input_size, 4 * hidden_size)))
        self.recurrent_weight = Parameter(init.orthogonal((hidden_size, 4 * hidden_size)))
        self.bias = Parameter(init.zeros(4 * hidden_size))
        self.bias.array[hidden_size:2 * hidden_size] = 1      # the forget gate: input, forget, cell, output
        self.return_sequences = return_sequences
        self.return_state = return_state

    def forward(self, x, state=None):
        return ops.lstm(x, self.weight, self.recurrent_weight, self.bias, self.return_sequences, state, self.return_state)

    def extra_repr(self):
        input_size, hidden_size = len(self.weight), len(self.recurrent_weight)
        return (f"{input_size}, {hidden_size}, return_sequences={self.return_sequences}"
                + (", return_state=True" if self.return_state else ""))
