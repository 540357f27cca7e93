// Convolution by im2col. Equations: conv.py; launched by conv_cupy.py. The products are cuBLAS's, the bias's gradient
// is that of a dense layer (dense.cu).
//
// What im2col costs on a card. For each output position the columns hold K = kh·kw·C numbers, written once and read
// once by the product: 8·K bytes in float32, for 2·K·O flops, so O/4 flops a byte. An H100 does some 20 float32 flops
// in the time of a byte: with O = 64 outputs the columns cost about as much as the product, with 256 a quarter of it.
// An implicit GEMM (cuDNN's way) gathers each tile of columns straight into shared memory and saves those 8·K bytes;
// but it must then be as fast as cuBLAS at the product, which is the larger part wherever there are many channels.
// Floor without the columns: x and w read, y written; 2·N·H'·W'·K·O flops forward, twice that backward.
//
// Launch: one thread per element, 256 per block, neighbours along the channels, so that a warp reads and writes neighbouring
// numbers. Finding out which element a thread has takes a few integer divisions, some twenty instructions each, longer
// than it takes to move a number. So a thread of im2col copies from all kh rows of its window, and a thread of col2im
// adds up from all windows. Where C is a multiple of 4, a thread moves four channels at a time, in one transaction.
//
// Few inputs (K ≤ 32: a first layer) are convolved directly: there columns, product and bias together move far more
// than the floor, x read and y written.

#include "common.cuh"

// Sizes of an image, of the windows over it, and of what comes out. conv_cupy.py fills it in.
struct Windows {
    int height, width, channels;
    int kernel_height, kernel_width;
    int stride_down, stride_across;
    int top, left;                              // padding
    int out_height, out_width;
};

// Four neighbouring channels. An image of Four with C/4 channels is the same memory as one of real with C.
struct __align__(16) Four {
    real a, b, c, d;
    __device__ void operator+=(const Four& other) { a += other.a, b += other.b, c += other.c, d += other.d; }
};

// ---- columns: (positions, kh, kw, C) --------------------------------------------------------------------------

// A window's row is kw·C neighbouring numbers ("run") both in the image and in the columns. A thread copies one place
// of the run, from all rows of a window. Where there is a bias, y becomes the bias, for the product to be added to:
// that moves no more than adding the bias afterwards, and is a launch less.
template <typename T>
__device__ inline void copy_windows(const T* __restrict__ x, const real* __restrict__ bias, T* __restrict__ columns,
                                    real* __restrict__ y, const Windows& s, int outputs, int count) {
    int thread = element();
    if (thread >= count) return;
    int run = s.kernel_width * s.channels, row_length = s.width * s.channels;
    int position = thread / run, place = thread % run;
    int j = position % s.out_width, i = position / s.out_width % s.out_height;
    int n = position / s.out_width / s.out_height;
    int first = i * s.stride_down - s.top;
    int along = (j * s.stride_across - s.left) * s.channels + place;
    bool in_row = along >= 0 && along < row_length;
    columns += position * s.kernel_height * run + place;
    for (int di = 0; di < s.kernel_height; di++) {
        int row = first + di;
        bool inside = in_row && row >= 0 && row < s.height;
        columns[di * run] = inside ? x[(n * s.height + row) * row_length + along] : T{};
    }
    if (bias)
        for (int o = place; o < outputs; o += run) y[position * outputs + o] = bias[o];
}

extern "C" __global__ void im2col(const real* x, const real* bias, real* columns, real* y, Windows s, int outputs,
                                  int count) {
    copy_windows(x, bias, columns, y, s, outputs, count);
}

extern "C" __global__ void im2col_four(const real* x, const real* bias, real* columns, real* y, Windows s, int outputs,
                                       int count) {
    copy_windows(reinterpret_cast<const Four*>(x), bias, reinterpret_cast<Four*>(columns), y, s, outputs, count);
}

// The other way, as a gather: a thread adds up what all windows over its number of the image say, always in one order.
// Scattering the windows would need atomics, and give other bits from run to run.
template <typename T>
__device__ inline void add_windows(const T* __restrict__ columns, T* __restrict__ dx, const Windows& s, int count) {
    int thread = element();
    if (thread >= count) return;
    int c = thread % s.channels, pixel = thread / s.channels;
    int column = pixel % s.width + s.left, row = pixel / s.width % s.height + s.top, n = pixel / s.width / s.height;
    // Windows over it: i·stride ≤ row < i·stride + kh.
    int first_i = max(row - s.kernel_height + s.stride_down, 0) / s.stride_down;
    int first_j = max(column - s.kernel_width + s.stride_across, 0) / s.stride_across;
    int last_i = min(row / s.stride_down, s.out_height - 1), last_j = min(column / s.stride_across, s.out_width - 1);
    T sum{};
    for (int i = first_i; i <= last_i; i++) {
        int di = row - i * s.stride_down;
        for (int j = first_j; j <= last_j; j++) {
            int dj = column - j * s.stride_across, position = (n * s.out_height + i) * s.out_width + j;
            sum += columns[((position * s.kernel_height + di) * s.kernel_width + dj) * s.channels + c];
        }
    }
    dx[thread] = sum;
}

extern "C" __global__ void col2im(const real* columns, real* dx, Windows s, int count) {
    add_windows(columns, dx, s, count);
}

extern "C" __global__ void col2im_four(const real* columns, real* dx, Windows s, int count) {
    add_windows(reinterpret_cast<const Four*>(columns), reinterpret_cast<Four*>(dx), s, count);
}

// ---- directly -------------------------------------------------------------------------------------------------

// A thread computes one channel of a strip of four neighbouring outputs, so that each weight it loads is used four
// times. The threads of a warp lie along the channels: they load neighbouring weights, which stay in the level-1 cache
// (some KiB of the memory that shared memory is cut from), and the same number of x, one load for all. Five loads for
// four multiplications: the level-1 cache is the limit, which K = 9 reaches in about the time that y takes to memory.
const int STRIP = 4;

extern "C" __global__ void direct_forward(const real* __restrict__ x, const real* __restrict__ w,
                                          const real* __restrict__ bias, real* __restrict__ y, Windows s, int outputs,
                                          int count) {
    int thread = element();
    if (thread >= count) return;
    int strips = (s.out_width + STRIP - 1) / STRIP;
    int o = thread % outputs, strip = thread / outputs;
    int j = strip % strips * STRIP, i = strip / strips % s.out_height, n = strip / strips / s.out_height;
    real sum[STRIP];
    for (int k = 0; k < STRIP; k++) sum[k] = bias ? bias[o] : real(0);
    for (int di = 0; di < s.kernel_height; di++) {
        int row = i * s.stride_down - s.top + di;
        if (row < 0 || row >= s.height) continue;
        const real* pixels = x + (n * s.height + row) * s.width * s.channels;
        for (int dj = 0; dj < s.kernel_width; dj++) {
            int first = j * s.stride_across - s.left + dj;
            for (int c = 0; c < s.channels; c++) {
                real weight = w[((di * s.kernel_width + dj) * s.channels + c) * outputs + o];
                for (int k = 0; k < STRIP; k++) {
                    int column = first + k * s.stride_across;
                    if (column >= 0 && column < s.width) sum[k] += weight * pixels[column * s.channels + c];
                }
            }
        }
    }
    y += ((n * s.out_height + i) * s.out_width + j) * outputs + o;
    for (int k = 0; k < STRIP && j + k < s.out_width; k++) y[k * outputs] = sum[k];
}
