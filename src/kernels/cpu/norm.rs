//! Group normalisation with what surrounds it, NHWC.

use super::{
    elementwise::silu_derivative,
    pool::{self, Shares, with_scratch},
    simd::{Simd, dispatch, for_lanes, sigmoid},
};

/// Extents of one group normalisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// Images.
    pub(crate) n: usize,
    /// Positions of an image.
    pub(crate) hw: usize,
    /// Channels.
    pub(crate) c: usize,
    /// Groups; divides the channels.
    pub(crate) groups: usize,
    /// Added to the variance.
    pub(crate) eps: f32,
    /// Whether a SiLU follows.
    pub(crate) silu: bool,
}

/// What a normalisation is given besides x: `[c]`, and `[n, c]` where given.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) shift_before: Option<&'a [f32]>,
    pub(crate) scale_shift: Option<(&'a [f32], &'a [f32])>,
}

impl Parameters<'_> {
    fn check(&self, e: &Extents) {
        assert!(e.groups > 0 && e.c.is_multiple_of(e.groups), "{} groups of {} channels", e.groups, e.c);
        assert!(self.weight.len() == e.c && self.bias.len() == e.c);
        assert!(self.shift_before.is_none_or(|shift| shift.len() == e.n * e.c));
        assert!(self.scale_shift.is_none_or(|(a, b)| a.len() == e.n * e.c && b.len() == e.n * e.c));
    }

    /// The weight and bias that channel `i` of an image sees, scale and shift included.
    fn effective(&self, e: &Extents, image: usize, i: usize) -> (f32, f32) {
        match self.scale_shift {
            Some((scale, shift)) => {
                let factor = 1.0 + scale[image * e.c + i];
                (self.weight[i] * factor, self.bias[i] * factor + shift[image * e.c + i])
            }
            None => (self.weight[i], self.bias[i]),
        }
    }

    fn shift_before(&self, e: &Extents, image: usize, i: usize) -> f32 {
        self.shift_before.map_or(0.0, |shift| shift[image * e.c + i])
    }
}

/// Channels are taken in ranges of whole groups, so that few images still make parts for all threads.
fn ranges(e: &Extents) -> (usize, usize) {
    let group = e.c / e.groups;
    // At least two cache lines of channels per range.
    let groups = if e.n >= 8 { e.groups } else { 32usize.div_ceil(group).min(e.groups) };
    (e.groups.div_ceil(groups), groups * group)
}

fn for_each_range(e: &Extents, work: usize, f: impl Fn(usize, usize, usize) + Sync) {
    let (count, width) = ranges(e);
    pool::for_each(e.n * count, work, |part| {
        let (image, start) = (part / count, part % count * width);
        f(image, start, width.min(e.c - start));
    });
}

/// y from x, both `[n, hw, c]`; keeps mean and reciprocal deviation in `stats` `[n, groups, 2]`.
pub(crate) fn forward(e: Extents, x: &[f32], p: Parameters, y: &mut [f32], stats: &mut [f32]) {
    p.check(&e);
    let image_len = e.hw * e.c;
    assert!(x.len() == e.n * image_len && y.len() == x.len() && stats.len() == e.n * e.groups * 2);
    let (y, stats) = (Shares::new(y), Shares::new(stats));
    for_each_range(&e, x.len() * 12, |image, start, width| {
        let group = e.c / e.groups;
        with_scratch(2 * width, |scratch| {
            let x = x[image * image_len..][..image_len].as_ptr();
            let (mean, square) = scratch.split_at_mut(width);
            // SAFETY: `start..start + width` are channels of this image; parts are disjoint ranges of channels.
            unsafe { moments(x.add(start), e.hw, e.c, width, mean.as_mut_ptr(), square.as_mut_ptr()) };
            // SAFETY: the groups of this range belong to this part.
            let stats = unsafe { stats.range((image * e.groups + start / group) * 2, width / group * 2) };
            for (g, stats) in stats.chunks_exact_mut(2).enumerate() {
                let channels = g * group..(g + 1) * group;
                let shifted = |i: usize| mean[i] + p.shift_before(&e, image, start + i);
                let mu = channels.clone().map(shifted).sum::<f32>() / group as f32;
                let variance = channels.clone().map(|i| square[i] + (shifted(i) - mu).powi(2)).sum::<f32>();
                stats[0] = mu;
                stats[1] = (variance / group as f32 + e.eps).sqrt().recip();
            }
            let (factor, offset) = (mean, square);
            coefficients(&e, &p, image, start, stats, factor, offset);
            // SAFETY: as above.
            unsafe {
                let y = y.at(image * image_len + start);
                apply(x.add(start), y, e.hw, e.c, width, factor.as_ptr(), offset.as_ptr(), e.silu);
            }
        });
    });
}

/// The line that each channel is: y before SiLU = x * factor + offset.
fn coefficients(
    e: &Extents,
    p: &Parameters,
    image: usize,
    start: usize,
    stats: &[f32],
    factor: &mut [f32],
    offset: &mut [f32],
) {
    let group = e.c / e.groups;
    for (i, (factor, offset)) in factor.iter_mut().zip(offset).enumerate() {
        let (mu, r) = (stats[i / group * 2], stats[i / group * 2 + 1]);
        let (weight, bias) = p.effective(e, image, start + i);
        *factor = weight * r;
        *offset = (p.shift_before(e, image, start + i) - mu) * *factor + bias;
    }
}

