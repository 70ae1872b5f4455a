//! The gradients of a group normalisation, NHWC.

use super::{
    memory::with_scratch,
    norm::{Normalization, Parameters, coefficients, for_each_range, split},
    pool::Shares,
    simd::{Simd, dispatch, for_lanes, load, silu_derivative, store},
};

/// Where the gradients of a normalisation go.
pub struct Gradients<'a> {
    /// `[n, hw, c]`; always computed.
    pub x: &'a mut [f32],
    /// `[c]`
    pub weight: &'a mut [f32],
    /// `[c]`
    pub bias: &'a mut [f32],
    /// `[n, c]`; empty where the normalisation had none.
    pub shift_before: &'a mut [f32],
    /// `[n, 2 c]`, likewise.
    pub scale_shift: &'a mut [f32],
}

/// The gradients from x, the output gradient and what `forward` kept.
pub fn backward(e: Normalization, x: &[f32], p: Parameters, stats: &[f32], gradient: &[f32], to: Gradients) {
    p.check(&e);
    let (image_len, group) = (e.hw * e.c, e.c / e.groups);
    assert!(x.len() == e.n * image_len && gradient.len() == x.len() && to.x.len() == x.len());
    assert!(stats.len() == e.n * e.groups * 2 && to.weight.len() == e.c && to.bias.len() == e.c);
    let dx = Shares::new(to.x);
    with_scratch(3 * e.n * e.c, |sums| {
        // Per image and channel: the sums over positions of dz, dz * normalised, and normalised.
        let all_sums = Shares::new(sums);
        for_each_range(&e, x.len() * 20, |image, start, width| {
            // SAFETY: this image's and this range's own sums.
            let [d, dn, n] =
                [0, 1, 2].map(|q| unsafe { all_sums.range((q * e.n + image) * e.c + start, width) });
            let stats = &stats[(image * e.groups + start / group) * 2..][..width / group * 2];
            with_scratch(5 * width, |scratch| {
                let [weight, centre, factor, offset, deviation] = split(scratch, width);
                coefficients(&e, &p, image, start, stats, [weight, centre, factor, offset]);
                let groups = centre.chunks_exact_mut(group).zip(deviation.chunks_exact_mut(group));
                for ((centre, deviation), stats) in groups.zip(stats.chunks_exact(2)) {
                    centre.iter_mut().for_each(|centre| *centre *= stats[1]);
                    deviation.fill(stats[1]);
                }
                let at = image * image_len + start;
                // SAFETY: disjoint ranges of channels; lengths as checked above.
                unsafe {
                    let (x, gradient, dx) = (x.as_ptr().add(at), gradient.as_ptr().add(at), dx.at(at));
                    let lines = [&*factor, offset, deviation, centre].map(<[f32]>::as_ptr);
                    let sums = [d.as_mut_ptr(), dn.as_mut_ptr(), n.as_mut_ptr()];
                    gather(x, gradient, dx, [e.hw, e.c, width], lines, e.silu, sums);
                }
                // dx = factor * dz + linear * x + constant, from here on with `deviation` and `offset` for the last
                // two.
                let linear = deviation;
                for (g, stats) in stats.chunks_exact(2).enumerate() {
                    let (channels, r) = (g * group..(g + 1) * group, stats[1]);
                    let weighted = |sums: &[f32]| -> f32 {
                        let terms = weight[channels.clone()].iter().zip(&sums[channels.clone()]);
                        terms.map(|(weight, sum)| weight * sum).sum::<f32>() / (group * e.hw) as f32
                    };
                    let (mean_d, mean_dn) = (weighted(d), weighted(dn));
                    for i in channels.clone() {
                        linear[i] = -r * mean_dn * r;
                        offset[i] = -r * (mean_d + mean_dn * centre[i]);
                        // The sum over positions of dx is the gradient to the shift; replaces the sums of n.
                        n[i] = factor[i] * d[i] - r * (e.hw as f32 * mean_d + mean_dn * n[i]);
                    }
                }
                // SAFETY: as above.
                unsafe {
                    let (x, dx) = (x.as_ptr().add(at), dx.at(at));
                    let lines = [&*factor, linear, offset].map(<[f32]>::as_ptr);
                    combine(x, dx, [e.hw, e.c, width], lines);
                }
            });
        });
        let (d, rest) = sums.split_at(e.n * e.c);
        let (dn, shift_before) = rest.split_at(e.n * e.c);
        parameter_gradients(&e, &p, d, dn, to.weight, to.bias, to.scale_shift);
        if !to.shift_before.is_empty() {
            to.shift_before.copy_from_slice(shift_before);
        }
    });
}

/// Sums over images, in order.
fn parameter_gradients(
    e: &Normalization,
    p: &Parameters,
    d: &[f32],
    dn: &[f32],
    weight: &mut [f32],
    bias: &mut [f32],
    scale_shift: &mut [f32],
) {
    weight.fill(0.0);
    bias.fill(0.0);
    for image in 0..e.n {
        for i in 0..e.c {
            let at = image * e.c + i;
            let of_scale = image * 2 * e.c + i;
            let factor = p.scale_shift.map_or(1.0, |both| 1.0 + both[of_scale]);
            weight[i] += dn[at] * factor;
            bias[i] += d[at] * factor;
            if !scale_shift.is_empty() {
                scale_shift[of_scale] = dn[at] * p.weight[i] + d[at] * p.bias[i];
                scale_shift[of_scale + e.c] = d[at];
            }
        }
    }
}

dispatch!(
    /// First pass: dz into `dx`, and the sums over positions of dz, dz * normalised, and normalised. `lines`: factor
    /// and offset of y before SiLU, factor and offset of the normalised values.
    unsafe fn gather<V: Simd>(
        x: *const f32,
        gradient: *const f32,
        dx: *mut f32,
        extents: [usize; 3],
        lines: [*const f32; 4],
        silu: bool,
        sums: [*mut f32; 3],
    ) {
        let [hw, stride, width] = extents;
        for_lanes!(V, width, |i, count| {
            let [factor, offset, deviation, centre]: [V; 4] = lines.map(|line| load(line.add(i), count));
            let zero = V::splat(0.0);
            let (mut d_sum, mut dn_sum, mut n_sum) = (zero, zero, zero);
            for p in 0..hw {
                let x: V = load(x.add(p * stride + i), count);
                let mut d: V = load(gradient.add(p * stride + i), count);
                if silu {
                    d = d.mul(silu_derivative(x.mul_add(factor, offset)));
                }
                store(d, dx.add(p * stride + i), count);
                let normalised = x.mul_add(deviation, centre);
                d_sum = d_sum.add(d);
                dn_sum = d.mul_add(normalised, dn_sum);
                n_sum = n_sum.add(normalised);
            }
            for (to, sum) in sums.into_iter().zip([d_sum, dn_sum, n_sum]) {
                sum.store_part(to.add(i), count);
            }
        });
    }
);

dispatch!(
    /// Second pass: dx = dz * factor + x * linear + constant.
    unsafe fn combine<V: Simd>(x: *const f32, dx: *mut f32, extents: [usize; 3], lines: [*const f32; 3]) {
        let [hw, stride, width] = extents;
        let [factor, linear, constant] = lines;
        for p in 0..hw {
            let (x, dx) = (x.add(p * stride), dx.add(p * stride));
            for_lanes!(V, width, |i, count| {
                let rest = load::<V>(x.add(i), count)
                    .mul_add(load(linear.add(i), count), load(constant.add(i), count));
                let sum = load::<V>(dx.add(i), count).mul_add(load(factor.add(i), count), rest);
                store(sum, dx.add(i), count);
            });
        }
    }
);
