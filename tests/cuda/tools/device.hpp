// What CUDA C++ finds without being told, for the host: places, barriers, shuffles, atomics, arithmetic.
#pragma once
// C's header alone: to read what C++ puts around it takes as long as to compile a kernel.
#define _GLIBCXX_INCLUDE_NEXT_C_HEADERS
#include <math.h>
#undef _GLIBCXX_INCLUDE_NEXT_C_HEADERS
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <type_traits>

// What CUDA has of floats under the names of doubles; a float that becomes a double by itself is an error (with.sh).
#define OF_FLOATS(name) static inline float name(float x) { return name##f(x); }
OF_FLOATS(sqrt) OF_FLOATS(cbrt) OF_FLOATS(exp) OF_FLOATS(exp2) OF_FLOATS(expm1) OF_FLOATS(log) OF_FLOATS(log2) OF_FLOATS(log10)
OF_FLOATS(log1p) OF_FLOATS(sin) OF_FLOATS(cos) OF_FLOATS(tan) OF_FLOATS(asin) OF_FLOATS(acos) OF_FLOATS(atan) OF_FLOATS(sinh)
OF_FLOATS(cosh) OF_FLOATS(tanh) OF_FLOATS(asinh) OF_FLOATS(acosh) OF_FLOATS(atanh) OF_FLOATS(erf) OF_FLOATS(floor) OF_FLOATS(ceil)
OF_FLOATS(trunc) OF_FLOATS(round) OF_FLOATS(rint) OF_FLOATS(fabs)
#define OF_TWO_FLOATS(name) static inline float name(float x, float y) { return name##f(x, y); }
OF_TWO_FLOATS(fmin) OF_TWO_FLOATS(fmax) OF_TWO_FLOATS(pow) OF_TWO_FLOATS(fmod) OF_TWO_FLOATS(atan2) OF_TWO_FLOATS(hypot)
OF_TWO_FLOATS(copysign)
static inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
template <typename T> static inline T abs(T x) { return x < 0 ? -x : x; }

#define __CUDA_ARCH__ 900
#define __global__
#define __device__
#define __host__
#define __shared__
#define __grid_constant__
#define __restrict__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __align__(n) alignas(n)

struct Dim { unsigned x, y, z; };
// The driver writes these; `wait_for` hands over to the other threads (fibers.c).
extern "C" {
Dim threadIdx, blockIdx, blockDim, gridDim;
void (*wait_for)(int);
char *shared_memory;
}
enum { WARP = 1, BLOCK = 2 };
static const int warpSize = 32;
static inline unsigned own_place() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

static inline void __syncthreads() { wait_for(BLOCK); }
static inline void __syncwarp(unsigned = ~0u) { wait_for(WARP); }
// Threads run one at a time: there is nothing to order.
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline unsigned __activemask() { return ~0u; }

// ---- exchange within a warp: all who come put their value down, then look, then leave

static uint64_t put_down[1024];
static uint32_t came[32];

template <typename T, typename F> static auto meet(T value, F look) {
    const unsigned place = own_place(), lane = place % 32, warp = place / 32;
    static_assert(sizeof value <= 8);
    memcpy(&put_down[place], &value, sizeof value);
    came[warp] |= 1u << lane;
    wait_for(WARP);
    auto seen = look(lane, came[warp], [&](unsigned other) {
        T theirs;
        memcpy(&theirs, &put_down[warp * 32 + other % 32], sizeof theirs);
        return theirs;
    });
    wait_for(WARP);
    came[warp] &= ~(1u << lane);
    return seen;
}

template <typename T> static T __shfl_sync(unsigned, T v, unsigned from) {
    return meet(v, [=](unsigned, unsigned, auto of) { return of(from); });
}
template <typename T> static T __shfl_xor_sync(unsigned, T v, unsigned mask) {
    return meet(v, [=](unsigned lane, unsigned, auto of) { return of(lane ^ mask); });
}
template <typename T> static T __shfl_down_sync(unsigned, T v, unsigned by) {
    return meet(v, [=](unsigned lane, unsigned, auto of) { return of(lane + by > 31 ? lane : lane + by); });
}
template <typename T> static T __shfl_up_sync(unsigned, T v, unsigned by) {
    return meet(v, [=](unsigned lane, unsigned, auto of) { return of(lane < by ? lane : lane - by); });
}
static inline unsigned __ballot_sync(unsigned, bool v) {
    return meet(v, [](unsigned, unsigned present, auto of) {
        unsigned votes = 0;
        for (unsigned i = 0; i < 32; i++) votes |= unsigned(present >> i & 1 && of(i)) << i;
        return votes;
    });
}
static inline bool __any_sync(unsigned mask, bool v) { return __ballot_sync(mask, v) != 0; }
static inline bool __all_sync(unsigned mask, bool v) { return __ballot_sync(mask, !v) == 0; }
static inline void ptx_elect_sync(uint32_t &elected) {
    elected = meet(0, [](unsigned lane, unsigned present, auto) { return uint32_t(lane == unsigned(__builtin_ctz(present))); });
}

