//! `Seed`: a draw is a function of (seed, stage, phase, nimg, sample), never of a generator's state.
//!
//! That is what makes a resumed run bit-identical, and a recipe independent of how its batch is split: draws are made per
//! sample and by counting, and are the same on every device.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sida_cpu_kernels::random::{self, Key};

use crate::stage_name::StageName;

/// The pipeline's seed, or one derived from it for a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed(pub u64);

/// What part of a stage a draw belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Initial weights of a network made from nothing.
    Init,
    /// A step of teacher training.
    Teacher,
    /// The fake score network's half of an iteration.
    FakeScore,
    /// The generator's half of an iteration.
    Generator,
    /// Sample grids and metrics during training.
    Snapshot,
    /// Images of `generate` and `evaluate`.
    Sample,
}

impl Seed {
    /// The seed of one stage.
    #[must_use]
    pub fn stage(self, name: &StageName) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.0.to_le_bytes()).update(name.as_str().as_bytes());
        Self(u64::from_le_bytes(*hash.finalize().as_bytes().first_chunk().expect("32 bytes")))
    }

    /// All draws of one phase of one iteration.
    pub fn at(self, phase: Phase, nimg: u64) -> Draw {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.0.to_le_bytes()).update(&[phase as u8]).update(&nimg.to_le_bytes());
        Draw(*hash.finalize().as_bytes())
    }
}

/// A key from which any number of independent draws can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw([u8; 32]);

impl Draw {
    /// The draws of one purpose: `"z"`, `"sigma"`, the name of a dropout layer, ...
    #[must_use]
    pub fn purpose(self, what: &str) -> Self {
        let mut hash = blake3::Hasher::new_keyed(&self.0);
        hash.update(what.as_bytes());
        Self(*hash.finalize().as_bytes())
    }

    /// What its numbers follow from, with a sample and an element; a sample is counted within the whole batch, not within a
    /// micro-batch. Devices draw with it too.
    pub fn key(self) -> Key {
        let (words, _) = self.0.as_chunks::<4>();
        Key::new([0, 1, 2].map(|i| u32::from_le_bytes(words[i])))
    }

    /// Standard normals on the host, `per_sample` for each sample of the range, one sample after another.
    pub fn normals(self, samples: Range<u64>, per_sample: usize) -> Vec<f32> {
        host(samples, per_sample, |first, out| random::normals(self.key(), first, per_sample, out))
    }

    /// Uniforms in [0, 1) on the host, `per_sample` for each sample of the range.
    pub fn uniforms(self, samples: Range<u64>, per_sample: usize) -> Vec<f32> {
        host(samples, per_sample, |first, out| random::uniforms(self.key(), first, per_sample, out))
    }

    /// Words of 32 bits on the host, `per_sample` for each sample of the range.
    pub fn words(self, samples: Range<u64>, per_sample: usize) -> Vec<u32> {
        random::words(self.key(), samples, per_sample)
    }

    /// Whole numbers below each of the `ends`, for one sample; even to one part in 2^64 of an end.
    pub fn below(self, sample: u64, ends: &[u64]) -> Vec<u64> {
        let words = self.words(sample..sample + 1, 2 * ends.len());
        let wide = |[low, high]: &[u32; 2]| u128::from(*low) | u128::from(*high) << 32;
        let pairs = words.as_chunks::<2>().0.iter().map(wide);
        pairs.zip(ends).map(|(word, end)| ((word * u128::from(*end)) >> 64) as u64).collect()
    }
}

fn host(samples: Range<u64>, per_sample: usize, fill: impl FnOnce(u64, &mut [f32])) -> Vec<f32> {
    let len = samples.clone().count() * per_sample;
    sida_cpu_kernels::filled(len, |out| fill(samples.start, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_do_not_depend_on_how_a_batch_is_split() {
        let draw = Seed(7).stage(&StageName::new("sid")).at(Phase::FakeScore, 640).purpose("z");
        let whole = draw.normals(0..4, 5);
        let halves = [draw.normals(0..2, 5), draw.normals(2..4, 5)].concat();
        assert_eq!(whole, halves);
        assert_ne!(whole[..5], whole[5..10]);
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let stage = Seed(7).stage(&StageName::new("sid"));
        let keys = [
            stage.at(Phase::FakeScore, 0),
            stage.at(Phase::Generator, 0),
            stage.at(Phase::FakeScore, 64),
            Seed(8).stage(&StageName::new("sid")).at(Phase::FakeScore, 0),
            Seed(7).stage(&StageName::new("sida")).at(Phase::FakeScore, 0),
            stage.at(Phase::FakeScore, 0).purpose("z"),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| a != b), "key {i} is not unique");
        }
    }

    #[test]
    fn whole_numbers_below_an_end_are_even() {
        let drawn = Seed(7).at(Phase::Sample, 0).below(3, &[5].repeat(10_000));
        for value in 0..5 {
            let count = drawn.iter().filter(|v| **v == value).count() as f64;
            // Four standard deviations of a share of 10,000 trials.
            assert!((count - 2000.0).abs() < 160.0, "{value}: {count}");
        }
        assert!(drawn.iter().all(|v| *v < 5));
    }
}
