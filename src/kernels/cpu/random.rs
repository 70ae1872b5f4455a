//! Draws that every device makes alike: a function of (key, sample, element) and of nothing else.
//!
//! Words are Philox's, and what is made of them needs only additions, products, roots, comparisons and bits, in one order:
//! words, uniforms and masks are the same bits everywhere, normals on every CPU. A GPU may fuse a product and a sum, and
//! differs in a normal's last digits. Elements of a sample are counted from 0, and four of them (eight of a mask) share a
//! counter.

use std::ops::Range;

use super::{
    box_muller::box_muller,
    philox::Philox,
    pool::{self, Shares},
    wide::wide,
};

/// Elements that one part takes; a multiple of what a counter yields.
const PART: usize = 16 * 1024;
/// About how many operations an element takes.
const WORK: usize = 20;

/// What draws follow from, besides the sample and the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    philox: Philox,
    stream: u32,
}

impl Key {
    /// The key of these words: Philox's two, and the second one of every counter. A counter's first word is its number
    /// within a sample, the other two are the sample's.
    pub fn new([low, high, stream]: [u32; 3]) -> Self {
        Self { philox: Philox::new(u64::from(low) | u64::from(high) << 32), stream }
    }

    /// The words that it was made of.
    pub fn words(self) -> [u32; 3] {
        let [low, high] = self.philox.key();
        [low, high, self.stream]
    }

    #[inline(always)]
    fn draw(self, sample: u64, counter: u32) -> [u32; 4] {
        self.philox.words(u64::from(counter) | u64::from(self.stream) << 32, sample)
    }
}

/// Standard normals, `per_sample` for each of the samples from `first` on.
pub fn normals(key: Key, first: u64, per_sample: usize, out: &mut [f32]) {
    in_parts(
        first,
        per_sample,
        out,
        #[inline(always)]
        |sample, start, _, out| {
            fill(
                start,
                out,
                #[inline(always)]
                |counter| four_normals(key.draw(sample, counter)),
            );
        },
    );
}

/// Uniforms in [0, 1), multiples of 2^-24, likewise.
pub fn uniforms(key: Key, first: u64, per_sample: usize, out: &mut [f32]) {
    in_parts(
        first,
        per_sample,
        out,
        #[inline(always)]
        |sample, start, _, out| {
            fill(
                start,
                out,
                #[inline(always)]
                |counter| key.draw(sample, counter).map(uniform),
            );
        },
    );
}

/// Words, `per_sample` for each of the samples.
pub fn words(key: Key, samples: Range<u64>, per_sample: usize) -> Vec<u32> {
    let of_one =
        |sample| (0..per_sample.div_ceil(4) as u32).flat_map(move |counter| key.draw(sample, counter));
    samples.flat_map(|sample| of_one(sample).take(per_sample)).collect()
}

/// Which activations are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropping {
    /// Of 65,536 activations, so many are dropped: 16 bits are enough to say which, and cheap to make.
    pub threshold: u32,
    /// What the others are multiplied by.
    pub kept: f32,
}

impl Dropping {
    /// Drops a share in [0, 1], and scales up what is kept.
    pub fn share(share: f64) -> Self {
        Self { threshold: (share * 65536.0).round() as u32, kept: (1.0 / (1.0 - share)) as f32 }
    }
}

/// `out = x * mask`, where the mask of an activation is 0 or `kept`; `per_sample` activations for each of the samples from
/// `first` on. The gradient is dropped by the same call.
pub fn drop_activations(
    key: Key,
    first: u64,
    per_sample: usize,
    dropping: Dropping,
    x: &[f32],
    out: &mut [f32],
) {
    assert_eq!(x.len(), out.len());
    in_parts(
        first,
        per_sample,
        out,
        #[inline(always)]
        |sample, start, offset, out| {
            fill(
                start,
                out,
                #[inline(always)]
                |counter| eight_masks(key.draw(sample, counter), dropping),
            );
            out.iter_mut().zip(&x[offset..]).for_each(|(out, x)| *out *= x);
        },
    );
}

