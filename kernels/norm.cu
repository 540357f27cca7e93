// Batch normalisation. Equations: norm.py; launched by norm_cupy.py.
//
// x (…, C) is taken as a matrix of M rows and C columns, one per channel. The first kernel and the last of each pass
// go over it in the same way. A block takes a tile of at most 32 columns and a chunk of rows; its threads lie
// (columns, rows), so that a warp reads 32 neighbouring numbers of a row, or of several rows where there are few
// channels, and each thread stays in one column: what belongs to the channel it reads once. Chunks are cut so that
// there are about 1024 blocks, enough to fill a card although there are few columns, but not below 8 rows a thread.
//
// Statistics of a chunk take two passes over it. It is 8 kB in float32, or 4 kB for each million elements of x, so that
// the second pass finds it in the cache. A second kernel, one block per channel, merges the chunks: C sums of at most some
// thousand terms, in double. No block may go on before all have summed, and only the end of a kernel makes sure of it.
//
// Floor, float32: training reads x twice and writes y, 12 bytes an element; evaluation 8. The backward reads dy and x
// twice and writes dx, 20 bytes; in evaluation 16, as the last kernel needs no x. About 10 operations an element.

#include "common.cuh"

// Which numbers a thread works on: those of a chunk's rows first, first + step, … below `end` in the column `channel`.
struct Column {
    int channel, first, end, step;
    bool exists;
    __device__ Column(int n, int channels, int chunk)
        : channel(blockIdx.y * blockDim.x + threadIdx.x), first(blockIdx.x * chunk + threadIdx.y), step(blockDim.y) {
        unsigned rows = n / channels, after = (blockIdx.x + 1) * chunk;
        exists = channel < channels;
        end = exists ? min(rows, after) : 0;            // a thread without a column still takes part in the sums
    }
};

// The sum of `value` over the rows of the block's threads, for each column; all threads get their column's.
__device__ inline real column_sum(real value) {
    __shared__ real parts[256];
    int at = threadIdx.y * blockDim.x + threadIdx.x;
    __syncthreads();                                    // parts may still be read from an earlier call
    parts[at] = value;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) parts[at] += parts[at + half * blockDim.x];
    }
    __syncthreads();
    return parts[threadIdx.x];
}

// ---- forward --------------------------------------------------------------------------------------------------

// means, squares (channels, chunks): of each chunk its mean and its Σ (x − mean)².
//
// A mean in float32 is off by its rounding, d. So the second pass sums x − mean as well, which is −d a row, and both
// results are set right (Chan, Golub and LeVeque 1983, the corrected two-pass algorithm).
extern "C" __global__ void chunk_statistics(const real* __restrict__ x, double* means, double* squares,
                                            int n, int channels, int chunk) {
    Column at(n, channels, chunk);
    int rows = min(chunk, n / channels - int(blockIdx.x) * chunk);
    real sum = 0, residue = 0, square = 0;
    for (int row = at.first; row < at.end; row += at.step) sum += x[row * channels + at.channel];
    real mean = column_sum(sum) / rows;
    for (int row = at.first; row < at.end; row += at.step) {
        real centred = x[row * channels + at.channel] - mean;
        residue += centred, square += centred * centred;
    }
    residue = column_sum(residue), square = column_sum(square);
    if (at.exists && threadIdx.y == 0) {
        int chunks = gridDim.x, here = at.channel * chunks + blockIdx.x;
        means[here] = mean + double(residue) / rows;
        squares[here] = square - double(residue) * residue / rows;
    }
}

// A block a channel. Chunks merge exactly (Chan, Golub and LeVeque 1983):
//     mean = Σ rows · mean of the chunk / M,     Σ (x − mean)² = Σ (its own + rows · (its mean − mean)²)
extern "C" __global__ void merge_statistics(const double* means, const double* squares, real* running_mean,
                                            real* running_var, real* mean, real* over_sigma, int rows, int chunk,
                                            int chunks, double momentum, double eps) {
    int channel = blockIdx.x;
    means += channel * chunks, squares += channel * chunks;
    double sum = 0, square = 0;
    for (int k = threadIdx.x; k < chunks; k += blockDim.x) sum += means[k] * min(chunk, rows - k * chunk);
    double exact_mean = block_sum(sum) / rows;
    for (int k = threadIdx.x; k < chunks; k += blockDim.x) {
        double apart = means[k] - exact_mean;
        square += squares[k] + apart * apart * min(chunk, rows - k * chunk);
    }
    square = block_sum(square);
    if (threadIdx.x > 0) return;
    mean[channel] = exact_mean;
    over_sigma[channel] = 1 / sqrt(square / rows + eps);
    running_mean[channel] = (1 - momentum) * running_mean[channel] + momentum * exact_mean;
    running_var[channel] = (1 - momentum) * running_var[channel] + momentum * square / (rows - 1);
}

