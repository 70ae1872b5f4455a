//! Dense layers, which are also the convolutions of one pixel: y = x W^T + b.

use super::{
    gemm::{Product, multiply, multiply_transposed_a, pack, pack_transposed, packed_len},
    memory::with_scratch,
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes, load},
};

/// Rows of x that one part takes.
const ROWS: usize = 64;
/// Rows that a sum over rows takes at a time.
const BATCH: usize = 128;

/// y `[m, k]` = x `[m, c]` * weight `[k, c]` transposed + bias.
pub fn forward([m, c, k]: [usize; 3], x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    assert!(x.len() == m * c && weight.len() == k * c && y.len() == m * k);
    assert!(bias.is_none_or(|bias| bias.len() == k));
    with_scratch(packed_len(c, k), |packed| {
        pack_transposed(weight, c, k, packed);
        by_rows([m, c, k], x, packed, bias, y);
    });
}

/// dx `[m, c]` = output gradient `[m, k]` * weight `[k, c]`.
pub fn input_gradient([m, c, k]: [usize; 3], gradient: &[f32], weight: &[f32], dx: &mut [f32]) {
    assert!(gradient.len() == m * k && weight.len() == k * c && dx.len() == m * c);
    with_scratch(packed_len(k, c), |packed| {
        pack(weight, k, c, packed);
        by_rows([m, k, c], gradient, packed, None, dx);
    });
}

/// y `[m, columns]` = x `[m, inner]` * packed + bias.
fn by_rows([m, inner, columns]: [usize; 3], x: &[f32], packed: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let shares = Shares::new(y);
    pool::for_each(m.div_ceil(ROWS), 2 * m * inner * columns, |part| {
        let first = part * ROWS;
        let rows = ROWS.min(m - first);
        // SAFETY: parts write disjoint rows; the callers checked all lengths.
        unsafe {
            let product = Product::packed(
                [rows, columns, inner],
                (x.as_ptr().add(first * inner), inner),
                packed.as_ptr(),
                (shares.at(first * columns), columns),
            );
            multiply(product.starting_from(bias));
        }
    });
}

/// dw `[k, c]` = output gradient `[m, k]` transposed * x `[m, c]`.
pub fn weight_gradient([m, c, k]: [usize; 3], x: &[f32], gradient: &[f32], dw: &mut [f32]) {
    assert!(x.len() == m * c && gradient.len() == m * k && dw.len() == k * c);
    // Rows are summed in batches within slices; both depend on the extents alone, so the result does not depend
    // on the number of threads.
    let slices = m.div_ceil(BATCH).min(16).min((4 << 20) / (c * k)).max(1);
    let slice = m.div_ceil(slices);
    with_scratch(if slices == 1 { 0 } else { slices * c * k }, |sums| {
        let shares = Shares::new(if slices == 1 { &mut *dw } else { sums });
        pool::for_each(slices, 2 * m * c * k, |part| {
            let (from, to) = ((part * slice).min(m), ((part + 1) * slice).min(m));
            // SAFETY: one slice, one part.
            let sum = unsafe { shares.range(part * c * k, c * k) };
            if from == to {
                sum.fill(0.0);
            }
            for start in (from..to).step_by(BATCH) {
                // SAFETY: within the lengths checked above.
                unsafe {
                    let product = Product::plain(
                        [k, c, BATCH.min(to - start)],
                        (gradient.as_ptr().add(start * k), k),
                        (x.as_ptr().add(start * c), c),
                        (sum.as_mut_ptr(), c),
                    );
                    multiply_transposed_a(if start == from { product } else { product.accumulate() });
                }
            }
        });
        if slices > 1 {
            add_slices(sums, dw);
        }
    });
}

/// total = the sum of the slices, in order; in parallel over elements.
fn add_slices(slices: &[f32], total: &mut [f32]) {
    const PART: usize = 4096;
    let len = total.len();
    let shares = Shares::new(total);
    pool::for_each(len.div_ceil(PART), slices.len() * 4, |part| {
        let start = part * PART;
        // SAFETY: parts are disjoint ranges.
        let total = unsafe { shares.range(start, PART.min(len - start)) };
        for (i, slice) in slices.chunks_exact(len).enumerate() {
            let slice = &slice[start..][..total.len()];
            if i == 0 {
                total.copy_from_slice(slice);
            } else {
                total.iter_mut().zip(slice).for_each(|(total, value)| *total += value);
            }
        }
    });
}

/// Sums over rows: out `[columns]` = the sum of x `[rows, columns]`, in an order that depends on the extents alone.
pub fn column_sums(x: &[f32], columns: usize, out: &mut [f32]) {
    assert_eq!(out.len(), columns);
    let rows = x.len() / columns.max(1);
    let slices = rows.div_ceil(4 * BATCH).clamp(1, 32);
    if slices == 1 {
        return add_rows(x, columns, out);
    }
    let slice = rows.div_ceil(slices);
    with_scratch(slices * columns, |sums| {
        let shares = Shares::new(sums);
        pool::for_each(slices, x.len(), |part| {
            let (from, to) = ((part * slice).min(rows), ((part + 1) * slice).min(rows));
            // SAFETY: one slice, one part.
            let sum = unsafe { shares.range(part * columns, columns) };
            add_rows(&x[from * columns..to * columns], columns, sum);
        });
        add_rows(sums, columns, out);
    });
}

/// out `[columns]` = the sum of x `[rows, columns]` over rows, on this thread.
pub(crate) fn add_rows(x: &[f32], columns: usize, out: &mut [f32]) {
    assert!(out.len() == columns && x.len().is_multiple_of(columns.max(1)));
    // SAFETY: lengths as just checked.
    unsafe { add_rows_raw(x.as_ptr(), x.len() / columns.max(1), columns, out.as_mut_ptr()) }
}

dispatch!(
    unsafe fn add_rows_raw<V: Simd>(x: *const f32, rows: usize, columns: usize, out: *mut f32) {
        for_lanes!(V, columns, |column, count| {
            // Four sums at a time hide the latency of an addition.
            let mut sums = [V::splat(0.0); 4];
            for row in 0..rows {
                let from = x.add(row * columns + column);
                let value = load(from, count);
                sums[row % 4] = sums[row % 4].add(value);
            }
            sums[0].add(sums[1]).add(sums[2].add(sums[3])).store_part(out.add(column), count);
        });
    }
);