/// Runs `f(sample, start, offset, out)` on pieces of `out`: the elements of a sample from `start` on, which lie at
/// `offset` in all. `start` is a multiple of `PART`.
fn in_parts(
    first: u64,
    per_sample: usize,
    out: &mut [f32],
    f: impl Fn(u64, usize, usize, &mut [f32]) + Sync,
) {
    if out.is_empty() {
        return;
    }
    assert!(out.len().is_multiple_of(per_sample), "samples of {per_sample} in {} values", out.len());
    // A sample has 2^32 counters.
    assert!(per_sample >> 34 == 0, "a sample of {per_sample} values");
    let samples = out.len() / per_sample;
    let (pieces, together) = (per_sample.div_ceil(PART), (PART / per_sample).max(1));
    let shares = Shares::new(out);
    pool::for_each(samples.div_ceil(together) * pieces, shares.len() * WORK, |part| {
        let (group, start) = (part / pieces, part % pieces * PART);
        let len = PART.min(per_sample - start);
        for sample in group * together..samples.min((group + 1) * together) {
            let offset = sample * per_sample + start;
            // SAFETY: pieces are disjoint.
            let out = unsafe { shares.range(offset, len) };
            wide(
                #[inline(always)]
                || f(first.wrapping_add(sample as u64), start, offset, out),
            );
        }
    });
}

/// Fills the elements from `start` on, `N` at a time, with what their counter yields.
#[inline(always)]
fn fill<const N: usize>(start: usize, out: &mut [f32], draw: impl Fn(u32) -> [f32; N]) {
    let first = (start / N) as u32;
    let (whole, rest) = out.as_chunks_mut::<N>();
    let after = first + whole.len() as u32;
    for (counter, values) in (first..after).zip(whole) {
        *values = draw(counter);
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&draw(after)[..rest.len()]);
    }
}

#[inline(always)]
fn uniform(word: u32) -> f32 {
    const UNIT: f32 = 1.0 / 16_777_216.0;
    (word >> 8) as i32 as f32 * UNIT
}

#[inline(always)]
fn eight_masks(words: [u32; 4], Dropping { threshold, kept }: Dropping) -> [f32; 8] {
    let mask = |bits: u32| if bits >= threshold { kept } else { 0.0 };
    let [a, b, c, d] = words.map(|word| [mask(word & 0xffff), mask(word >> 16)]);
    [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]
}