/// Mean and mean squared distance from it, per channel, in one pass. Values are taken relative to the first
/// position, so that nothing cancels.
#[inline(always)]
unsafe fn moments_block<V: Simd, const NV: usize>(
    x: *const f32,
    hw: usize,
    stride: usize,
    last: usize,
    mean: *mut f32,
    square: *mut f32,
) {
    let load = |p: usize, j: usize| {
        let from = x.add(p * stride + j * V::LANES);
        if j + 1 < NV || last == V::LANES { V::load(from) } else { V::load_part(from, last) }
    };
    let mut pivot = [V::splat(0.0); NV];
    for (j, pivot) in pivot.iter_mut().enumerate() {
        *pivot = load(0, j);
    }
    let (mut sums, mut squares) = ([V::splat(0.0); NV], [V::splat(0.0); NV]);
    for p in 0..hw {
        for j in 0..NV {
            let d = load(p, j).sub(pivot[j]);
            sums[j] = sums[j].add(d);
            squares[j] = d.mul_add(d, squares[j]);
        }
    }
    for j in 0..NV {
        let count = if j + 1 < NV { V::LANES } else { last };
        let d = sums[j].mul(V::splat(1.0 / hw as f32));
        pivot[j].add(d).store_part(mean.add(j * V::LANES), count);
        let square_mean = squares[j].mul(V::splat(1.0 / hw as f32));
        V::splat(0.0).max(d.mul_sub_from(d, square_mean)).store_part(square.add(j * V::LANES), count);
    }
}

#[inline(always)]
unsafe fn moments_body<V: Simd>(
    x: *const f32,
    hw: usize,
    stride: usize,
    width: usize,
    mean: *mut f32,
    square: *mut f32,
) {
    let mut i = 0;
    while i < width {
        let (x, mean, square, left) = (x.add(i), mean.add(i), square.add(i), width - i);
        if left >= 4 * V::LANES {
            moments_block::<V, 4>(x, hw, stride, V::LANES, mean, square);
            i += 4 * V::LANES;
        } else if left >= 2 * V::LANES {
            moments_block::<V, 2>(x, hw, stride, V::LANES, mean, square);
            i += 2 * V::LANES;
        } else {
            moments_block::<V, 1>(x, hw, stride, left.min(V::LANES), mean, square);
            i += V::LANES;
        }
    }
}
dispatch!(fn moments(x: *const f32, hw: usize, stride: usize, width: usize, mean: *mut f32, square: *mut f32) = moments_body);

#[inline(always)]
unsafe fn apply_body<V: Simd>(
    x: *const f32,
    y: *mut f32,
    hw: usize,
    stride: usize,
    width: usize,
    factor: *const f32,
    offset: *const f32,
    silu: bool,
) {
    for p in 0..hw {
        let (x, y) = (x.add(p * stride), y.add(p * stride));
        for_lanes!(V, width, |i, count| {
            if count == V::LANES {
                let z = V::load(x.add(i)).mul_add(V::load(factor.add(i)), V::load(offset.add(i)));
                (if silu { z.mul(sigmoid(z)) } else { z }).store(y.add(i));
            } else {
                let [x, factor, offset] =
                    [x.add(i), factor.add(i), offset.add(i)].map(|from| V::load_part(from, count));
                let z = x.mul_add(factor, offset);
                (if silu { z.mul(sigmoid(z)) } else { z }).store_part(y.add(i), count);
            }
        });
    }
}
dispatch!(fn apply(x: *const f32, y: *mut f32, hw: usize, stride: usize, width: usize, factor: *const f32, offset: *const f32, silu: bool) = apply_body);

/// Where the gradients of a normalisation go.
pub(crate) struct Gradients<'a> {
    /// `[n, hw, c]`; always computed.
    pub(crate) x: &'a mut [f32],
    /// `[c]`
    pub(crate) weight: &'a mut [f32],
    /// `[c]`
    pub(crate) bias: &'a mut [f32],
    /// `[n, c]` each; may be empty where the normalisation had none.
    pub(crate) shift_before: &'a mut [f32],
    pub(crate) scale: &'a mut [f32],
    pub(crate) shift: &'a mut [f32],
}

