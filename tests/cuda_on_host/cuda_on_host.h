// Runs CUDA kernels on the host, so that they are tested where there is no card.
//
// Each thread of a block is a fibre: a function with a stack of its own that gives up the processor where CUDA would
// wait for other threads (__syncthreads, warp shuffles). Blocks run one after the other, and so do the threads of a
// block, in a chosen order; nothing runs side by side. Races therefore show in another way: a kernel that lacks a
// __syncthreads gives other results when the order of its threads is turned round, and shared memory starts a block
// full of NaN. What CUDA leaves undefined is an error here: a barrier that not all threads reach, or not at the same
// place; a shuffle among lanes that have exited. Out-of-bounds access is found by the address sanitizer.

#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>
#ifndef __x86_64__
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __align__(n) alignas(n)
#define __constant__ static
#define __shared__ __attribute__((section("cuda_shared"))) static
extern unsigned char __start_cuda_shared[] __attribute__((weak)), __stop_cuda_shared[] __attribute__((weak));

struct dim3 { unsigned x, y, z; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

// Context is where a fibre was left; host_switch leaves one and goes on with another. The C library's swapcontext asks
// the operating system for the signal mask every time, which is most of a test's time where system calls are slow.
#ifdef __x86_64__
using Context = void*;                      // the stack pointer: all else is on the stack, or the caller's to save
extern "C" __attribute__((visibility("hidden"))) void host_switch(Context* leave, Context* enter);
asm(R"(
    .pushsection .text
    .hidden host_switch
    .globl host_switch
    .type host_switch, @function
host_switch:
    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
    mov %rsp, (%rdi)
    mov (%rsi), %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
    ret
    .popsection
)");
inline void host_start(Context* context, char* stack, size_t size, void (*function)()) {
    void** top = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(stack + size - 64) & ~uintptr_t(15));
    *top = reinterpret_cast<void*>(function);           // where `ret` goes; below it the six registers
    *context = top - 6;
}
#else
using Context = ucontext_t;
inline void host_switch(Context* leave, Context* enter) { swapcontext(leave, enter); }
inline void host_start(Context* context, char* stack, size_t size, void (*function)()) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = size;
    context->uc_link = nullptr;
    makecontext(context, function, 0);
}
#endif

