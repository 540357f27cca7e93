// What a dense layer needs beside its matrix products (those are cuBLAS's): the bias added, and its gradient.
// Equations: dense.py; launched by dense_cupy.py. Convolutions and the LSTM use both as well.
//
// add_bias: a thread an element; b is read from the cache. Floor: y read and written, 8 bytes an element.
//
// column_sums: sums over the rows of (rows, columns), read once: 4 bytes a number, one addition. A warp reads 32
// neighbouring columns, so its reads are whole lines of memory; eight such warps of a block take every eighth row of
// their part of the rows, and add up in shared memory. One block a part and 32 columns: with few columns it is the parts
// that fill the card. A second launch adds up the parts, a third their sums where there are many. The order of additions is
// fixed, hence so are the bits.

#include "common.cuh"

extern "C" __global__ void add_bias(real* y, const real* b, int n, int columns) {
    int i = element();
    if (i < n) y[i] += b[i % columns];
}

// Grid (ceil(columns / 32), parts), block (32, 8). sums: (parts, columns).
extern "C" __global__ void column_sums(const real* x, real* sums, int rows, int columns, int rows_of_part) {
    __shared__ real of_warp[8][32];
    int column = blockIdx.x * 32 + threadIdx.x, first = blockIdx.y * rows_of_part;
    int end = first + rows_of_part < rows ? first + rows_of_part : rows;
    real sum = 0;
    if (column < columns)
        for (int row = first + threadIdx.y; row < end; row += 8) sum += x[int64(row) * columns + column];
    of_warp[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && column < columns) {
        for (int warp = 1; warp < 8; warp++) sum += of_warp[warp][threadIdx.x];
        sums[blockIdx.y * columns + column] = sum;
    }
}
