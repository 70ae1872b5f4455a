//! The draws of the augmentation: one typed value per sample, drawn or recorded.

use std::ops::Range;

use crate::seed::Draw;

/// Uniforms of one sample.
const UNIFORMS: usize = 11;
/// Normals of one sample.
const NORMALS: usize = 4;

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
        let uniforms = draw.purpose("uniforms").uniforms(samples.clone(), UNIFORMS);
        let normals = draw.purpose("normals").normals(samples, NORMALS);
        let (uniforms, normals) = (uniforms.as_chunks().0, normals.as_chunks().0);
        uniforms.iter().zip(normals).map(|(uniforms, normals)| Self::of(*uniforms, *normals)).collect()
    }

    fn of(u: [f32; UNIFORMS], z: [f32; NORMALS]) -> Self {
        Self {
            xflip_w: u[0] < 0.5,
            xflip_u: u[1],
            yflip_w: u[2] < 0.5,
            yflip_u: u[3],
            scale_w: z[0],
            scale_u: u[4],
            rotate_frac_w: u[5],
            rotate_frac_u: u[6],
            aniso_w: z[1],
            aniso_r: u[7],
            aniso_u: u[8],
            aniso_rotate_u: u[9],
            translate_frac_w: [z[2], z[3]],
            translate_frac_u: u[10],
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