#[inline(always)]
fn four_normals([a, b, c, d]: [u32; 4]) -> [f32; 4] {
    let ([a, b], [c, d]) = (box_muller(a, b), box_muller(c, d));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::{
        super::{InstructionSet, with_threads},
        *,
    };

    const KEY: Key = Key { philox: Philox { key: [7, 8] }, stream: 9 };

    type Fill = fn(&mut [f32], u64, usize);

    /// Each kind of draw, into zeros.
    const FILLS: [Fill; 3] = [
        |out, first, per_sample| normals(KEY, first, per_sample, out),
        |out, first, per_sample| uniforms(KEY, first, per_sample, out),
        |out, first, per_sample| {
            let x = vec![1.0; out.len()];
            drop_activations(KEY, first, per_sample, Dropping::share(0.3), &x, out);
        },
    ];

    fn filled(fill: Fill, samples: Range<u64>, per_sample: usize) -> Vec<f32> {
        let mut out = vec![0.0; (samples.end - samples.start) as usize * per_sample];
        fill(&mut out, samples.start, per_sample);
        out
    }

    #[test]
    fn a_draw_follows_from_its_sample_and_its_place_alone() {
        for fill in FILLS {
            // Tails of counters, several samples in a part, several parts in a sample.
            for per_sample in [1, 3, 64, 1021, 2 * PART + 5] {
                let whole = filled(fill, 5..11, per_sample);
                assert_eq!(whole, [filled(fill, 5..6, per_sample), filled(fill, 6..11, per_sample)].concat());
                assert_eq!(whole[..per_sample], filled(fill, 5..6, per_sample + 2)[..per_sample]);
            }
            let whole = filled(fill, 0..2, 64);
            assert_ne!(whole[..64], whole[64..]);
        }
    }

    #[test]
    fn bits_do_not_depend_on_instructions_or_threads() {
        for fill in FILLS {
            let drawn: Vec<Vec<u32>> =
                [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512]
                    .into_iter()
                    .flat_map(|set| [(set, 1), (set, 3)])
                    .map(|(set, threads)| {
                        set.force();
                        let out = with_threads(threads, || filled(fill, 3..6, 3 * PART + 1));
                        out.into_iter().map(f32::to_bits).collect()
                    })
                    .collect();
            assert!(drawn.iter().all(|other| *other == drawn[0]));
        }
    }

    #[test]
    fn every_number_is_its_word() {
        // Slowly, from the counter's definition.
        let word = |sample: u64, element: usize| {
            let low = (element / 4) as u64 | 9 << 32;
            Philox::new(8 << 32 | 7).words(low, sample)[element % 4]
        };
        let sample = u64::from(u32::MAX) + 2;
        assert_eq!(words(KEY, sample..sample + 1, 5), [0, 1, 2, 3, 4].map(|i| word(sample, i)));
        let uniforms = filled(FILLS[1], sample..sample + 1, 999);
        let masks = filled(FILLS[2], sample..sample + 1, 999);
        for i in 0..999 {
            assert_eq!(f64::from(uniforms[i]), f64::from(word(sample, i) >> 8) / 2f64.powi(24));
            let bits = word(sample, i / 2) >> (16 * (i % 2)) & 0xffff;
            assert_eq!(masks[i], if bits < 19661 { 0.0 } else { (1.0 / 0.7f64) as f32 });
        }
    }

    #[test]
    fn the_asked_share_is_dropped() {
        const N: usize = 1 << 20;
        let x = vec![2.0; N];
        for share in [0.0, 0.13, 0.5, 1.0] {
            let mut out = vec![0.0; N];
            drop_activations(KEY, 0, N, Dropping::share(share), &x, &mut out);
            let dropped = out.iter().filter(|value| **value == 0.0).count() as f64 / N as f64;
            // Four standard deviations, and what rounding to 16 bits does.
            let bound = 4.0 * (share * (1.0 - share) / N as f64).sqrt() + 0.5 / 65536.0;
            assert!((dropped - share).abs() <= bound, "{dropped} of {share}");
            let kept = (1.0 / (1.0 - share)) as f32 * 2.0;
            assert!(out.iter().all(|value| *value == 0.0 || *value == kept));
        }
    }

    /// Kolmogorov and Smirnov's largest distance from a distribution, times the root of the count.
    fn distance(mut values: Vec<f32>, cumulative: fn(f64) -> f64) -> f64 {
        values.sort_by(f32::total_cmp);
        let n = values.len() as f64;
        let gap = |(i, value): (usize, &f32)| {
            let p = cumulative(f64::from(*value));
            (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
        };
        values.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
    }

    /// The normal distribution's cumulative function, to 8e-8 (Abramowitz and Stegun 7.1.26).
    fn normal_cumulative(z: f64) -> f64 {
        let x = z.abs() / std::f64::consts::SQRT_2;
        let t = 1.0 / (1.0 + 0.327_591_1 * x);
        let sum = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592]
            .into_iter()
            .fold(0.0, |sum, c| (sum + c) * t);
        let upper = 0.5 * sum * (-x * x).exp();
        if z > 0.0 { 1.0 - upper } else { upper }
    }

    /// The mean of a function of neighbours, in standard deviations of that mean; the function has mean 0 and variance 1.
    fn deviation(values: &[f32], apart: usize, f: fn(f64, f64) -> f64) -> f64 {
        let pairs = values.iter().zip(&values[apart..]);
        let n = values.len() - apart;
        pairs.map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum::<f64>() / (n as f64).sqrt()
    }

    #[test]
    fn uniforms_are_uniform() {
        let values = filled(FILLS[1], 0..1000, 1000);
        assert!(values.iter().all(|u| (0.0..1.0).contains(u)));
        // One set of a thousand lies further off than 1.95 (its distribution is Kolmogorov's).
        assert!(distance(values.clone(), |u| u) < 1.95);
        let centred: Vec<f32> = values.iter().map(|u| (u - 0.5) * 12f32.sqrt()).collect();
        for apart in [1, 2, 3, 4, 8, 1000] {
            assert!(deviation(&centred, apart, |a, b| a * b).abs() < 4.0, "{apart} apart");
        }
    }

    #[test]
    fn normals_are_normal() {
        let values = filled(FILLS[0], 0..1000, 1000);
        assert!(distance(values.clone(), normal_cumulative) < 1.95);
        // Hermite's polynomials: mean 0 and, so divided, variance 1, if these are the moments of a normal.
        let moments: [fn(f64, f64) -> f64; 4] = [
            |z, _| z,
            |z, _| (z * z - 1.0) / 2f64.sqrt(),
            |z, _| (z * z * z - 3.0 * z) / 6f64.sqrt(),
            |z, _| (z.powi(4) - 6.0 * z * z + 3.0) / 24f64.sqrt(),
        ];
        for (i, moment) in moments.into_iter().enumerate() {
            assert!(deviation(&values, 0, moment).abs() < 4.0, "moment {}", i + 1);
        }
        // The two of a pair share their distance from the origin: squares tell more than products.
        for apart in [1, 2, 3, 4, 1000] {
            assert!(deviation(&values, apart, |a, b| a * b).abs() < 4.0, "{apart} apart");
            let squares = |a: f64, b: f64| (a * a - 1.0) * (b * b - 1.0) / 2.0;
            assert!(deviation(&values, apart, squares).abs() < 4.0, "squares {apart} apart");
        }
    }
}