// Evaluation: copies, as the running statistics may have moved on before the backward. A thread a channel.
extern "C" __global__ void running_statistics(const real* running_mean, const real* running_var, real* mean,
                                              real* over_sigma, double eps, int channels) {
    int channel = element();
    if (channel >= channels) return;
    mean[channel] = running_mean[channel];
    over_sigma[channel] = 1 / sqrt(running_var[channel] + eps);
}

extern "C" __global__ void normalise(const real* __restrict__ x, const real* __restrict__ mean,
                                     const real* __restrict__ over_sigma, const real* __restrict__ gamma,
                                     const real* __restrict__ beta, real* __restrict__ y,
                                     int n, int channels, int chunk) {
    Column at(n, channels, chunk);
    if (!at.exists) return;
    real centre = mean[at.channel], scale = gamma[at.channel] * over_sigma[at.channel], shift = beta[at.channel];
    for (int row = at.first; row < at.end; row += at.step) {
        int i = row * channels + at.channel;
        y[i] = (x[i] - centre) * scale + shift;
    }
}

// ---- backward -------------------------------------------------------------------------------------------------

// sums, products (channels, chunks): of each chunk Σ dy and Σ dy·(x − mean). Not Σ dy·x − mean·Σ dy, which loses its
// digits where the mean is far from 0.
extern "C" __global__ void chunk_gradients(const real* __restrict__ dy, const real* __restrict__ x,
                                           const real* __restrict__ mean, double* sums, double* products,
                                           int n, int channels, int chunk) {
    Column at(n, channels, chunk);
    real centre = at.exists ? mean[at.channel] : real(0), sum = 0, product = 0;
    for (int row = at.first; row < at.end; row += at.step) {
        int i = row * channels + at.channel;
        sum += dy[i], product += dy[i] * (x[i] - centre);
    }
    sum = column_sum(sum), product = column_sum(product);
    if (at.exists && threadIdx.y == 0) {
        int chunks = gridDim.x, here = at.channel * chunks + blockIdx.x;
        sums[here] = sum, products[here] = product;
    }
}

extern "C" __global__ void merge_gradients(const double* sums, const double* products, const real* over_sigma,
                                           real* dgamma, real* dbeta, int chunks) {
    int channel = blockIdx.x;
    sums += channel * chunks, products += channel * chunks;
    double sum = 0, product = 0;
    for (int k = threadIdx.x; k < chunks; k += blockDim.x) sum += sums[k], product += products[k];
    sum = block_sum(sum), product = block_sum(product);
    if (threadIdx.x > 0) return;
    dbeta[channel] = sum;
    dgamma[channel] = product * over_sigma[channel];
}

// training: the statistics depend on x, too. x and mean are not read in evaluation.
extern "C" __global__ void input_gradient(const real* __restrict__ dy, const real* __restrict__ x,
                                          const real* __restrict__ mean, const real* __restrict__ over_sigma,
                                          const real* __restrict__ gamma, const real* __restrict__ dgamma,
                                          const real* __restrict__ dbeta, real* __restrict__ dx,
                                          int n, int channels, int chunk, int training) {
    Column at(n, channels, chunk);
    if (!at.exists) return;
    int rows = n / channels, channel = at.channel;
    real scale = gamma[channel] * over_sigma[channel];
    real centre = mean[channel], share = dbeta[channel] / rows, slope = over_sigma[channel] * dgamma[channel] / rows;
    for (int row = at.first; row < at.end; row += at.step) {
        int i = row * channels + channel;
        dx[i] = scale * (training ? dy[i] - share - (x[i] - centre) * slope : dy[i]);
    }
}