namespace host {

constexpr size_t STACK = 256 << 10;

struct Fibre {
    Context context;
    std::unique_ptr<char[]> stack{new char[STACK]};
    unsigned thread = 0;                    // of the block; which one it runs at the moment
    void* fake_stack = nullptr;
};

enum State { NEW, RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };
struct Thread { State state = NEW; int line = 0; unsigned mask = 0; Fibre* fibre = nullptr; };

static std::function<void()> body;
static std::vector<Thread> threads;
static std::vector<std::unique_ptr<Fibre>> fibres;
static std::vector<Fibre*> idle;
static std::vector<unsigned> order;         // in which the threads of a block are started
static size_t started;
static Context scheduler;
static Fibre* current;
static std::string failure;
static std::unique_ptr<unsigned char[]> dynamic_shared;
static uint64_t given[1024];                // by each thread, to a shuffle
static uint64_t exchange[1024];             // what was given when the warp went on: all of it is read before the next one does
static void* scheduler_fake_stack; static const void* scheduler_stack; static size_t scheduler_stack_size;

struct Failed {};

inline void to_scheduler(bool for_good = false) {
    Fibre* me = current;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(for_good ? nullptr : &me->fake_stack, scheduler_stack, scheduler_stack_size);
#endif
    host_switch(&me->context, &scheduler);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(me->fake_stack, nullptr, nullptr);
#endif
}

inline void set_thread(unsigned t) {
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

inline void fibre_main() {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_size);
#endif
    while (true) {
        while (started < order.size()) {    // threads that never wait are run one after the other, without a switch
            unsigned t = order[started++];
            current->thread = t;
            threads[t].state = RUNNING, threads[t].fibre = current;
            set_thread(t);
            body();
            threads[t].state = DONE;
        }
        idle.push_back(current);
        to_scheduler();
    }
}

inline void resume(Fibre* fibre) {
    current = fibre;
    set_thread(fibre->thread);
#ifdef __SANITIZE_ADDRESS__
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, fibre->stack.get(), STACK);
#endif
    host_switch(&scheduler, &fibre->context);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

inline Fibre* fresh_fibre() {
    if (!idle.empty()) {
        Fibre* fibre = idle.back();
        idle.pop_back();
        return fibre;
    }
    fibres.push_back(std::make_unique<Fibre>());
    Fibre* fibre = fibres.back().get();
    host_start(&fibre->context, fibre->stack.get(), STACK, fibre_main);
    return fibre;
}

inline std::string at(int line) { return "line " + std::to_string(line); }

inline void wait(State state, unsigned mask, int line) {
    Thread& me = threads[current->thread];
    unsigned thread = current->thread;
    me.state = state, me.mask = mask, me.line = line;
    to_scheduler();
    threads[thread].state = RUNNING;
}

// Threads of a warp whose mask names them all, waiting at one line, may go on together.
inline bool release_warps(std::vector<unsigned>& ready) {
    for (size_t first = 0; first < threads.size(); first += 32) {
        for (size_t t = first; t < first + 32 && t < threads.size(); t++) {
            if (threads[t].state != AT_WARP_BARRIER) continue;
            unsigned mask = threads[t].mask;
            bool all = true;
            for (unsigned lane = 0; lane < 32 && all; lane++) {
                if (!(mask >> lane & 1)) continue;
                if (first + lane >= threads.size() || threads[first + lane].state == DONE) {
                    failure = "a warp operation, " + at(threads[t].line) + ", names lane " + std::to_string(lane) +
                              ", which has exited or does not exist";
                    return false;
                }
                const Thread& other = threads[first + lane];
                all = other.state == AT_WARP_BARRIER && other.mask == mask && other.line == threads[t].line;
            }
            if (!all) continue;
            for (unsigned lane = 0; lane < 32; lane++)
                if (mask >> lane & 1) {
                    ready.push_back(first + lane), threads[first + lane].state = RUNNING;
                    exchange[first + lane] = given[first + lane];
                }
        }
    }
    return true;
}

inline void release_block(std::vector<unsigned>& ready) {
    const Thread* waiting = nullptr;
    for (auto& thread : threads) if (thread.state == AT_BLOCK_BARRIER) waiting = &thread;
    if (!waiting) return;
    for (size_t t = 0; t < threads.size(); t++) {
        if (threads[t].state == AT_BLOCK_BARRIER && threads[t].line == waiting->line) continue;
        failure = "__syncthreads, " + at(waiting->line) + ": thread " + std::to_string(t) +
                  (threads[t].state == DONE ? " has exited without it" : " waits elsewhere, " + at(threads[t].line));
        return;
    }
    for (unsigned t = 0; t < threads.size(); t++) ready.push_back(t);       // run_block turns them round
}

inline void run_block() {
    for (auto& thread : threads) thread = Thread();
    started = 0;
    if (__start_cuda_shared) memset(__start_cuda_shared, 0xff, __stop_cuda_shared - __start_cuda_shared);
    while (started < order.size()) resume(fresh_fibre());
    while (failure.empty()) {
        std::vector<unsigned> ready;
        if (!release_warps(ready)) break;
        if (ready.empty()) release_block(ready);
        if (ready.empty()) break;
        if (order[0] != 0) std::reverse(ready.begin(), ready.end());
        for (unsigned t : ready) resume(threads[t].fibre);
    }
    for (size_t t = 0; t < threads.size() && failure.empty(); t++)
        if (threads[t].state != DONE) failure = "thread " + std::to_string(t) + " waits for ever, " + at(threads[t].line);
    if (!failure.empty()) { fibres.clear(); idle.clear(); }
}

// Runs a grid; the message of what went wrong, or null. turned: the threads of a block in the opposite order.
inline const char* run(dim3 grid, dim3 block, size_t shared, bool turned, std::function<void()> kernel) {
    body = kernel, gridDim = grid, blockDim = block;
    failure.clear();
    unsigned count = block.x * block.y * block.z;
    if (count == 0 || count > 1024 || !grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 || shared > 48 << 10)
        return "a launch that no card would take: grid, block or shared memory out of range";
    threads.assign(count, Thread());
    order.resize(count);
    for (unsigned t = 0; t < count; t++) order[t] = turned ? count - 1 - t : t;
    for (unsigned z = 0; z < grid.z; z++) for (unsigned y = 0; y < grid.y; y++) for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        dynamic_shared.reset(new unsigned char[shared]);    // of exactly that size, for the address sanitizer
        memset(dynamic_shared.get(), 0xff, shared);
        run_block();
        if (!failure.empty()) return failure.c_str();
    }
    return nullptr;
}

