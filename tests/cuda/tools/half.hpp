// CUDA's halves and bfloats, alone and in pairs. Every operation is float's, rounded once: float is wide enough for that
// to be what a unit for halves would say, but for `__hfma`, where the product is exact in a double.
#pragma once
#include <type_traits>

static inline float half_to_float(uint16_t bits) {
    _Float16 v;
    memcpy(&v, &bits, 2);
    return float(v);
}
static inline uint16_t float_to_half(double x) {
    const _Float16 v = _Float16(x);
    uint16_t bits;
    memcpy(&bits, &v, 2);
    return bits;
}
static inline float bfloat_to_float(uint16_t bits) {
    const uint32_t wide = uint32_t(bits) << 16;
    float x;
    memcpy(&x, &wide, 4);
    return x;
}
static inline uint16_t float_to_bfloat(double x) {
    const float f = float(x);
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return f != f ? 0x7fff : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16); // ties to even
}

template <float (*WIDEN)(uint16_t), uint16_t (*ROUND)(double)> struct Half {
    uint16_t bits;
    Half() = default;
    template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>> Half(T x) : bits(ROUND(double(x))) {}
    operator float() const { return WIDEN(bits); }
    template <typename T> Half &operator+=(T x) { return *this = float(*this) + float(x); }
    template <typename T> Half &operator-=(T x) { return *this = float(*this) - float(x); }
    template <typename T> Half &operator*=(T x) { return *this = float(*this) * float(x); }
    template <typename T> Half &operator/=(T x) { return *this = float(*this) / float(x); }
};
using __half = Half<half_to_float, float_to_half>;
using __nv_bfloat16 = Half<bfloat_to_float, float_to_bfloat>;
template <typename H> constexpr bool is_half = std::is_same_v<H, __half> || std::is_same_v<H, __nv_bfloat16>;

template <typename H> struct alignas(4) Pair {
    H x, y;
    Pair() = default;
    Pair(H x, H y) : x(x), y(y) {}
    template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>> Pair(T both) : x(both), y(both) {}
};
using __half2 = Pair<__half>;
using __nv_bfloat162 = Pair<__nv_bfloat16>;

#define OPERATOR(op) \
    template <typename H> static Pair<H> operator op(Pair<H> a, Pair<H> b) { return {H(float(a.x) op float(b.x)), H(float(a.y) op float(b.y))}; }
OPERATOR(+) OPERATOR(-) OPERATOR(*) OPERATOR(/)
#undef OPERATOR
template <typename H> static Pair<H> operator-(Pair<H> a) { return {H(-float(a.x)), H(-float(a.y))}; }

// A function of one half, `name`, and of a pair, `pair`, by a function of floats.
#define UNARY(name, pair, of) \
    template <typename H, typename = std::enable_if_t<is_half<H>>> static H name(H a) { const float x = a; return H(of); } \
    template <typename H> static Pair<H> pair(Pair<H> a) { return {name(a.x), name(a.y)}; }
UNARY(hexp, h2exp, expf(x)) UNARY(hlog, h2log, logf(x)) UNARY(hsin, h2sin, sinf(x)) UNARY(hcos, h2cos, cosf(x))
UNARY(htanh, h2tanh, tanhf(x)) UNARY(hsqrt, h2sqrt, sqrtf(x)) UNARY(hrsqrt, h2rsqrt, 1.0 / sqrt(double(x)))
UNARY(hceil, h2ceil, ceilf(x)) UNARY(hfloor, h2floor, floorf(x)) UNARY(htrunc, h2trunc, truncf(x)) UNARY(hrint, h2rint, rintf(x))
UNARY(__habs, __habs2, fabsf(x))
#undef UNARY

#define BINARY(name, pair, of) \
    template <typename H, typename = std::enable_if_t<is_half<H>>> static H name(H a, H b) { const float x = a, y = b; return H(of); } \
    template <typename H> static Pair<H> pair(Pair<H> a, Pair<H> b) { return {name(a.x, b.x), name(a.y, b.y)}; }
BINARY(__hmin, __hmin2, fminf(x, y)) BINARY(__hmax, __hmax2, fmaxf(x, y))
BINARY(__hmin_nan, __hmin2_nan, x != x || y != y ? NAN : fminf(x, y))
BINARY(__hmax_nan, __hmax2_nan, x != x || y != y ? NAN : fmaxf(x, y))
#undef BINARY

template <typename H, typename = std::enable_if_t<is_half<H>>> static H __hfma(H a, H b, H c) { return H(double(float(a)) * double(float(b)) + double(float(c))); }
template <typename H> static Pair<H> __hfma2(Pair<H> a, Pair<H> b, Pair<H> c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }
template <typename H, typename = std::enable_if_t<is_half<H>>> static bool __hisnan(H a) { return float(a) != float(a); }
template <typename H, typename = std::enable_if_t<is_half<H>>> static bool __hisinf(H a) { return fabsf(a) == INFINITY; }

ATOM(add_noftz_f16, __half, atomicAdd) ATOM(min_noftz_f16, __half, atomicMin) ATOM(max_noftz_f16, __half, atomicMax)
ATOM(add_noftz_bf16, __nv_bfloat16, atomicAdd) ATOM(min_noftz_bf16, __nv_bfloat16, atomicMin) ATOM(max_noftz_bf16, __nv_bfloat16, atomicMax)
ATOM(add_noftz_f16x2, __half2, atomicAdd) ATOM(add_noftz_bf16x2, __nv_bfloat162, atomicAdd)
