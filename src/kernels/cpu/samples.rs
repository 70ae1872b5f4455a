//! Arrays of samples, each with numbers of its own: weighted sums of them, NaN in them.

use super::{
    elementwise::in_rows,
    pool::Shares,
    simd::{Simd, dispatch, for_lanes, load, store},
};

/// Runs `f(sample, its values in the inputs, its values in the output)` for each of the `samples` of arrays of one length.
pub(super) fn by_sample<const N: usize>(
    inputs: [&[f32]; N],
    out: &mut [f32],
    samples: usize,
    f: impl Fn(usize, [&[f32]; N], &mut [f32]) + Sync,
) {
    assert!(inputs.iter().all(|input| input.len() == out.len()));
    let width = width(out.len(), samples);
    let shares = Shares::new(out);
    in_rows(shares.len(), width, N + 1, |first, rows| {
        for sample in first..first + rows {
            // SAFETY: samples are disjoint.
            let out = unsafe { shares.range(sample * width, width) };
            f(sample, inputs.map(|input| &input[sample * width..][..width]), out);
        }
    });
}

/// Values of each of so many samples.
fn width(len: usize, samples: usize) -> usize {
    assert!(samples > 0 && len > 0 && len.is_multiple_of(samples), "{len} values are not {samples} samples");
    len / samples
}

/// Every sample times its weight.
pub fn scale(x: &[f32], weights: &[f32], out: &mut [f32]) {
    by_sample([x], out, weights.len(), |sample, [x], out| {
        // SAFETY: slices of one length.
        unsafe { scale_raw(x.as_ptr(), weights[sample], out.as_mut_ptr(), out.len()) }
    });
}

dispatch!(
    unsafe fn scale_raw<V: Simd>(x: *const f32, weight: f32, out: *mut f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            store(load::<V>(x.add(i), count).mul(V::splat(weight)), out.add(i), count);
        });
    }
);

/// `a * weights_a + b * weights_b`, every sample with weights of its own; without `weights_a` they are 1. Products are
/// rounded before they are added.
pub fn blend(a: &[f32], weights_a: Option<&[f32]>, b: &[f32], weights_b: &[f32], out: &mut [f32]) {
    by_sample([a, b], out, weights_b.len(), |sample, [a, b], out| {
        let weights = [weights_a.map_or(1.0, |weights| weights[sample]), weights_b[sample]];
        // SAFETY: slices of one length.
        unsafe { blend_raw([a.as_ptr(), b.as_ptr()], weights, out.as_mut_ptr(), out.len()) }
    });
}

dispatch!(
    unsafe fn blend_raw<V: Simd>(inputs: [*const f32; 2], weights: [f32; 2], out: *mut f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            let [a, b] = inputs.map(|input| load::<V>(input.add(i), count));
            let sum = a.mul(V::splat(weights[0])).add(b.mul(V::splat(weights[1])));
            store(sum, out.add(i), count);
        });
    }
);

/// Sets the mark of every sample that has a NaN to 1, and leaves the others.
pub fn mark_nan(x: &[f32], marks: &mut [f32]) {
    let width = width(x.len(), marks.len());
    for (mark, sample) in marks.iter_mut().zip(x.chunks_exact(width)) {
        // Without a way out the compiler makes vectors of it.
        if sample.iter().fold(false, |any, value| any | value.is_nan()) {
            *mark = 1.0;
        }
    }
}

/// Unmarked samples as they are, marked ones as zeros.
pub fn only(x: &[f32], marks: &[f32], out: &mut [f32]) {
    by_sample([x], out, marks.len(), |sample, [x], out| {
        if marks[sample] == 0.0 { out.copy_from_slice(x) } else { out.fill(0.0) }
    });
}
