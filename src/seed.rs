//! `Seed`: a draw is a function of (seed, stage, phase, nimg, sample), never of a generator's state.
//!
//! That is what makes a resumed run bit-identical, and a recipe independent of how its batch is split:
//! draws are made per sample, on the host, and are the same on every device.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

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

    /// The generator of one sample; `sample` counts within the whole batch, not within a micro-batch.
    pub fn sample(self, sample: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.0);
        rng.set_stream(sample);
        rng
    }

    /// Standard normals, `per_sample` for each sample of the range, one sample after another.
    pub fn normals(self, samples: Range<u64>, per_sample: usize) -> Vec<f32> {
        samples.flat_map(|s| self.sample(s).sample_iter(StandardNormal).take(per_sample)).collect()
    }

    /// Uniforms in [0, 1), `per_sample` for each sample of the range.
    pub fn uniforms(self, samples: Range<u64>, per_sample: usize) -> Vec<f32> {
        let of_one = |s| {
            let mut rng = self.sample(s);
            (0..per_sample).map(move |_| rng.random::<f32>())
        };
        samples.flat_map(of_one).collect()
    }
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
}
