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

    /// Sets one quantity of a whole batch by the reference's name for it (`scale.w`, `aniso.rotate_u`, ...).
    /// `values` has one number per sample; `translate_frac.w` has all x first, then all y.
    /// Returns whether there is such a quantity and the count fits.
    #[must_use]
    pub fn set(batch: &mut [Self], what: &str, values: &[f32]) -> bool {
        let n = batch.len();
        let per_sample = if what == "translate_frac.w" { 2 } else { 1 };
        if values.len() != n * per_sample {
            return false;
        }
        for (i, draw) in batch.iter_mut().enumerate() {
            let value = values[i];
            match what {
                "xflip.w" => draw.xflip_w = value == 1.0,
                "xflip.u" => draw.xflip_u = value,
                "yflip.w" => draw.yflip_w = value == 1.0,
                "yflip.u" => draw.yflip_u = value,
                "scale.w" => draw.scale_w = value,
                "scale.u" => draw.scale_u = value,
                "rotate_frac.w" => draw.rotate_frac_w = value,
                "rotate_frac.u" => draw.rotate_frac_u = value,
                "aniso.w" => draw.aniso_w = value,
                "aniso.r" => draw.aniso_r = value,
                "aniso.u" => draw.aniso_u = value,
                "aniso.rotate_u" => draw.aniso_rotate_u = value,
                "translate_frac.w" => draw.translate_frac_w = [value, values[n + i]],
                "translate_frac.u" => draw.translate_frac_u = value,
                _ => return false,
            }
        }
        true
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

    #[test]
    fn recorded_draws_are_set_by_name() {
        let mut batch = [AugmentDraw::default(); 2];
        assert!(AugmentDraw::set(&mut batch, "translate_frac.w", &[1.0, 2.0, 3.0, 4.0]));
        assert_eq!(batch[1].translate_frac_w, [2.0, 4.0]);
        assert!(!AugmentDraw::set(&mut batch, "translate_frac.w", &[1.0, 2.0]));
        assert!(!AugmentDraw::set(&mut batch, "hue.w", &[1.0, 2.0]));
    }
}
