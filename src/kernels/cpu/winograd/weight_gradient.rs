//! The gradient to the weights of a 3x3 convolution.

use super::{
    super::{
        gemm::{Product, multiply_transposed_a},
        pool::{self, Shares, with_scratch},
        simd::{Simd, dispatch, for_lanes},
    },
    Extents, SKEW, tiles,
    transform::{Transform, WeightGradient},
};

/// dw `[k, c, 3, 3]` from x `[n, h, w, c]` and the output gradient `[n, h, w, k]`.
pub(crate) fn weight_gradient(e: Extents, x: &[f32], gradient: &[f32], dw: &mut [f32]) {
    if e.prefers_large_tiles() {
        tiled::<6>(e, x, gradient, dw);
    } else {
        tiled::<4>(e, x, gradient, dw);
    }
}

fn tiled<const N: usize>(e: Extents, x: &[f32], gradient: &[f32], dw: &mut [f32]) {
    assert_eq!(x.len(), e.n * e.h * e.w * e.c);
    assert_eq!(gradient.len(), e.n * e.h * e.w * e.k);
    assert_eq!(dw.len(), 9 * e.c * e.k);
    let total = e.all_tiles(N - 2);
    let plan = Plan::new::<N>(&e, total);
    let sum_len = N * N * e.c * e.k;
    with_scratch(plan.slices * sum_len, |sums| {
        let shares = Shares::new(sums);
        pool::for_each(plan.slices, 2 * total * sum_len, |slice| {
            let (from, to) = ((slice * plan.slice).min(total), ((slice + 1) * plan.slice).min(total));
            // SAFETY: one slice, one part.
            let sum = unsafe { shares.range(slice * sum_len, sum_len) };
            if from == to {
                sum.fill(0.0);
            }
            with_scratch(e.c.max(e.k) + N * N * (plan.batch * (e.c + e.k) + 2 * SKEW), |scratch| {
                for start in (from..to).step_by(plan.batch) {
                    let end = (start + plan.batch).min(to);
                    // SAFETY: `sum` is this part's own; all lengths were checked above.
                    unsafe {
                        let (x, gradient, scratch) = (x.as_ptr(), gradient.as_ptr(), scratch.as_mut_ptr());
                        some_tiles::<N>(e, x, gradient, sum.as_mut_ptr(), start == from, start, end, scratch);
                    }
                }
            });
        });
        finish::<N>(&e, sums, plan.slices, dw);
    });
}

/// How the sum over tiles is split. It depends on the extents alone, never on the number of threads, so the
/// result is the same to the bit for any.
struct Plan {
    /// Independent partial sums.
    slices: usize,
    /// Tiles per slice.
    slice: usize,
    /// Tiles transformed at a time.
    batch: usize,
}

impl Plan {
    fn new<const N: usize>(e: &Extents, total: usize) -> Self {
        const CACHE: usize = 512 * 1024 / size_of::<f32>();
        const SUMS: usize = 32 * 1024 * 1024 / size_of::<f32>();
        // The sums are read and written once per batch: with many channels, small batches would move more
        // memory than they compute.
        let least = if e.c * e.k > 32 * 1024 { 128 } else { 32 };
        let batch = ((CACHE / (N * N * (e.c + e.k))).clamp(8, 128) & !7).max(least);
        let slices = (SUMS / (N * N * e.c * e.k)).clamp(2, 16).min(total.div_ceil(32)).max(1);
        let slice = total.div_ceil(slices);
        // Batches of equal size within a slice.
        let batch = slice.div_ceil(slice.div_ceil(batch));
        Self { slices, slice, batch }
    }
}

/// `sums[element][k][c]` (+)= the products of the tiles `from..to`.
#[inline(always)]
unsafe fn some_tiles_body<V: Simd, const N: usize>(
    e: Extents,
    x: *const f32,
    gradient: *const f32,
    sums: *mut f32,
    first: bool,
    from: usize,
    to: usize,
    scratch: *mut f32,
) {
    let count = to - from;
    let (zero, inputs) = (scratch, scratch.add(e.c.max(e.k)));
    let (input_plane, gradient_plane) = (count * e.c + SKEW, count * e.k + SKEW);
    let gradients = inputs.add(N * N * input_plane);
    std::slice::from_raw_parts_mut(zero, e.c.max(e.k)).fill(0.0);
    tiles::input::<V, N>(&e, x, (from, to), inputs, input_plane, zero);
    tiles::output_gradient::<V, N>(&e, gradient, (from, to), gradients, gradient_plane, zero);
    for element in 0..N * N {
        let product = Product::plain(
            [e.k, e.c, count],
            (gradients.add(element * gradient_plane), e.k),
            (inputs.add(element * input_plane), e.c),
            (sums.add(element * e.c * e.k), e.c),
        );
        multiply_transposed_a(if first { product } else { product.accumulate() });
    }
}
dispatch!(fn some_tiles<const N: usize>(e: Extents, x: *const f32, gradient: *const f32, sums: *mut f32, first: bool, from: usize, to: usize, scratch: *mut f32) = some_tiles_body);

/// Adds up the slices in order and transforms back.
fn finish<const N: usize>(e: &Extents, sums: &[f32], slices: usize, dw: &mut [f32]) {
    let shares = Shares::new(dw);
    let rows = e.k.div_ceil(8);
    let (c, k) = (e.c, e.k);
    pool::for_each(8, slices * N * N * c * k, |part| {
        let (from, to) = ((part * rows).min(k), ((part + 1) * rows).min(k));
        // SAFETY: parts are disjoint ranges of k; `sums` holds all slices, `dw` was checked by the caller.
        unsafe { finish_rows::<N>(c, k, sums.as_ptr(), slices, shares.at(0), from, to) }
    });
}

#[inline(always)]
unsafe fn finish_rows_body<V: Simd, const N: usize>(
    c: usize,
    k: usize,
    sums: *const f32,
    slices: usize,
    dw: *mut f32,
    from: usize,
    to: usize,
) {
    let mut spread = [0.0f32; 16];
    for row in from..to {
        for_lanes!(V, c, |column, count| {
            let mut tile = [[V::splat(0.0); 6]; 6];
            for slice in 0..slices {
                for i in 0..N {
                    for j in 0..N {
                        let from = sums.add(((slice * N * N + i * N + j) * k + row) * c + column);
                        let value = if count == V::LANES { V::load(from) } else { V::load_part(from, count) };
                        tile[i][j] = tile[i][j].add(value);
                    }
                }
            }
            let tile = WeightGradient::<N>::tile(tile);
            for tap in 0..9 {
                tile[tap / 3][tap % 3].store(spread.as_mut_ptr());
                for (lane, value) in spread.iter().enumerate().take(count) {
                    *dw.add((row * c + column + lane) * 9 + tap) = *value;
                }
            }
        });
    }
}
dispatch!(fn finish_rows<const N: usize>(c: usize, k: usize, sums: *const f32, slices: usize, dw: *mut f32, from: usize, to: usize) = finish_rows_body);
