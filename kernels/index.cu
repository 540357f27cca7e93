// Adding at places of which some may be named several times: the gradient of x[indices]. Launched by index_cupy.py.
//
// Atomic additions would be short, and come in another order each time, hence with other bits. So the places are sorted
// first, those that are equal by the turn in which they were named. Here the thread of the first of each place adds up
// what all of them bring, in turn; the others have nothing to do.
//
// Launch: one thread per number, 256 per block. Floor, float32: 8 bytes of `order` and 4 of `values` read and 4 written for each.
// What comes before costs more: a number of 8 bytes for each of x, and the sorting, several passes over 8 bytes for each named.
// Where one place is named thousands of times, one thread adds them all, and is what is waited for.

#include "common.cuh"

// order: place · count + turn of each number, sorted.
extern "C" __global__ void add_in_turn(const int64* order, const real* values, real* x, int count) {
    int i = element();
    if (i >= count) return;
    int64 place = order[i] / count;
    if (i > 0 && order[i - 1] / count == place) return;
    real sum = x[place];
    for (; i < count && order[i] / count == place; i++) sum += values[order[i] % count];
    x[place] = sum;
}
