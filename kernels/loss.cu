// Losses. Equations: loss.py; launched by loss_cupy.py.
//
// The mean is summed in an order that depends on nothing but the sizes, so that every run gives the same bits: each
// thread its own terms, then its block, which leaves one partial sum, already divided by the count. sum_of_blocks adds
// those up. Where there is one block its partial sum is the loss, and sum_of_blocks is not launched.
//
// Launch: cross_entropy_forward takes blocks of 32 warps, and a warp a row at a time, four rows in all: a batch of 128,
// as these networks are trained with, is one block and therefore one launch. Its lanes stride over the row's classes.
// The other two losses go through their elements with 256 threads a block and strides of the grid, at most 1024 blocks:
// enough to fill a card, and few enough for one block to add up their sums. The backward kernels sum nothing over the
// batch: a warp a row, or a thread an element.
//
// Floor, in float32: cross-entropy reads the logits and writes p, 8 bytes and some 25 flops a logit for exponentials;
// its gradient reads p and writes dlogits, 8 bytes. The others read 8 bytes an element; their gradients move 12.
// For a batch of 128 and 7 classes that is 7 kB: what is paid for is the launch.

#include "common.cuh"

// Adds up the partial sums of the blocks before. One block.
extern "C" __global__ void sum_of_blocks(const real* partial, int blocks, real* loss) {
    real sum = 0;
    for (int k = threadIdx.x; k < blocks; k += blockDim.x) sum += partial[k];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *loss = sum;
}

__device__ inline void leave_mean(real sum, int count, real* partial) {
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum / count;
}

// ---- cross-entropy: labels, or a distribution q where labels is null ------------------------------------------

// A block of 1024 threads leaves each 64 registers; the compiler has to be told.
extern "C" __global__ void __launch_bounds__(1024)
cross_entropy_forward(const real* logits, const int64* labels, const real* q, real* p, real* partial, int rows,
                      int classes, int rows_of_block) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int end = min((int(blockIdx.x) + 1) * rows_of_block, rows);
    real loss = 0;
    for (int row = blockIdx.x * rows_of_block + warp; row < end; row += warps) {
        int64 first = int64(row) * classes;
        const real* z = logits + first;
        int64 label = labels ? labels[row] : 0;
        real largest, sum = sum_of_exponentials(z, classes, largest);
        if (label < 0 || label >= classes) sum = loss = nan("");         // no such class: loss and gradient show it
        real log_sum = log(sum);
        for (int k = lane; k < classes; k += 32) {
            p[first + k] = exp(z[k] - largest) / sum;
            real log_p = z[k] - largest - log_sum;
            if (q) loss -= q[first + k] ? q[first + k] * log_p : real(0);       // 0 · log p is 0, even for log p = −∞
            else if (k == label) loss -= log_p;
        }
    }
    leave_mean(loss, rows, partial);
}

extern "C" __global__ void cross_entropy_backward(const real* dloss, const real* p, const int64* labels, const real* q,
                                                  real* dlogits, int rows, int classes) {
    int row = element() / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    p += int64(row) * classes, dlogits += int64(row) * classes;
    real scale = *dloss / rows;
    if (labels) {
        int64 label = labels[row];
        for (int k = lane; k < classes; k += 32) dlogits[k] = (p[k] - (k == label ? real(1) : real(0))) * scale;
    } else {
        q += int64(row) * classes;
        real weight = 0;                                        // 1 for a distribution; but nothing says that it is one
        for (int k = lane; k < classes; k += 32) weight += q[k];
        weight = warp_sum(weight);
        for (int k = lane; k < classes; k += 32) dlogits[k] = (p[k] * weight - q[k]) * scale;
    }
}

// ---- element by element ---------------------------------------------------------------------------------------

extern "C" __global__ void mse_loss_forward(const real* prediction, const real* target, real* partial, int n) {
    real sum = 0;
    for (unsigned i = element(); i < unsigned(n); i += gridDim.x * blockDim.x) {
        real difference = prediction[i] - target[i];
        sum += difference * difference;
    }
    leave_mean(sum, n, partial);
}

extern "C" __global__ void mse_loss_backward(const real* dloss, const real* prediction, const real* target,
                                             real* dprediction, int n) {
    int i = element();
    if (i < n) dprediction[i] = (prediction[i] - target[i]) * (2 * *dloss / n);
}

// The greater of the two, or NaN where the value is one (fmax would give the floor).
__device__ inline real at_least(real floor, real value) { return value < floor ? floor : value; }

extern "C" __global__ void binary_cross_entropy_forward(const real* p, const real* target, real log_floor,
                                                        real* partial, int n) {
    real sum = 0;
    for (unsigned i = element(); i < unsigned(n); i += gridDim.x * blockDim.x) {
        real t = target[i];
        if (!(t >= 0 && t <= 1)) t = nan("");       // p outside 0 … 1 has no logarithm, and is NaN by itself
        sum -= t * at_least(log_floor, log(p[i])) + (1 - t) * at_least(log_floor, log1p(-p[i]));
    }
    leave_mean(sum, n, partial);
}

extern "C" __global__ void binary_cross_entropy_backward(const real* dloss, const real* p, const real* target,
                                                         real variance_floor, real* dp, int n) {
    int i = element();
    if (i < n) dp[i] = (p[i] - target[i]) / at_least(variance_floor, (1 - p[i]) * p[i]) * (*dloss / n);
}
