//! Operations bound by memory: weighted sums, concatenation, SiLU.

use super::{
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes, load, sigmoid, silu_derivative, store},
};

/// Elements that one part takes.
pub(super) const PART: usize = 32 * 1024;

/// Runs `f(start, len)` over `0..len` in parts; `arrays` is how many arrays of f32 it moves.
pub(super) fn in_parts(len: usize, arrays: usize, f: impl Fn(usize, usize) + Sync) {
    pool::for_each(len.div_ceil(PART), len * arrays * 4, |part| f(part * PART, PART.min(len - part * PART)));
}

/// Runs `f(start, inputs, outputs)` over parts of arrays of one length.
pub(super) fn in_slices<const N: usize>(
    inputs: [&[f32]; N],
    out: &mut [f32],
    arrays: usize,
    f: impl Fn(usize, [&[f32]; N], &mut [f32]) + Sync,
) {
    assert!(inputs.iter().all(|input| input.len() == out.len()));
    let shares = Shares::new(out);
    in_parts(shares.len(), arrays, |start, len| {
        // SAFETY: parts are disjoint.
        let out = unsafe { shares.range(start, len) };
        f(start, inputs.map(|input| &input[start..][..len]), out);
    });
}

/// Runs `f(first row, rows)` over the rows of `width` that `len` elements are, in parts of about as many elements.
pub(super) fn in_rows(len: usize, width: usize, arrays: usize, f: impl Fn(usize, usize) + Sync) {
    let rows = len / width;
    let per_part = (PART / width).max(1);
    pool::for_each(rows.div_ceil(per_part), len * arrays * 4, |part| {
        let first = part * per_part;
        f(first, per_part.min(rows - first));
    });
}

/// `out = a * weight_a + b * weight_b`; returns the largest magnitude in it, NaN aside.
pub fn weighted_sum(a: &[f32], weight_a: f32, b: &[f32], weight_b: f32, out: &mut [f32]) -> f32 {
    let mut largest = vec![0.0; out.len().div_ceil(PART)];
    let of_parts = Shares::new(&mut largest);
    in_slices([a, b], out, 3, |start, [a, b], out| {
        let (inputs, weights) = ([a, b].map(<[f32]>::as_ptr), [weight_a, weight_b]);
        // SAFETY: slices of one length; one part, one maximum.
        unsafe {
            weighted_sum_raw(inputs, weights, out.as_mut_ptr(), out.len(), of_parts.at(start / PART));
        }
    });
    largest.into_iter().fold(0.0, f32::max)
}

dispatch!(
    unsafe fn weighted_sum_raw<V: Simd>(
        inputs: [*const f32; 2],
        weights: [f32; 2],
        out: *mut f32,
        len: usize,
        largest: *mut f32,
    ) {
        // Equal weights: one rounding less, and what PyTorch's `(a + b) * weight` computes.
        let equal = weights[0].to_bits() == weights[1].to_bits();
        let mut maxima = V::splat(0.0);
        for_lanes!(V, len, |i, count| {
            let [a, b] = inputs.map(|input| load::<V>(input.add(i), count));
            let sum = if equal {
                a.add(b).mul(V::splat(weights[0]))
            } else {
                a.mul_add(V::splat(weights[0]), b.mul(V::splat(weights[1])))
            };
            // In this order a NaN leaves the maxima alone.
            maxima = V::splat(0.0).sub(sum).max(sum.max(maxima));
            store(sum, out.add(i), count);
        });
        *largest = maxima.largest();
    }
);

/// Values beyond +-limit are held there; NaN stays NaN.
pub fn hold(x: &[f32], limit: f32, out: &mut [f32]) {
    map(x, out, |_, x| x.clamp(-limit, limit));
}

/// The gradient where x is within +-limit, zero elsewhere.
pub fn within(x: &[f32], limit: f32, gradient: &[f32], dx: &mut [f32]) {
    assert_eq!(gradient.len(), x.len());
    map(x, dx, |i, x| if x.abs() > limit { 0.0 } else { gradient[i] });
}

/// The larger of x and 0; NaN stays NaN.
pub fn relu(x: &[f32], out: &mut [f32]) {
    map(x, out, |_, x| if x < 0.0 { 0.0 } else { x });
}

/// The gradient where x is above 0, zero elsewhere.
pub fn relu_gradient(x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    assert_eq!(gradient.len(), x.len());
    map(x, dx, |i, x| if x > 0.0 { gradient[i] } else { 0.0 });
}

