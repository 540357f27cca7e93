"""LSTM on the GPU: the functions of recurrent.py. Products by cuBLAS, the gates by recurrent.cu."""
import cupy as cp

from nanoemo.kernels.blas_cupy import matmul
from nanoemo.kernels.cuda import CudaFile, each, in_order
from nanoemo.kernels.dense_cupy import column_sums
from nanoemo.kernels.dropout_cupy import dropout_backward, dropout_forward
from nanoemo.kernels.recurrent import check_lstm, layer_by_layer, layer_by_layer_back

__all__ = ["lstm_backward", "lstm_forward", "lstm_stack_backward", "lstm_stack_forward"]

launch = CudaFile("recurrent.cu").launch
BLOCK = 64          # why: recurrent.cu


def _swapped(array):
    """(N, T, …) -> (T, N, …) or back, in order in memory."""
    return in_order(array.transpose(1, 0, 2))


def lstm_forward(x, w, u, b, h0=None, c0=None):
    """One LSTM layer over a batch of sequences.

    x: (N, T, in); w: (in, 4u), u: (u, 4u), b: (4u,), gates in the order input, forget, cell, output; h0 and
    c0: (N, u), zeros where None. Returns ((h, h_T, c_T), cache) with h (N, T, u) every hidden state, and h_T,
    c_T (N, u) the last ones. Raises ValueError where shapes do not fit.
    """
    check_lstm(x.shape, w, u, b, h0, c0)
    (batch, steps, features), units = x.shape, len(u)
    w, u, b = map(in_order, (w, u, b))
    gates = matmul(_swapped(x).reshape(steps * batch, features), w).reshape(steps, batch, 4 * units)
    hidden, cells = (cp.empty((steps + 1, batch, units), x.dtype) for _ in range(2))
    hidden[0] = 0 if h0 is None else h0         # slice t of both goes into step t
    cells[0] = 0 if c0 is None else c0
    h = cp.empty((batch, steps, units), x.dtype)
    for t in range(steps):
        matmul(hidden[t], u, out=gates[t], add=True)
        launch("lstm_forward_step", each(batch * units, BLOCK), t, b, gates, cells, hidden, h, steps, batch, units)
    return (h, hidden[steps].copy(), cells[steps].copy()), (x, w, u, gates, cells, hidden)


def lstm_backward(dh, dh_T, dc_T, cache, needs=(True, True, True, True)):
    """Gradients of `lstm_forward`, backward through time.

    dh: (N, T, u), dh_T and dc_T: (N, u), the gradients of the three results; any may be None (result not
    used). Returns (dx, dw, du, db, dh0, dc0); the first four are None where `needs` says so.
    """
    x, w, u, gates, cells, hidden = cache
    (batch, steps, features), units = x.shape, len(u)
    dh = None if dh is None else in_order(dh)
    dh_before, dc_before = (cp.empty((batch, units), x.dtype) for _ in range(2))
    dh_before[:] = 0 if dh_T is None else dh_T
    dc_before[:] = 0 if dc_T is None else dc_T
    dz = cp.empty_like(gates)
    for t in reversed(range(steps)):
        launch("lstm_backward_step", each(batch * units, BLOCK), t, gates, cells, dh, dh_before, dc_before, dz,
               steps, batch, units)
        matmul(dz[t], u, out=dh_before, transpose_b=True)
    dz = dz.reshape(steps * batch, 4 * units)
    dx = dw = du = db = None
    if needs[0]:
        dx = _swapped(matmul(dz, w, transpose_b=True).reshape(steps, batch, features))
    if needs[1]:
        dw = matmul(_swapped(x).reshape(steps * batch, features), dz, transpose_a=True)
    if needs[2]:
        du = matmul(hidden[:steps].reshape(steps * batch, units), dz, transpose_a=True)
    if needs[3]:
        db = column_sums(dz)
    return dx, dw, du, db, dh_before, dc_before


def lstm_stack_forward(x, weights, dropouts):
    """LSTM layers one above the other, with dropout between them: one after the other, as the host runs far ahead of the card.

    x: (N, T, in); weights: (w, u, b) of each layer; dropouts: (p, seed) for each place between two layers. Returns (h, cache)
    with h (N, T, u) every hidden state of the highest layer. Raises ValueError where shapes do not fit.
    """
    return layer_by_layer(lstm_forward, dropout_forward, x, weights, dropouts)


def lstm_stack_backward(dh, cache, needs):
    """Gradients of `lstm_stack_forward`: (dx, dw, du, db, dw, du, db, …), None where `needs` says so."""
    return layer_by_layer_back(lstm_backward, dropout_backward, dh, cache, needs)
