//! Group normalisation with what surrounds it, NHWC.

use std::ops::Range;

use super::{
    memory::with_scratch,
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes, load, sigmoid},
};

/// One group normalisation and its extents.
#[derive(Clone, Copy, Debug)]
pub struct Normalization {
    /// Images.
    pub n: usize,
    /// Positions of an image.
    pub hw: usize,
    /// Channels.
    pub c: usize,
    /// Groups; divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether a SiLU follows.
    pub silu: bool,
}

/// What a normalisation is given besides x.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// `[c]`
    pub weight: &'a [f32],
    /// `[c]`
    pub bias: &'a [f32],
    /// Added to x. `[n, c]`
    pub shift_before: Option<&'a [f32]>,
    /// The normalised values times one plus the first half of the channels, plus the second. `[n, 2 c]`
    pub scale_shift: Option<&'a [f32]>,
}

impl Parameters<'_> {
    pub(super) fn check(&self, e: &Normalization) {
        assert!(e.groups > 0 && e.c.is_multiple_of(e.groups), "{} groups of {} channels", e.groups, e.c);
        assert!(self.weight.len() == e.c && self.bias.len() == e.c);
        assert!(self.shift_before.is_none_or(|shift| shift.len() == e.n * e.c));
        assert!(self.scale_shift.is_none_or(|both| both.len() == e.n * 2 * e.c));
    }

    /// The weight and bias that channels from `start` on of an image see, scale and shift included.
    fn effective(&self, e: &Normalization, image: usize, start: usize, weight: &mut [f32], bias: &mut [f32]) {
        let channels = start..start + weight.len();
        weight.copy_from_slice(&self.weight[channels.clone()]);
        bias.copy_from_slice(&self.bias[channels.clone()]);
        let Some(both) = self.scale_shift else { return };
        let (scale, shift) = both[image * 2 * e.c..][..2 * e.c].split_at(e.c);
        let both = scale[channels.clone()].iter().zip(&shift[channels]);
        for ((weight, bias), (scale, shift)) in weight.iter_mut().zip(bias).zip(both) {
            let factor = 1.0 + scale;
            *weight *= factor;
            *bias = *bias * factor + shift;
        }
    }

    /// What is added to x in these channels of an image.
    fn shift_before(&self, e: &Normalization, image: usize, channels: Range<usize>) -> Option<&[f32]> {
        Some(&self.shift_before?[image * e.c..][channels])
    }
}

/// Channels are taken in ranges of whole groups, so that few images still make parts for all threads.
fn ranges(e: &Normalization) -> (usize, usize) {
    let group = e.c / e.groups;
    // At least two cache lines of channels per range.
    let groups = if e.n >= 8 { e.groups } else { 32usize.div_ceil(group).min(e.groups) };
    (e.groups.div_ceil(groups), groups * group)
}

pub(super) fn for_each_range(e: &Normalization, work: usize, f: impl Fn(usize, usize, usize) + Sync) {
    let (count, width) = ranges(e);
    pool::for_each(e.n * count, work, |part| {
        let (image, start) = (part / count, part % count * width);
        f(image, start, width.min(e.c - start));
    });
}

/// y from x, both `[n, hw, c]`; keeps mean and reciprocal deviation in `stats` `[n, groups, 2]`.
pub fn forward(e: Normalization, x: &[f32], p: Parameters, y: &mut [f32], stats: &mut [f32]) {
    p.check(&e);
    let image_len = e.hw * e.c;
    assert!(x.len() == e.n * image_len && y.len() == x.len() && stats.len() == e.n * e.groups * 2);
    let (y, stats) = (Shares::new(y), Shares::new(stats));
    for_each_range(&e, x.len() * 12, |image, start, width| {
        let group = e.c / e.groups;
        with_scratch(4 * width, |scratch| {
            let x = x[image * image_len..][..image_len].as_ptr();
            let [mean, square, weight, centred] = split(scratch, width);
            // SAFETY: `start..start + width` are channels of this image; parts are disjoint ranges of channels.
            unsafe { moments(x.add(start), e.hw, e.c, width, mean.as_mut_ptr(), square.as_mut_ptr()) };
            // SAFETY: the groups of this range belong to this part.
            let stats = unsafe { stats.range((image * e.groups + start / group) * 2, width / group * 2) };
            let shift = p.shift_before(&e, image, start..start + width);
            mean.iter_mut().zip(shift.unwrap_or_default()).for_each(|(mean, shift)| *mean += shift);
            let groups = mean.chunks_exact(group).zip(square.chunks_exact(group));
            for (stats, (mean, square)) in stats.chunks_exact_mut(2).zip(groups) {
                let mu = mean.iter().sum::<f32>() / group as f32;
                let terms = mean.iter().zip(square).map(|(mean, square)| square + (mean - mu).powi(2));
                stats[0] = mu;
                stats[1] = (terms.sum::<f32>() / group as f32 + e.eps).sqrt().recip();
            }
            let (factor, offset) = (mean, square);
            coefficients(&e, &p, image, start, stats, [weight, centred, factor, offset]);
            // SAFETY: as above.
            unsafe {
                let y = y.at(image * image_len + start);
                apply(x.add(start), y, e.hw, e.c, width, factor.as_ptr(), offset.as_ptr(), e.silu);
            }
        });
    });
}

/// The first parts of working memory, each `width` long.
pub(super) fn split<const N: usize>(scratch: &mut [f32], width: usize) -> [&mut [f32]; N] {
    let mut parts = scratch.chunks_exact_mut(width);
    std::array::from_fn(|_| parts.next().expect("as many parts as were asked for"))
}

/// The line that each channel is: y before SiLU = x * factor + offset. Into `to`, each `[width]`: the weight that the
/// channel sees, what is added to x less the mean, factor and offset.
pub(super) fn coefficients(
    e: &Normalization,
    p: &Parameters,
    image: usize,
    start: usize,
    stats: &[f32],
    to: [&mut [f32]; 4],
) {
    let [weight, centred, factor, offset] = to;
    let group = e.c / e.groups;
    p.effective(e, image, start, weight, offset);
    match p.shift_before(e, image, start..start + weight.len()) {
        Some(shift) => centred.copy_from_slice(shift),
        None => centred.fill(0.0),
    }
    for (g, stats) in stats.chunks_exact(2).enumerate() {
        let (mu, r) = (stats[0], stats[1]);
        let channels = g * group..(g + 1) * group;
        let [centred, factor, offset] =
            [&mut *centred, &mut *factor, &mut *offset].map(|line| &mut line[channels.clone()]);
        let lines = centred.iter_mut().zip(factor).zip(offset);
        for (weight, ((centred, factor), offset)) in weight[channels.clone()].iter().zip(lines) {
            *centred -= mu;
            *factor = weight * r;
            *offset += *centred * *factor;
        }
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
    // SAFETY: the caller vouches for `NV` vectors of channels, the last of `last` lanes, at `hw` positions.
    unsafe {
        let load = |p: usize, j: usize| -> V {
            load(x.add(p * stride + j * V::LANES), if j + 1 < NV { V::LANES } else { last })
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
}

dispatch!(
    unsafe fn moments<V: Simd>(
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
);

dispatch!(
    unsafe fn apply<V: Simd>(
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
);
