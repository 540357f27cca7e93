// Dropout. Equations, and how the mask is drawn: dropout.py; launched by dropout_cupy.py. The mask is NumPy's, bit for
// bit.
//
// Launch: one thread per block of Philox, which is 16 elements; 128 threads per block, so that a small array is spread over
// more of the card. Were each thread to read the 16 elements it draws for, the 32 lanes of a warp would read with a
// stride of 64 bytes. So a warp draws for its 512 elements first, each lane 16 bits that say which are kept, and then
// goes over them 32 at a time, each lane on one element, its bit fetched from the lane that drew it. Reads and writes
// are of 128 neighbouring bytes, and no shared memory is needed.
//
// Floor: x read, y written, 8 bytes an element in float32, forward and backward alike. Philox is 10 rounds of two
// products of 64 × 64 bits, some 400 integer instructions for 16 elements, 25 an element: about what a large card can
// do in the time that the bytes take. So it matters that an element draws 16 bits, and not 32.

#include "common.cuh"

const int PER_COUNT = 16;           // elements that draw from one value of the counter, 16 bits each

// Philox4x64-10 (Salmon et al. 2011): word[4] is a function of the counter (count, 0, 0, 0) and the key (key, 0).
__device__ inline void philox(uint64 count, uint64 key, uint64* word) {
    uint64 key0 = key, key1 = 0;
    word[0] = count, word[1] = word[2] = word[3] = 0;
    for (int round = 0; round < 10; round++) {
        uint64 high0 = __umul64hi(0xD2E7470EE14C6C93ull, word[0]), low0 = 0xD2E7470EE14C6C93ull * word[0];
        uint64 high1 = __umul64hi(0xCA5A826395121157ull, word[2]), low1 = 0xCA5A826395121157ull * word[2];
        word[0] = high1 ^ word[1] ^ key0, word[1] = low1;
        word[2] = high0 ^ word[3] ^ key1, word[3] = low0;
        key0 += 0x9E3779B97F4A7C15ull, key1 += 0xBB67AE8584CAA73Bull;       // the golden ratio and √3 − 1
    }
}

// One bit for each of 16 elements, the first element's lowest: 1 where its 16 bits reach the threshold.
__device__ inline unsigned kept_of(uint64 block, uint64 seed, int threshold) {
    uint64 word[4];
    philox(block + 1, seed, word);              // NumPy counts up before it draws
    unsigned kept = 0;
    for (int k = 0; k < PER_COUNT; k++) {
        int bits = word[k / 4] >> 16 * (k % 4) & 0xffff;
        kept |= unsigned(bits >= threshold) << k;
    }
    return kept;
}

// y = x · m · scale: the forward of x, the backward of dy.
extern "C" __global__ void drop(const real* __restrict__ x, LiveSeed seed, int threshold, real scale,
                                real* __restrict__ y, int n) {
    int lane = threadIdx.x % 32;
    unsigned first = unsigned(element()) / 32 * 32 * PER_COUNT;     // of the warp's elements; the last may be beyond an int
    unsigned kept = kept_of(element(), seed.get(), threshold);
    for (int k = 0; k < PER_COUNT; k++) {
        unsigned i = first + 32 * k + lane;
        unsigned kept_there = __shfl_sync(0xffffffffu, kept, (32 * k + lane) / PER_COUNT);
        if (i < unsigned(n)) y[i] = x[i] * (kept_there >> lane % PER_COUNT & 1 ? scale : real(0));
    }
}