/// `out[i] = f(i, x[i])`, in plain Rust: for what is bound by memory or rare.
fn map(x: &[f32], out: &mut [f32], f: impl Fn(usize, f32) -> f32 + Sync) {
    in_slices([x], out, 3, |start, [x], out| {
        for (i, (out, x)) in out.iter_mut().zip(x).enumerate() {
            *out = f(start + i, *x);
        }
    });
}

/// out = x * weight.
pub fn scale(x: &[f32], weight: f32, out: &mut [f32]) {
    in_slices([x], out, 2, |_, [x], out| {
        // SAFETY: slices of one length.
        unsafe { scale_raw(x.as_ptr(), weight, out.as_mut_ptr(), out.len()) }
    });
}

dispatch!(
    unsafe fn scale_raw<V: Simd>(x: *const f32, weight: f32, out: *mut f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            store(load::<V>(x.add(i), count).mul(V::splat(weight)), out.add(i), count);
        });
    }
);

/// One side of a concatenation along the last axis: some columns of every row of a wide array are the rows of a narrow
/// one, times a weight.
#[derive(Clone, Copy)]
pub struct Columns {
    /// Columns of the wide array.
    pub wide: usize,
    /// The first of those meant.
    pub offset: usize,
    /// How many they are: the columns of the narrow array.
    pub width: usize,
    /// What the narrow array is multiplied by; its gradient, too.
    pub weight: f32,
}

/// Writes `narrow` `[rows, columns]` into its columns of `wide` `[rows, wide]`.
pub fn put_columns(narrow: &[f32], wide: &mut [f32], at: Columns) {
    assert!(wide.len().is_multiple_of(at.wide) && at.offset + at.width <= at.wide);
    assert_eq!(narrow.len() / at.width, wide.len() / at.wide);
    let to = Shares::new(wide);
    in_rows(narrow.len(), at.width, 2, |row, rows| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let from = narrow.as_ptr().add(row * at.width);
            copy_raw(from, at.width, to.at(row * at.wide + at.offset), at.wide, rows, at.width, at.weight);
        }
    });
}

/// Reads `narrow` `[rows, columns]` out of its columns of `wide` `[rows, wide]`.
pub fn take_columns(wide: &[f32], narrow: &mut [f32], at: Columns) {
    assert!(wide.len().is_multiple_of(at.wide) && at.offset + at.width <= at.wide);
    assert_eq!(narrow.len() / at.width, wide.len() / at.wide);
    let len = narrow.len();
    let to = Shares::new(narrow);
    in_rows(len, at.width, 2, |row, rows| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let from = wide.as_ptr().add(row * at.wide + at.offset);
            copy_raw(from, at.wide, to.at(row * at.width), at.width, rows, at.width, at.weight);
        }
    });
}

dispatch!(
    unsafe fn copy_raw<V: Simd>(
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
        rows: usize,
        columns: usize,
        weight: f32,
    ) {
        for row in 0..rows {
            let (from, to) = (from.add(row * from_stride), to.add(row * to_stride));
            for_lanes!(V, columns, |i, count| {
                store(load::<V>(from.add(i), count).mul(V::splat(weight)), to.add(i), count);
            });
        }
    }
);

/// out = x * sigmoid(x).
pub fn silu(x: &[f32], out: &mut [f32]) {
    in_slices([x], out, 4, |_, [x], out| {
        // SAFETY: slices of one length.
        unsafe { silu_raw(x.as_ptr(), out.as_mut_ptr(), out.len()) }
    });
}

dispatch!(
    unsafe fn silu_raw<V: Simd>(x: *const f32, out: *mut f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            let x = load::<V>(x.add(i), count);
            store(x.mul(sigmoid(x)), out.add(i), count);
        });
    }
);

/// dx = gradient * silu'(x).
pub fn silu_gradient(x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    in_slices([x, gradient], dx, 5, |_, [x, gradient], dx| {
        // SAFETY: slices of one length.
        unsafe { silu_gradient_raw(x.as_ptr(), gradient.as_ptr(), dx.as_mut_ptr(), dx.len()) }
    });
}

dispatch!(
    unsafe fn silu_gradient_raw<V: Simd>(x: *const f32, gradient: *const f32, dx: *mut f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            let derivative = silu_derivative(load::<V>(x.add(i), count));
            store(load::<V>(gradient.add(i), count).mul(derivative), dx.add(i), count);
        });
    }
);
