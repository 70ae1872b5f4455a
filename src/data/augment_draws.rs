//! The draws of the augmentation: one typed value per sample, drawn or recorded.

use std::ops::Range;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::seed::Draw;

/// What the augmentation of one sample draws: `w` and `r` say how strongly, `u` decides whether at all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AugmentDraw {
    /// A fair coin: flip horizontally.
    pub xflip_w: bool,
    /// Uniform in [0, 1).
    pub xflip_u: f32,
    /// A fair coin: flip vertically.
    pub yflip_w: bool,
    /// Uniform in [0, 1).
    pub yflip_u: f32,
    /// Standard normal.
    pub scale_w: f32,
    /// Uniform in [0, 1).
    pub scale_u: f32,
    /// Uniform in [0, 1): a turn from -pi to pi.
    pub rotate_frac_w: f32,
    /// Uniform in [0, 1).
    pub rotate_frac_u: f32,
    /// Standard normal.
    pub aniso_w: f32,
    /// Uniform in [0, 1): a direction from -pi to pi.
    pub aniso_r: f32,
    /// Uniform in [0, 1).
    pub aniso_u: f32,
    /// Uniform in [0, 1): whether the direction is used.
    pub aniso_rotate_u: f32,
    /// Two standard normals: along x, along y.
    pub translate_frac_w: [f32; 2],
    /// Uniform in [0, 1).
    pub translate_frac_u: f32,
}

impl AugmentDraw {
    /// One draw for each sample of the range, whatever transforms are on.
    pub fn make(draw: Draw, samples: Range<u64>) -> Vec<Self> {
        samples.map(|sample| Self::from_rng(&mut draw.sample(sample))).collect()
    }

    fn from_rng(rng: &mut impl RngExt) -> Self {
        fn normal(rng: &mut impl RngExt) -> f32 {
            StandardNormal.sample(rng)
        }
        Self {
            xflip_w: rng.random(),
            xflip_u: rng.random(),
            yflip_w: rng.random(),
            yflip_u: rng.random(),
            scale_w: normal(rng),
            scale_u: rng.random(),
            rotate_frac_w: rng.random(),
            rotate_frac_u: rng.random(),
            aniso_w: normal(rng),
            aniso_r: rng.random(),
            aniso_u: rng.random(),
            aniso_rotate_u: rng.random(),
            translate_frac_w: [normal(rng), normal(rng)],
            translate_frac_u: rng.random(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Phase, Seed};

    #[test]
    fn draws_belong_to_a_sample_not_to_a_batch() {
        let draw = Seed(3).at(Phase::FakeScore, 64).purpose("augment");
        assert_eq!(AugmentDraw::make(draw, 0..4)[2..], AugmentDraw::make(draw, 2..4));
        assert_ne!(AugmentDraw::make(draw, 0..1), AugmentDraw::make(draw, 1..2));
    }
}
