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
#[path = "random_tests.rs"]
mod tests;
