// What the CUDA files share: names of types, numbers that live on the card, sums over a warp and over a block.
//
// Arrays are indexed by `int`, which is twice as fast on a card as 64 bits; the launcher (cuda.py) refuses more threads, and
// conv_cupy.py more columns, than an int can number.

#pragma once

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned long long uint64;
typedef long long int64;

// A number that the host may change between replays of a captured step: the learning rate, say. It is read from `at`, in
// the card's memory, where that is given; otherwise it was known when the kernel was launched.
struct Live {
    const double* at;
    double value;
    __device__ double get() const { return at ? *at : value; }
};

struct LiveSeed {
    const uint64* at;
    uint64 value;
    __device__ uint64 get() const { return at ? *at : value; }
};

// Shared memory whose size is given with the launch.
#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name) \
    extern __shared__ __align__(16) uint8 dynamic_shared[]; \
    type* name = reinterpret_cast<type*>(dynamic_shared)
#endif

// This thread's number in the whole grid: with each(n) in Python, the element it works on.
__device__ inline int element() { return blockIdx.x * blockDim.x + threadIdx.x; }

// Over a warp by shuffles: after the step with distance d, each lane holds the sum of 32 / d lanes. All lanes get the result.
template <typename T>
__device__ inline T warp_sum(T value) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

template <typename T>
__device__ inline T warp_max(T value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        T other = __shfl_xor_sync(0xffffffffu, value, distance);
        value = other > value || other != other ? other : value;        // NaN wins
    }
    return value;
}

// e^(x - max) summed by a warp over a row of `length`; all lanes get the sum, and the maximum in `largest`.
template <typename T>
__device__ inline T sum_of_exponentials(const T* row, int length, T& largest) {
    int lane = threadIdx.x % 32;
    largest = row[lane < length ? lane : 0];
    for (int k = lane; k < length; k += 32) largest = row[k] > largest || row[k] != row[k] ? row[k] : largest;
    largest = warp_max(largest);
    T sum = 0;
    for (int k = lane; k < length; k += 32) sum += exp(row[k] - largest);
    return warp_sum(sum);
}

// Over a block: each warp on its own, then the first warp over their results. All threads must call it, and all get the
// sum. blockDim.x is a multiple of 32, the other dimensions are 1.
template <typename T>
__device__ inline T block_sum(T value) {
    __shared__ T of_warp[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    value = warp_sum(value);
    __syncthreads();                                // of_warp may still be read from an earlier call
    if (lane == 0) of_warp[warp] = value;
    __syncthreads();
    return warp_sum(lane < warps ? of_warp[lane] : T(0));
}