/// The gradients from x, the output gradient and what `forward` kept.
pub(crate) fn backward(e: Extents, x: &[f32], p: Parameters, stats: &[f32], gradient: &[f32], to: Gradients) {
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
            with_scratch(4 * width, |scratch| {
                let (factor, rest) = scratch.split_at_mut(width);
                let (offset, rest) = rest.split_at_mut(width);
                let (deviation, centre) = rest.split_at_mut(width);
                coefficients(&e, &p, image, start, stats, factor, offset);
                for i in 0..width {
                    let (mu, r) = (stats[i / group * 2], stats[i / group * 2 + 1]);
                    deviation[i] = r;
                    centre[i] = (p.shift_before(&e, image, start + i) - mu) * r;
                }
                let at = image * image_len + start;
                // SAFETY: disjoint ranges of channels; lengths as checked above.
                unsafe {
                    let (x, gradient, dx) = (x.as_ptr().add(at), gradient.as_ptr().add(at), dx.at(at));
                    let lines = [&*factor, offset, deviation, centre].map(<[f32]>::as_ptr);
                    let sums = [d.as_mut_ptr(), dn.as_mut_ptr(), n.as_mut_ptr()];
                    gather(x, gradient, dx, e.hw, e.c, width, lines, e.silu, sums);
                }
                // dx = factor * dz + linear * x + constant, from here on with `deviation` and `offset` for the last two.
                {
                    let linear = &mut *deviation;
                    for g in 0..width / group {
                        let channels = g * group..(g + 1) * group;
                        let r = stats[g * 2 + 1];
                        let weighted = |sums: &[f32]| -> f32 {
                            let terms =
                                channels.clone().map(|i| p.effective(&e, image, start + i).0 * sums[i]);
                            terms.sum::<f32>() / (group * e.hw) as f32
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
                        let (f, l, o) = (factor.as_ptr(), linear.as_ptr(), offset.as_ptr());
                        combine(x, dx, e.hw, e.c, width, f, l, o);
                    }
                }
            });
        });
        let (d, rest) = sums.split_at(e.n * e.c);
        let (dn, shift_before) = rest.split_at(e.n * e.c);
        parameter_gradients(&e, &p, d, dn, to.weight, to.bias, to.scale);
        if !to.shift_before.is_empty() {
            to.shift_before.copy_from_slice(shift_before);
        }
        if !to.shift.is_empty() {
            to.shift.copy_from_slice(d);
        }
    });
}

/// Sums over images, in order.
fn parameter_gradients(
    e: &Extents,
    p: &Parameters,
    d: &[f32],
    dn: &[f32],
    weight: &mut [f32],
    bias: &mut [f32],
    scale: &mut [f32],
) {
    weight.fill(0.0);
    bias.fill(0.0);
    for image in 0..e.n {
        for i in 0..e.c {
            let at = image * e.c + i;
            let factor = p.scale_shift.map_or(1.0, |(scale, _)| 1.0 + scale[at]);
            weight[i] += dn[at] * factor;
            bias[i] += d[at] * factor;
            if !scale.is_empty() {
                scale[at] = dn[at] * p.weight[i] + d[at] * p.bias[i];
            }
        }
    }
}

/// First pass: dz into `dx`, and the sums over positions of dz, dz * normalised, and normalised. `lines`: factor and
/// offset of y before SiLU, factor and offset of the normalised values.
#[inline(always)]
unsafe fn gather_body<V: Simd>(
    x: *const f32,
    gradient: *const f32,
    dx: *mut f32,
    hw: usize,
    stride: usize,
    width: usize,
    lines: [*const f32; 4],
    silu: bool,
    sums: [*mut f32; 3],
) {
    for_lanes!(V, width, |i, count| {
        let load =
            |from: *const f32| if count == V::LANES { V::load(from) } else { V::load_part(from, count) };
        let [factor, offset, deviation, centre] = lines.map(|line| load(line.add(i)));
        let zero = V::splat(0.0);
        let (mut d_sum, mut dn_sum, mut n_sum) = (zero, zero, zero);
        for p in 0..hw {
            let x = load(x.add(p * stride + i));
            let mut d = load(gradient.add(p * stride + i));
            if silu {
                d = d.mul(silu_derivative(x.mul_add(factor, offset)));
            }
            let to = dx.add(p * stride + i);
            if count == V::LANES {
                d.store(to);
            } else {
                d.store_part(to, count);
            }
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
dispatch!(fn gather(x: *const f32, gradient: *const f32, dx: *mut f32, hw: usize, stride: usize, width: usize, lines: [*const f32; 4], silu: bool, sums: [*mut f32; 3]) = gather_body);

/// Second pass: dx = dz * factor + x * linear + constant.
#[inline(always)]
unsafe fn combine_body<V: Simd>(
    x: *const f32,
    dx: *mut f32,
    hw: usize,
    stride: usize,
    width: usize,
    factor: *const f32,
    linear: *const f32,
    constant: *const f32,
) {
    for p in 0..hw {
        let (x, dx) = (x.add(p * stride), dx.add(p * stride));
        for_lanes!(V, width, |i, count| {
            let load =
                |from: *const f32| if count == V::LANES { V::load(from) } else { V::load_part(from, count) };
            let rest = load(x.add(i)).mul_add(load(linear.add(i)), load(constant.add(i)));
            let sum = load(dx.add(i)).mul_add(load(factor.add(i)), rest);
            if count == V::LANES { sum.store(dx.add(i)) } else { sum.store_part(dx.add(i), count) }
        });
    }
}
dispatch!(fn combine(x: *const f32, dx: *mut f32, hw: usize, stride: usize, width: usize, factor: *const f32, linear: *const f32, constant: *const f32) = combine_body);
