// Pooling. Equations: pool.py; launched by pool_cupy.py. Channels last: neighbouring threads take neighbouring ones.
//
// Launch: in x a thread for each number of an image, 256 a block; in y one for every four images, which works on the
// same place in all four at once. Finding out where a thread is takes up to four divisions of whole numbers, some 25
// instructions each: done for every image, they would take as long as the memory. And it takes several reads that do
// not wait for each other to keep a card's memory busy. Forward, a thread makes numbers of y. Backward, it makes
// numbers of dx, which it gathers from the windows that cover them; were the windows to scatter theirs, overlapping
// ones would have to add with atomics, in an order that differs from run to run.
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

constexpr int AT_ONCE = 4;          // images a thread; pool_cupy.py's IMAGES_A_THREAD

// inputs, outputs: how many numbers an image of x and one of y have.
struct Pooling {
    int images, channels, inputs, outputs;
    Axis rows, columns;

    // Where image n begins, in 64 bits so that a batch may be of any size. Behind the last image the last one is read
    // once more, and nothing is written: so no read waits for a comparison.
    __device__ int64 input_image(int n) const { return int64(min(n, images - 1)) * inputs; }
    __device__ int64 output_image(int n) const { return int64(min(n, images - 1)) * outputs; }
};

struct Cell { int row, column, channel; };

__device__ inline Cell cell_of_image(int at, int columns, int channels) {
    return {at / channels / columns, at / channels % columns, at % channels};
}

// ---- forward: a thread a window -------------------------------------------------------------------------------

// Calls visit(index in an image of x, place in the window) for the real cells of a window, row by row.
template <typename Visit>
__device__ inline void for_each_cell(const Pooling& p, Cell out, Visit visit) {
    int corner = (p.rows.start(out.row) * p.columns.size + p.columns.start(out.column)) * p.channels + out.channel;
    for (int i = p.rows.first(out.row); i < p.rows.end(out.row); i++)
        for (int j = p.columns.first(out.column); j < p.columns.end(out.column); j++)
            visit(corner + (i * p.columns.size + j) * p.channels, i * p.columns.kernel + j);
}

// The largest sign·x of each window, and where it is. A cell must beat the best so far to be chosen, so that the first
// of equal ones is; nothing beats a NaN. (& and |, unlike && and ||, leave no branches between one read and the next.)
template <typename Place>
__device__ inline void extreme_forward(const real* __restrict__ x, real* __restrict__ y, Place* __restrict__ place,
                                       const Pooling& p, real sign, int relu) {
    int at = element();
    if (at >= p.outputs) return;
    Cell out = cell_of_image(at, p.columns.outputs, p.channels);
    for (int n = blockIdx.y * AT_ONCE; n < p.images; n += gridDim.y * AT_ONCE) {
        real best[AT_ONCE] = {};
        int chosen[AT_ONCE];
        for (int m = 0; m < AT_ONCE; m++) chosen[m] = -1;   // the first real cell is chosen whatever it holds
        for_each_cell(p, out, [&](int cell, int k) {
            for (int m = 0; m < AT_ONCE; m++) {
                real value = sign * x[p.input_image(n + m) + cell];
                bool better = (chosen[m] < 0) | ((best[m] == best[m]) & !(value <= best[m]));
                best[m] = better ? value : best[m];
                chosen[m] = better ? k : chosen[m];
            }
        });
        for (int m = 0; m < AT_ONCE && n + m < p.images; m++) {
            bool blocked = relu && best[m] <= 0;
            y[p.output_image(n + m) + at] = blocked ? real(0) : sign * best[m];
            place[p.output_image(n + m) + at] = blocked ? p.rows.kernel * p.columns.kernel : chosen[m];
        }
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
    for (int n = blockIdx.y * AT_ONCE; n < p.images; n += gridDim.y * AT_ONCE) {
        real sum[AT_ONCE] = {};
        for_each_cell(p, out, [&](int cell, int) {
            for (int m = 0; m < AT_ONCE; m++) sum[m] += x[p.input_image(n + m) + cell];
        });
        for (int m = 0; m < AT_ONCE && n + m < p.images; m++) y[p.output_image(n + m) + at] = sum[m] / count;
    }
}

// ---- backward: a thread a cell of the input -------------------------------------------------------------------

// Calls visit(row and column of the window, its index in an image of y, place of the cell in it) for the windows that
// cover a cell. It goes back from the last one until they end before the cell: one division finds them all.
template <typename Visit>
__device__ inline void for_each_window(const Pooling& p, Cell in, Visit visit) {
    int last_row = p.rows.last_window(in.row), last_column = p.columns.last_window(in.column);
    for (int r = last_row, i = in.row - p.rows.start(r); r >= 0 && i < p.rows.kernel; r--, i += p.rows.stride)
        for (int c = last_column, j = in.column - p.columns.start(c); c >= 0 && j < p.columns.kernel;
             c--, j += p.columns.stride)
            visit(r, c, (r * p.columns.outputs + c) * p.channels + in.channel, i * p.columns.kernel + j);
}

template <typename Place>
__device__ inline void extreme_backward(const real* __restrict__ dy, const Place* __restrict__ place,
                                        real* __restrict__ dx, const Pooling& p) {
    int at = element();
    if (at >= p.inputs) return;
    Cell in = cell_of_image(at, p.columns.size, p.channels);
    for (int n = blockIdx.y * AT_ONCE; n < p.images; n += gridDim.y * AT_ONCE) {
        real sum[AT_ONCE] = {};
        for_each_window(p, in, [&](int, int, int window, int k) {
            for (int m = 0; m < AT_ONCE; m++) {
                real g = dy[p.output_image(n + m) + window];            // read before it is known to be needed
                sum[m] += place[p.output_image(n + m) + window] == k ? g : real(0);
            }
        });
        for (int m = 0; m < AT_ONCE && n + m < p.images; m++) dx[p.input_image(n + m) + at] = sum[m];
    }
}

extern "C" __global__ void extreme_backward_uint8(const real* dy, const uint8* place, real* dx, Pooling p) {
    extreme_backward(dy, place, dx, p);
}

extern "C" __global__ void extreme_backward_int32(const real* dy, const int* place, real* dx, Pooling p) {
    extreme_backward(dy, place, dx, p);
}

extern "C" __global__ void mean_backward(const real* __restrict__ dy, real* __restrict__ dx, Pooling p) {
    int at = element();
    if (at >= p.inputs) return;
    Cell in = cell_of_image(at, p.columns.size, p.channels);
    for (int n = blockIdx.y * AT_ONCE; n < p.images; n += gridDim.y * AT_ONCE) {
        real sum[AT_ONCE] = {};
        for_each_window(p, in, [&](int r, int c, int window, int) {
            real weight = real(1) / (p.rows.real_cells(r) * p.columns.real_cells(c));
            for (int m = 0; m < AT_ONCE; m++) sum[m] += weight * dy[p.output_image(n + m) + window];
        });
        for (int m = 0; m < AT_ONCE && n + m < p.images; m++) dx[p.input_image(n + m) + at] = sum[m];
    }
}
