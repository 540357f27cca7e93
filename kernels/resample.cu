// Nearest up-sampling. Equations: resample.py; launched by resample_cupy.py.
//
// Launch: one thread per number of x (of dx), 256 per block, for the whole block of numbers of y (of dy) that belongs to it:
// finding out where it is, two divisions of whole numbers, is then done once for the block, and backward needs no
// atomics. Channels last, so for each number of the block a warp reads or writes neighbouring channels.
//
// Floor, float32 with scale 2: 20 bytes a number of x, forward (x read, y written) as well as backward (dy read, dx
// written); 3 additions, backward.

#include "common.cuh"

// An array like y, with scale_h × scale_w numbers for each of x; `columns` are those of x.
struct Blocks {
    int columns, channels, scale_h, scale_w;

    // Where the block begins that belongs to number `at` of x. Rows are counted over all images.
    __device__ int64 begin(int at) const {
        int channel = at % channels, column = at / channels % columns, row = at / channels / columns;
        return (int64(row) * scale_h * columns + column) * scale_w * channels + channel;
    }
    // From there to row r, column c of the block.
    __device__ int step(int r, int c) const { return (r * columns * scale_w + c) * channels; }
};

extern "C" __global__ void upsample2d_forward(const real* x, real* y, int n, Blocks blocks) {
    int at = element();
    if (at >= n) return;
    real value = x[at];
    y += blocks.begin(at);
    for (int r = 0; r < blocks.scale_h; r++)
        for (int c = 0; c < blocks.scale_w; c++) y[blocks.step(r, c)] = value;
}

extern "C" __global__ void upsample2d_backward(const real* dy, real* dx, int n, Blocks blocks) {
    int at = element();
    if (at >= n) return;
    real sum = 0;
    dy += blocks.begin(at);
    for (int r = 0; r < blocks.scale_h; r++)
        for (int c = 0; c < blocks.scale_w; c++) sum += dy[blocks.step(r, c)];
    dx[at] = sum;
}