// ---- atomics

template <typename T, typename F> static T exchange(T *at, F made) { T old = *at; *at = made(old); return old; }
template <typename T> static T atomicAdd(T *at, T v) { return exchange(at, [=](T old) { return T(old + v); }); }
template <typename T> static T atomicMin(T *at, T v) { return exchange(at, [=](T old) { return v < old ? v : old; }); }
template <typename T> static T atomicMax(T *at, T v) { return exchange(at, [=](T old) { return old < v ? v : old; }); }
template <typename T> static T atomicAnd(T *at, T v) { return exchange(at, [=](T old) { return T(old & v); }); }
template <typename T> static T atomicOr(T *at, T v) { return exchange(at, [=](T old) { return T(old | v); }); }
template <typename T> static T atomicXor(T *at, T v) { return exchange(at, [=](T old) { return T(old ^ v); }); }
template <typename T> static T atomicExch(T *at, T v) { return exchange(at, [=](T) { return v; }); }
template <typename T> static T atomicCAS(T *at, T is, T v) { return exchange(at, [=](T old) { return old == is ? v : old; }); }
template <typename T> static void __nv_atomic_load(const T *at, T *to, int) { *to = *at; }
#define __NV_ATOMIC_RELAXED 0

// By inline assembly; values and places have C++'s types, whose sizes are checked.
#define ATOM(name, type, function) \
    template <typename T, typename P> static void ptx_atom_relaxed_##name(T &old, P at, T v) { \
        static_assert(sizeof(T) == sizeof(type)); \
        type wide; memcpy(&wide, &v, sizeof v); \
        wide = function((type *)at, wide); memcpy(&old, &wide, sizeof v); \
    }
#define ATOMS(suffix, type) ATOM(add_##suffix, type, atomicAdd) ATOM(min_##suffix, type, atomicMin) ATOM(max_##suffix, type, atomicMax)
ATOMS(f32, float) ATOMS(f64, double) ATOMS(u32, uint32_t) ATOMS(u64, uint64_t) ATOMS(s32, int32_t) ATOMS(s64, int64_t)

// ---- arithmetic

// CUDA's `min` and `max` of real numbers prefer a number to NaN.
template <typename A, typename B> static auto min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmin(T(a), T(b)); else return T(a) < T(b) ? T(a) : T(b);
}
template <typename A, typename B> static auto max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmax(T(a), T(b)); else return T(a) < T(b) ? T(b) : T(a);
}
static inline void ptx_min_NaN_f32(float &to, float a, float b) { to = a != a || b != b ? NAN : fminf(a, b); }
static inline void ptx_max_NaN_f32(float &to, float a, float b) { to = a != a || b != b ? NAN : fmaxf(a, b); }
static inline void ptx_add_sat_s32(int32_t &to, int32_t a, int32_t b) { to = max(int64_t(INT32_MIN), min(int64_t(INT32_MAX), int64_t(a) + b)); }
static inline void ptx_sub_sat_s32(int32_t &to, int32_t a, int32_t b) { to = max(int64_t(INT32_MIN), min(int64_t(INT32_MAX), int64_t(a) - b)); }
static inline float rsqrt(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float rhypotf(float x, float y) { return 1.0f / hypotf(x, y); }
static inline double rhypot(double x, double y) { return 1.0 / hypot(x, y); }
// Fast ones are at least as good here. (The C library has these names for itself.)
#define __expf expf
#define __logf logf
#define __powf powf
#define __sinf sinf
#define __cosf cosf
#define __tanhf tanhf
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frsqrt_rn(float x) { return rsqrt(x); }
static inline int __popc(uint32_t x) { return __builtin_popcount(x); }
static inline int __popcll(uint64_t x) { return __builtin_popcountll(x); }
static inline int __clz(uint32_t x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(uint64_t x) { return x ? __builtin_clzll(x) : 64; }
static inline int __ffs(int32_t x) { return __builtin_ffs(x); }
static inline int __ffsll(int64_t x) { return __builtin_ffsll(x); }
static inline uint32_t __umulhi(uint32_t a, uint32_t b) { return uint64_t(a) * b >> 32; }
static inline int32_t __mulhi(int32_t a, int32_t b) { return int64_t(a) * b >> 32; }
static inline uint64_t __umul64hi(uint64_t a, uint64_t b) { return (unsigned __int128)a * b >> 64; }
static inline int64_t __mul64hi(int64_t a, int64_t b) { return (__int128)a * b >> 64; }
static inline uint32_t __brev(uint32_t x) {
    uint32_t out = 0;
    for (int i = 0; i < 32; i++) out |= (x >> i & 1) << (31 - i);
    return out;
}
static inline uint64_t __brevll(uint64_t x) { return uint64_t(__brev(uint32_t(x))) << 32 | __brev(x >> 32); }

#include "half.hpp"
#include "wmma.hpp"
