// Activations. Equations: activation.py; launched by activation_cupy.py.
//
// Launch: one thread per element, 256 per block; neighbouring threads read neighbouring numbers, so that a warp's 32 reads
// are one or two transactions. The softmaxes take a warp a row: its lanes stride over the row, and sum by shuffles
// without shared memory. A row of 7 classes leaves most lanes idle, but it is 32 rows that one thread each would read
// with a stride.
//
// Floor: no arithmetic to speak of. Forward reads x and writes y, 8 bytes an element in float32; backward reads dy and
// what was kept, and writes dx, 12 bytes.

#include "common.cuh"

// ---- element by element ---------------------------------------------------------------------------------------

extern "C" __global__ void relu_forward(const real* x, real* y, int n) {
    int i = element();
    if (i < n) y[i] = x[i] <= 0 ? real(0) : x[i];           // so written, a NaN stays NaN
}

extern "C" __global__ void relu_backward(const real* dy, const real* y, real* dx, int n) {
    int i = element();
    if (i < n) dx[i] = y[i] != 0 ? dy[i] : real(0);
}

extern "C" __global__ void leaky_relu_forward(const real* x, real slope, real* y, int n) {
    int i = element();
    if (i < n) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

extern "C" __global__ void leaky_relu_backward(const real* dy, const real* x, real slope, real* dx, int n) {
    int i = element();
    if (i < n) dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}

extern "C" __global__ void sigmoid_forward(const real* x, real* y, int n) {
    int i = element();
    if (i < n) y[i] = 1 / (1 + exp(-x[i]));                 // where e^-x is infinite, y is 0, as it should be
}

extern "C" __global__ void sigmoid_backward(const real* dy, const real* y, real* dx, int n) {
    int i = element();
    if (i < n) dx[i] = dy[i] * y[i] * (1 - y[i]);
}

extern "C" __global__ void tanh_forward(const real* x, real* y, int n) {
    int i = element();
    if (i < n) y[i] = tanh(x[i]);
}

extern "C" __global__ void tanh_backward(const real* dy, const real* y, real* dx, int n) {
    int i = element();
    if (i < n) dx[i] = dy[i] * (1 - y[i] * y[i]);
}

// ---- along the last axis: a warp a row ------------------------------------------------------------------------

extern "C" __global__ void softmax_forward(const real* x, real* y, int rows, int length) {
    int row = element() / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += int64(row) * length, y += int64(row) * length;
    real largest, sum = sum_of_exponentials(x, length, largest);
    for (int k = lane; k < length; k += 32) y[k] = exp(x[k] - largest) / sum;
}

extern "C" __global__ void softmax_backward(const real* dy, const real* y, real* dx, int rows, int length) {
    int row = element() / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    dy += int64(row) * length, y += int64(row) * length, dx += int64(row) * length;
    real dot = 0;
    for (int k = lane; k < length; k += 32) dot += dy[k] * y[k];
    dot = warp_sum(dot);
    for (int k = lane; k < length; k += 32) dx[k] = y[k] * (dy[k] - dot);
}

extern "C" __global__ void log_softmax_forward(const real* x, real* y, int rows, int length) {
    int row = element() / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += int64(row) * length, y += int64(row) * length;
    real largest, sum = sum_of_exponentials(x, length, largest);
    for (int k = lane; k < length; k += 32) y[k] = x[k] - largest - log(sum);
}

extern "C" __global__ void log_softmax_backward(const real* dy, const real* y, real* dx, int rows, int length) {
    int row = element() / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    dy += int64(row) * length, y += int64(row) * length, dx += int64(row) * length;
    real sum = 0;
    for (int k = lane; k < length; k += 32) sum += dy[k];
    sum = warp_sum(sum);
    for (int k = lane; k < length; k += 32) dx[k] = dy[k] - exp(y[k]) * sum;
}