template <typename T>
inline T shuffle(unsigned mask, T value, unsigned source_lane, int line) {
    unsigned t = current->thread, first = t / 32 * 32;
    static_assert(sizeof(T) <= 8, "shuffles move 4 or 8 bytes");
    memcpy(&given[t], &value, sizeof value);
    wait(AT_WARP_BARRIER, mask, line);
    T result = value;
    if (source_lane < 32 && mask >> source_lane & 1) memcpy(&result, &exchange[first + source_lane], sizeof result);
    return result;
}

inline unsigned lane() { return current->thread % 32; }

inline unsigned ballot(unsigned mask, bool vote, int line) {
    unsigned t = current->thread, first = t / 32 * 32, votes = 0;
    given[t] = vote;
    wait(AT_WARP_BARRIER, mask, line);
    for (unsigned l = 0; l < 32; l++) if (mask >> l & 1 && exchange[first + l]) votes |= 1u << l;
    return votes;
}

template <typename T> inline T argument(void** arguments, int index) {
    alignas(16) char room[sizeof(T)];
    memcpy(room, arguments[index], sizeof(T));
    return *reinterpret_cast<T*>(room);
}

}  // namespace host

#define __syncthreads() host::wait(host::AT_BLOCK_BARRIER, 0, __LINE__)
#define __syncwarp(...) host::wait(host::AT_WARP_BARRIER, 0xffffffffu, __LINE__)
#define __shfl_xor_sync(mask, value, distance) host::shuffle(mask, value, host::lane() ^ (distance), __LINE__)
#define __shfl_down_sync(mask, value, distance) host::shuffle(mask, value, host::lane() + (distance), __LINE__)
#define __shfl_up_sync(mask, value, distance) host::shuffle(mask, value, host::lane() - (distance), __LINE__)
#define __shfl_sync(mask, value, source) host::shuffle(mask, value, (source) % 32, __LINE__)
#define __ballot_sync(mask, vote) host::ballot(mask, vote, __LINE__)
#define __any_sync(mask, vote) (host::ballot(mask, vote, __LINE__) != 0)
#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(host::dynamic_shared.get())

template <typename T, typename U> inline T atomicAdd(T* at, U value) { T old = *at; *at += T(value); return old; }
template <typename T, typename U> inline T atomicMax(T* at, U value) { T old = *at; if (T(value) > old) *at = T(value); return old; }
template <typename T> inline T __ldg(const T* at) { return *at; }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned __int128>(a) * b >> 64;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned long long>(a) * b >> 32; }
template <typename T> inline T min(T a, T b) { return b < a ? b : a; }
template <typename T> inline T max(T a, T b) { return a < b ? b : a; }
inline float rsqrt(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
using std::abs; using std::exp; using std::log; using std::tanh; using std::sqrt; using std::fmax; using std::fmin;
using std::isnan; using std::isinf; using std::isfinite; using std::pow; using std::fabs;

// A function that several files may define alike keeps its shared memory where the linker can throw copies away, which cannot
// be the place where another function's lies (GCC 14 and 16 refuse it). One that belongs to this file alone shares it.
#define inline static
