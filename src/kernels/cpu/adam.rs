//! Adam's update, interpolation and sums of squares, each in one pass over memory.

use super::{
    elementwise::{PART, in_parts, in_slices},
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

/// Updates parameter and moments in place.
pub fn adam(
    parameter: &mut [f32],
    moment1: &mut [f32],
    moment2: &mut [f32],
    gradient: &[f32],
    constants: Constants,
) {
    let len = parameter.len();
    assert!(moment1.len() == len && moment2.len() == len && gradient.len() == len);
    let [parameter, moment1, moment2] = [parameter, moment1, moment2].map(Shares::new);
    in_parts(len, 7, |start, len| {
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

/// The sum of squares, in an order that depends on the length alone.
pub fn square_sum(x: &[f32]) -> f32 {
    let mut sums = vec![0.0; x.len().div_ceil(PART)];
    let shares = Shares::new(&mut sums);
    in_parts(x.len(), 1, |start, len| {
        // SAFETY: parts are disjoint.
        unsafe { square_sum_raw(x.as_ptr().add(start), len, shares.at(start / PART)) }
    });
    sums.iter().sum()
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
