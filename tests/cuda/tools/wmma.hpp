// Tensor cores (`nvcuda::wmma`). Every thread of a warp keeps A and B whole, and its share of an accumulator in a row: where
// elements lie is nobody's business on the hardware either. Sums are floats in the order of k, from which tensor cores
// differ in the last digits.
#pragma once
#include <type_traits>

namespace nvcuda::wmma {
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
namespace precision {
struct tf32 {};
}
enum layout_t { mem_row_major, mem_col_major };

template <typename Use, int M, int N, int K, typename T, typename Layout = void> struct fragment {
    using element_type = std::conditional_t<std::is_same_v<T, precision::tf32>, float, T>;
    static constexpr bool shared_out = std::is_same_v<Use, accumulator>;
    static constexpr int rows = std::is_same_v<Use, matrix_b> ? K : M, columns = std::is_same_v<Use, matrix_a> ? K : N;
    static constexpr int num_elements = rows * columns / (shared_out ? warpSize : 1);
    element_type x[num_elements];
    static int place(int i) { return shared_out ? int(own_place() % warpSize) * num_elements + i : i; }
};

// To ten bits, ties away from zero (cvt.rna.tf32).
static inline float __float_to_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits >> 23 & 255) != 255) bits = (bits + 0x1000) & ~0x1fffu;
    memcpy(&x, &bits, 4);
    return x;
}

// As a tensor core reads it: of a float that nobody rounded it ignores the low bits.
template <typename T, typename E> static auto operand(E element) {
    if constexpr (std::is_same_v<T, precision::tf32>) {
        uint32_t bits;
        memcpy(&bits, &element, 4);
        bits &= ~0x1fffu;
        memcpy(&element, &bits, 4);
        return element;
    } else if constexpr (std::is_integral_v<E>) return int(element);
    else if constexpr (std::is_same_v<E, double>) return element;
    else return float(element);
}

template <typename F, typename V> static void fill_fragment(F &to, V value) {
    for (auto &x : to.x) x = value;
}

// Loads and stores are the warp's: nobody goes on before all have come.
template <typename F, typename P> static void load(F &to, const P *from, unsigned stride, bool rows) {
    wait_for(WARP);
    for (int i = 0; i < F::num_elements; i++) {
        const int place = F::place(i), row = place / F::columns, column = place % F::columns;
        to.x[i] = from[rows ? row * stride + column : column * stride + row];
    }
    wait_for(WARP);
}
template <typename U, int M, int N, int K, typename T, typename L, typename P>
static void load_matrix_sync(fragment<U, M, N, K, T, L> &to, const P *from, unsigned stride) {
    load(to, from, stride, std::is_same_v<L, row_major>);
}
template <int M, int N, int K, typename T, typename P>
static void load_matrix_sync(fragment<accumulator, M, N, K, T> &to, const P *from, unsigned stride, layout_t layout) {
    load(to, from, stride, layout == mem_row_major);
}
template <int M, int N, int K, typename T, typename P>
static void store_matrix_sync(P *to, const fragment<accumulator, M, N, K, T> &from, unsigned stride, layout_t layout) {
    wait_for(WARP);
    for (int i = 0; i < from.num_elements; i++) {
        const int place = from.place(i), row = place / N, column = place % N;
        to[layout == mem_row_major ? row * stride + column : column * stride + row] = from.x[i];
    }
    wait_for(WARP);
}

template <int M, int N, int K, typename D, typename T, typename LA, typename LB, typename C>
static void mma_sync(fragment<accumulator, M, N, K, D> &to, const fragment<matrix_a, M, N, K, T, LA> &a,
                     const fragment<matrix_b, M, N, K, T, LB> &b, const fragment<accumulator, M, N, K, C> &c) {
    for (int i = 0; i < to.num_elements; i++) {
        const int place = to.place(i), row = place / N, column = place % N;
        auto sum = operand<C>(c.x[i]);
        for (int k = 0; k < K; k++) sum += operand<T>(a.x[row * K + k]) * operand<T>(b.x[k * N + column]);
        to.x[i] = sum;
    }
}
}  // namespace nvcuda::wmma
