//! Adam's update, interpolation and sums of squares, each in one pass over memory.

use std::ops::Range;

use super::{
    elementwise::{in_parts, in_slices},
    pool::Shares,
    simd::{Simd, dispatch, for_lanes, load, store},
};

/// The constants of one step.
#[derive(Clone, Copy)]
pub struct Constants {
    /// Decay of the first moment, and one minus it.
    pub beta1: [f32; 2],
    /// Decay of the second moment, and one minus it.
    pub beta2: [f32; 2],
    /// Learning rate over the first moment's bias correction.
    pub step: f32,
    /// Root of the second moment's bias correction.
    pub root_correction: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
}

/// Updates the values of parameter and moments that are in `run`, in place.
pub fn adam(
    parameter: &mut [f32],
    moment1: &mut [f32],
    moment2: &mut [f32],
    gradient: &[f32],
    run: Range<usize>,
    constants: Constants,
) {
    let len = parameter.len();
    assert!(moment1.len() == len && moment2.len() == len && gradient.len() == len);
    assert!(run.start <= run.end && run.end <= len, "a run within {len} values");
    let [parameter, moment1, moment2] = [parameter, moment1, moment2].map(Shares::new);
    in_parts(run.len(), 7, |start, len| {
        let start = run.start + start;
        // SAFETY: parts are disjoint, lengths as just checked.
        unsafe {
            let gradient = gradient.as_ptr().add(start);
            adam_raw(parameter.at(start), moment1.at(start), moment2.at(start), gradient, len, constants);
        }
    });
}

dispatch!(
    unsafe fn adam_raw<V: Simd>(
        parameter: *mut f32,
        moment1: *mut f32,
        moment2: *mut f32,
        gradient: *const f32,
        len: usize,
        constants: Constants,
    ) {
        let Constants { beta1, beta2, step, root_correction, eps } = constants;
        for_lanes!(V, len, |i, count| {
            let g = load::<V>(gradient.add(i), count);
            let m = V::splat(beta1[0]).mul_add(load(moment1.add(i), count), g.mul(V::splat(beta1[1])));
            let v = V::splat(beta2[0]).mul_add(load(moment2.add(i), count), g.mul(g).mul(V::splat(beta2[1])));
            let denominator = v.sqrt().div(V::splat(root_correction)).add(V::splat(eps));
            let update = m.mul(V::splat(step)).div(denominator);
            store(load::<V>(parameter.add(i), count).sub(update), parameter.add(i), count);
            store(m, moment1.add(i), count);
            store(v, moment2.add(i), count);
        });
    }
);

/// from += (to - from) * weight.
pub fn lerp(from: &mut [f32], to: &[f32], weight: f32) {
    in_slices([to], from, 3, |_, [to], from| {
        // SAFETY: slices of one length.
        unsafe { lerp_raw(from.as_mut_ptr(), to.as_ptr(), weight, from.len()) }
    });
}

dispatch!(
    unsafe fn lerp_raw<V: Simd>(from: *mut f32, to: *const f32, weight: f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            let a = load::<V>(from.add(i), count);
            let b = load::<V>(to.add(i), count);
            store(b.sub(a).mul_add(V::splat(weight), a), from.add(i), count);
        });
    }
);

/// The sum of squares of at most a part, in an order that depends on the length alone.
pub(super) fn square_sum_of(part: &[f32]) -> f32 {
    let mut sum = 0.0;
    // SAFETY: one number.
    unsafe { square_sum_raw(part.as_ptr(), part.len(), &raw mut sum) };
    sum
}

dispatch!(
    unsafe fn square_sum_raw<V: Simd>(x: *const f32, len: usize, sum: *mut f32) {
        let mut sums = [V::splat(0.0); 4];
        for_lanes!(V, len, |i, count| {
            let x = load::<V>(x.add(i), count);
            let at = i / V::LANES % 4;
            sums[at] = x.mul_add(x, sums[at]);
        });
        let [a, b, c, d] = sums;
        *sum = a.add(b).add(c.add(d)).sum();
    }
);
