// Pooling. Equations: pool.py; launched by pool_cupy.py. Channels last: neighbouring threads take neighbouring ones.
//
// Launch: in x a thread for each number of an image, 256 a block; in y one for every four images, which works on the
// same place in each of the four. For a window of 2×2 cells there is little more to do than to move them, and finding
// out where a thread is takes four divisions of whole numbers, some 25 instructions each: done for every image, they
// would take longer than the memory. Forward, a thread makes numbers of y. Backward, it makes numbers of dx, which it
// gathers from the windows that cover it; were the windows to scatter theirs, overlapping ones would have to add with
// atomics, in an order that differs from run to run.
//
// The place of the chosen cell in its window takes a byte where the window has at most 255 cells (one value more says
// that ReLU let nothing through), as all in use have. It takes an int otherwise, so that no window is too large.
//
// Floor, float32 with windows of 2×2 side by side: max and min pooling 21 bytes and 3 comparisons an output, forward
// (x read, y and the place written) as well as backward (dy and the place read, dx written); mean pooling 20 bytes and
// 4 operations. What overlapping windows read again comes from the caches.

#include "common.cuh"

// The windows along one axis: windows.py's Axis, with the padding that lies before the first cell.
struct Axis {
    int size, outputs, kernel, stride, pad;

    __device__ int start(int output) const { return output * stride - pad; }
    // Cells of a window from first up to, but not including, end are real, the others padding.
    __device__ int first(int output) const { return max(0, -start(output)); }
    __device__ int end(int output) const { return min(kernel, size - start(output)); }
    __device__ int real_cells(int output) const { return end(output) - first(output); }
    // The last window that begins at or before a cell of the input.
    __device__ int last_window(int input) const { return min((input + pad) / stride, outputs - 1); }
};

// inputs, outputs: how many numbers an image of x and one of y have. Where an image begins is counted in 64 bits.
struct Pooling {
    int images, channels, inputs, outputs;
    Axis rows, columns;
};

struct Cell { int row, column, channel; };

__device__ inline Cell cell_of_image(int at, int columns, int channels) {
    return {at / channels / columns, at / channels % columns, at % channels};
}

// ---- forward: a thread a window -------------------------------------------------------------------------------

// Calls take(x[cell], place of the cell in the window) for the real cells of a window, row by row.
template <typename Take>
__device__ inline void for_each_cell(const real* image, const Pooling& p, Cell out, Take take) {
    int corner = (p.rows.start(out.row) * p.columns.size + p.columns.start(out.column)) * p.channels + out.channel;
    for (int i = p.rows.first(out.row); i < p.rows.end(out.row); i++)
        for (int j = p.columns.first(out.column); j < p.columns.end(out.column); j++)
            take(image[corner + (i * p.columns.size + j) * p.channels], i * p.columns.kernel + j);
}

// The largest sign·x of each window, and where it is. A cell must beat the best so far to be chosen, so that the first
// of equal ones is; nothing beats a NaN.
template <typename Place>
__device__ inline void extreme_forward(const real* __restrict__ x, real* __restrict__ y, Place* __restrict__ place,
                                       const Pooling& p, real sign, int relu) {
    int at = element();
    if (at >= p.outputs) return;
    Cell out = cell_of_image(at, p.columns.outputs, p.channels);
    for (int n = blockIdx.y; n < p.images; n += gridDim.y) {
        real best = 0;
        int chosen = -1;                                    // the first real cell is chosen whatever it holds
        for_each_cell(x + int64(n) * p.inputs, p, out, [&](real value, int k) {
            value *= sign;
            if (chosen < 0 || (best == best && !(value <= best))) best = value, chosen = k;
        });
        if (relu && best <= 0) best = 0, chosen = p.rows.kernel * p.columns.kernel;
        y[int64(n) * p.outputs + at] = sign * best;
        place[int64(n) * p.outputs + at] = chosen;
    }
}

extern "C" __global__ void extreme_forward_uint8(const real* x, real* y, uint8* place, Pooling p, real sign, int relu) {
    extreme_forward(x, y, place, p, sign, relu);
}

extern "C" __global__ void extreme_forward_int32(const real* x, real* y, int* place, Pooling p, real sign, int relu) {
    extreme_forward(x, y, place, p, sign, relu);
}

extern "C" __global__ void mean_forward(const real* __restrict__ x, real* __restrict__ y, Pooling p) {
    int at = element();
    if (at >= p.outputs) return;
    Cell out = cell_of_image(at, p.columns.outputs, p.channels);
    real count = p.rows.real_cells(out.row) * p.columns.real_cells(out.column);
    for (int n = blockIdx.y; n < p.images; n += gridDim.y) {
        real sum = 0;
        for_each_cell(x + int64(n) * p.inputs, p, out, [&](real value, int) { sum += value; });
        y[int64(n) * p.outputs + at] = sum / count;
    }
}

// ---- backward: a thread a cell of the input -------------------------------------------------------------------

// dx, the sum over the windows that cover a cell of share(row and column of the window, its index in y, place of the
// cell in it). It goes back from the last window until they end before the cell: one division finds them all.
template <typename Share>
__device__ inline void gather(real* __restrict__ dx, const Pooling& p, Share share) {
    int at = element();
    if (at >= p.inputs) return;
    Cell in = cell_of_image(at, p.columns.size, p.channels);
    int last_row = p.rows.last_window(in.row), last_column = p.columns.last_window(in.column);
    for (int n = blockIdx.y; n < p.images; n += gridDim.y) {
        real sum = 0;
        for (int r = last_row, i = in.row - p.rows.start(r); r >= 0 && i < p.rows.kernel; r--, i += p.rows.stride) {
            for (int c = last_column, j = in.column - p.columns.start(c); c >= 0 && j < p.columns.kernel;
                 c--, j += p.columns.stride) {
                int64 output = int64(n) * p.outputs + (r * p.columns.outputs + c) * p.channels + in.channel;
                sum += share(r, c, output, i * p.columns.kernel + j);
            }
        }
        dx[int64(n) * p.inputs + at] = sum;
    }
}

template <typename Place>
__device__ inline void extreme_backward(const real* __restrict__ dy, const Place* __restrict__ place, real* dx,
                                        const Pooling& p) {
    gather(dx, p, [=](int, int, int64 output, int k) { return place[output] == k ? dy[output] : real(0); });
}

extern "C" __global__ void extreme_backward_uint8(const real* dy, const uint8* place, real* dx, Pooling p) {
    extreme_backward(dy, place, dx, p);
}

extern "C" __global__ void extreme_backward_int32(const real* dy, const int* place, real* dx, Pooling p) {
    extreme_backward(dy, place, dx, p);
}

extern "C" __global__ void mean_backward(const real* __restrict__ dy, real* dx, Pooling p) {
    gather(dx, p, [&](int r, int c, int64 output, int) {
        return dy[output] / (p.rows.real_cells(r) * p.columns.real_cells(c));
    });
}
