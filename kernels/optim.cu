// The optimisers' update rules, for all parameters in one launch. Equations: optim.py; launched by optim_cupy.py.
//
// A network has dozens of parameters, most of them small: a launch for each would cost more than the work. The tensors
// are cut into chunks of 1024 numbers, numbered through from the first tensor to the last; a block takes a chunk, looks
// up in which tensor it lies, and goes on to the chunk a grid further. So no block is idle beside one large tensor, and
// none is launched in vain. At most 1024 blocks of 256 threads: they fill a card with 128 multiprocessors, and what
// a block must compute before it begins (Adam's bias corrections, in double precision, which is slow on many cards) is
// computed no more often than that. Neighbouring threads take neighbouring numbers.
//
// The tensors' addresses travel with the launch, in the 4 KiB that a launch has for its arguments: 96 tensors; more
// of them take another launch.
//
// Floor, in float32: SGD moves 20 bytes a parameter (reads p, g, v; writes p, v), 12 without momentum, RMSprop 20, Adam
// 28, clipping 4 for the norm and 8 more where it is exceeded. Adam's dozen flops and a root are hidden behind that.

#include "common.cuh"

const int TENSORS = 96, CHUNK = 1024;       // the same in optim_cupy.py

// What param, grad and the state point to has the same size. Pointers that a kernel does not use are null.
struct Tensors {
    real* param[TENSORS];
    const real* grad[TENSORS];
    real* state[TENSORS];                   // velocity, mean of squares; Adam: mean
    real* square[TENSORS];                  // Adam: mean of squares
    int size[TENSORS];
    int first_chunk[TENSORS];
    int count, chunks;
};

// The last tensor that begins no later than this chunk; one without elements ends where it begins, and is never it.
__device__ inline int tensor_of(int chunk, const Tensors& tensors) {
    int low = 0, high = tensors.count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (tensors.first_chunk[middle] <= chunk) low = middle;
        else high = middle - 1;
    }
    return low;
}

// Calls work(t, begin, end) for each chunk that falls to this block: elements begin … end − 1 of tensor t.
template <typename Work>
__device__ inline void for_each_chunk(const Tensors& tensors, Work work) {
    for (int chunk = blockIdx.x; chunk < tensors.chunks; chunk += gridDim.x) {
        int t = tensor_of(chunk, tensors);
        int begin = (chunk - tensors.first_chunk[t]) * CHUNK;
        work(t, begin, min(begin + CHUNK, tensors.size[t]));
    }
}

// Calls work(t, i) for each element i of tensor t that falls to this thread.
template <typename Work>
__device__ inline void for_each_element(const Tensors& tensors, Work work) {
    for_each_chunk(tensors, [&](int t, int begin, int end) {
        for (int i = begin + threadIdx.x; i < end; i += blockDim.x) work(t, i);
    });
}

// ---- update rules ---------------------------------------------------------------------------------------------

extern "C" __global__ void sgd_step(const Tensors tensors, Live lr, real momentum, int nesterov, real weight_decay) {
    real rate = real(lr.get());
    for_each_element(tensors, [&](int t, int i) {
        real p = tensors.param[t][i];
        real g = tensors.grad[t][i] + weight_decay * p;
        if (momentum != 0) {
            real v = momentum * tensors.state[t][i] + g;
            tensors.state[t][i] = v;
            g = nesterov ? g + momentum * v : v;
        }
        tensors.param[t][i] = p - rate * g;
    });
}

// rest: 1 − alpha, of which float32 would lose digits
extern "C" __global__ void rmsprop_step(const Tensors tensors, Live lr, real alpha, real rest, real eps,
                                        real weight_decay) {
    real rate = real(lr.get());
    for_each_element(tensors, [&](int t, int i) {
        real p = tensors.param[t][i];
        real g = tensors.grad[t][i] + weight_decay * p;
        real s = alpha * tensors.state[t][i] + rest * g * g;
        tensors.state[t][i] = s;
        tensors.param[t][i] = p - rate * g / (sqrt(s) + eps);
    });
}

// Adam and AdamW. l2: weight decay that joins the gradient; decay: decoupled from it. As on the CPU the bias
// corrections are taken out of the arrays:  p −= size · m / (√s + eps'),  eps' = eps √(1 − β₂ᵗ),  size = lr √(1 − β₂ᵗ) / (1 − β₁ᵗ).
extern "C" __global__ void adam_step(const Tensors tensors, Live step, Live lr, double beta1, double beta2, double eps,
                                     real l2, double decay) {
    __shared__ real size, epsilon, shrink;
    if (threadIdx.x == 0) {
        double correction = sqrt(1 - pow(beta2, step.get()));
        size = real(lr.get() * correction / (1 - pow(beta1, step.get())));
        epsilon = real(eps * correction);
        shrink = real(1 - lr.get() * decay);
    }
    __syncthreads();
    real b1 = real(beta1), rest1 = real(1 - beta1), b2 = real(beta2), rest2 = real(1 - beta2);
    for_each_element(tensors, [&](int t, int i) {
        real p = shrink * tensors.param[t][i];
        real g = tensors.grad[t][i] + l2 * p;
        real m = b1 * tensors.state[t][i] + rest1 * g;
        real s = b2 * tensors.square[t][i] + rest2 * g * g;
        tensors.state[t][i] = m;
        tensors.square[t][i] = s;
        tensors.param[t][i] = p - size * m / (sqrt(s) + epsilon);
    });
}

// ---- the norm of all tensors together -------------------------------------------------------------------------
// A thread adds up the squares of its few numbers of a chunk, then the chunks in double precision, lest small numbers
// be lost beside a large sum; squares that are too large for `real` it adds up once more, in double precision. The
// blocks' sums are added up by another launch, of one block. The order depends on the sizes alone, so that every run
// gives the same bits.

extern "C" __global__ void squares_of_blocks(const Tensors tensors, double* partial) {
    double total = 0;
    for_each_chunk(tensors, [&](int t, int begin, int end) {
        const real* x = tensors.param[t];
        real sum = 0;
        for (int i = begin + threadIdx.x; i < end; i += blockDim.x) sum += x[i] * x[i];
        if (!isinf(sum)) total += sum;
        else for (int i = begin + threadIdx.x; i < end; i += blockDim.x) total += double(x[i]) * x[i];
    });
    total = block_sum(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

extern "C" __global__ void norm_of_blocks(const double* partial, int blocks, double* norm) {
    double sum = 0;
    for (int k = threadIdx.x; k < blocks; k += blockDim.x) sum += partial[k];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *norm = sqrt(sum);
}

// margin: added to the norm, lest a norm of 0 divide
extern "C" __global__ void clip_by_norm(const Tensors tensors, const double* norm, double max_norm, double margin) {
    __shared__ double scale;
    if (threadIdx.x == 0) scale = max_norm / (*norm + margin);
    __syncthreads();
    if (scale >= 1) return;                 // false for a NaN, which shall spread
    real factor = real(scale);
    for_each_element(tensors, [&](int t, int i) { tensors.param[t][i] *= factor; });
}
