// One time step of the LSTM, forward and backward. Equations: recurrent.py; launched by recurrent_cupy.py.
//
// What does not wait for the step before is a cuBLAS product over all steps at once: x w before forward; dw, du, dx
// and the column sums db after backward. What is left for each step is one product with the state (h u, or dz u^T) and
// one kernel from here, which does all that a (sequence, unit) needs at that step: the four gates, c and h, or their
// gradients. The numbers in between stay in registers.
//
// Buffers are time-major, (step, sequence, ...), so that the products read and write a step's slice in one piece; a
// row of `gates` and of `dz` is a sequence's four gates, each `units` long, in the order i f g o. h and dh, which the
// rest of the network has as (sequence, step, unit), are written and read here in that order: a run of `units` numbers
// either way.
//
// Launch: one thread per (sequence, unit), 64 per block. Neighbouring threads are neighbouring units, so that each of a
// warp's reads is one run of 32 numbers. Blocks are small because the job is: 32 sequences of 256 units make 128
// blocks of 64, about one for each multiprocessor of a large card, where blocks of 256 would leave three quarters of
// them idle.
//
// Floor, for each step of N sequences and u units: forward moves 12 N u numbers (4 z in, 4 gates out; c in and out; h
// out twice), backward 14 N u (4 gates, c before and after, dh twice, dc in; 4 dz, dc out), 0.4 MB in float32 for 32 x
// 256. It stays in the level-2 cache: 0.1 us of transfer and some 30 flops a thread. A launch takes some 2 us in a
// captured graph and 5 or more outside of one, and so the launches are the cost.
//
// Launches: 2 a step forward and 2 backward, besides about 10 a call. chater.lstm, four layers of 162 steps, makes
// 2592. A persistent kernel, which stays on the card for all steps, would have a barrier over the whole grid (1 to 2
// us) in their place, and read u once: the blocks keep it in shared memory, 16 u^2 bytes in float32 (1 MB for 256
// units; a card of 100 multiprocessors has room for 1000 units). It would pay where a step's product, 8 N u^2 flops,
// takes less time than its launches, about 4 us: N u^2 under some 5 million at 10 Tflop/s, so for every LSTM here
// (2 million at most). For wider ones the product is the cost, and cuBLAS does it better. It is not written: it needs
// all its blocks to be on the card at once, a cooperative launch, which is no kernel for learners to start with.
// Times here are estimates, not measured on a card.

#include "common.cuh"

__device__ inline real sigmoid(real z) { return 1 / (1 + exp(-z)); }      // 0 where e^-z is infinite, as it should be

// gates (steps, batch, 4 units): for step t, x w + h u comes in and the four gates go out, in place.
// cells, hidden (steps + 1, batch, units): slice t goes into the step, slice t + 1 comes out. h (batch, steps, units).
extern "C" __global__ void lstm_forward_step(int t, const real* b, real* gates, real* cells, real* hidden, real* h,
                                             int steps, int batch, int units) {
    int i = element(), states = batch * units;
    if (i >= states) return;
    int sequence = i / units, unit = i % units;
    gates += (int64(t) * batch + sequence) * 4 * units + unit;         // all steps together may exceed an int
    cells += int64(t) * states + i;
    real input = sigmoid(gates[0] + b[unit]);
    real forget = sigmoid(gates[units] + b[units + unit]);
    real candidate = tanh(gates[2 * units] + b[2 * units + unit]);
    real output = sigmoid(gates[3 * units] + b[3 * units + unit]);
    real c = forget * cells[0] + input * candidate;
    real shown = output * tanh(c);
    gates[0] = input, gates[units] = forget, gates[2 * units] = candidate, gates[3 * units] = output;
    cells[states] = c;
    hidden[int64(t + 1) * states + i] = shown;
    h[(int64(sequence) * steps + t) * units + unit] = shown;
}

// dh (batch, steps, units), or null: the gradient of what the layer returned. dh_later (batch, units): what step t + 1
// sent back. dc (batch, units): the gradient of c after step t comes in, of c before it goes out, in place.
// dz (steps, batch, 4 units): the gradient of x w + h u + b.
extern "C" __global__ void lstm_backward_step(int t, const real* gates, const real* cells, const real* dh,
                                              const real* dh_later, real* dc, real* dz,
                                              int steps, int batch, int units) {
    int i = element(), states = batch * units;
    if (i >= states) return;
    int sequence = i / units, unit = i % units;
    int64 row = (int64(t) * batch + sequence) * 4 * units + unit;
    gates += row, dz += row;
    cells += int64(t) * states + i;
    real input = gates[0], forget = gates[units], candidate = gates[2 * units], output = gates[3 * units];
    real tanh_c = tanh(cells[states]);              // again: cheaper than another array to write and read
    real dshown = dh_later[i];
    if (dh) dshown += dh[(int64(sequence) * steps + t) * units + unit];
    real dcell = dc[i] + dshown * output * (1 - tanh_c * tanh_c);
    dz[0] = dcell * candidate * input * (1 - input);
    dz[units] = dcell * cells[0] * forget * (1 - forget);
    dz[2 * units] = dcell * input * (1 - candidate * candidate);
    dz[3 * units] = dshown * tanh_c * output * (1 - output);
    dc[i] = dcell * forget;
}
