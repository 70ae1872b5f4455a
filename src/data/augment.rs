//! EDM's augmentation: images and the labels that tell the network what was done to them.
//!
//! A pure function of images and draws (Karras et al. 2022, appendix F.2). No gradient flows through it: the
//! fake score network learns from augmented images that are data to it. What happens to a sample is decided on the host.

use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;

use crate::{
    data::{
        augment_draws::AugmentDraw,
        augmentation::{Augmentation, Augmented},
        warp::{Affine, Margin, Warp},
    },
    kernels::{self, Pose},
};

/// Spread of log2 of the isotropic scale.
const SCALE_STD: f64 = 0.2;
/// Spread of log2 of the anisotropic scale.
const ANISO_STD: f64 = 0.2;
/// How often an anisotropic scale happens along a random direction, rather than along x.
const ANISO_ROTATE_PROB: f32 = 0.5;
/// Spread of the translation, in widths and heights.
const TRANSLATE_STD: f64 = 0.125;

/// EDM's augmentation pipe: an overall probability and a multiplier for each transform; 0 leaves a transform
/// out, with its labels.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Probability of each transform, before its multiplier.
    pub p: f64,
    /// Multiplier of the horizontal flip; the huge default of EDM's scripts means that it is always considered.
    pub xflip: f64,
    /// Multiplier of the vertical flip.
    pub yflip: f64,
    /// Multiplier of the isotropic scale.
    pub scale: f64,
    /// Multiplier of the rotation by any angle.
    pub rotate_frac: f64,
    /// Multiplier of the anisotropic scale.
    pub aniso: f64,
    /// Multiplier of the translation by fractions of a pixel.
    pub translate_frac: f64,
}

impl Default for Augment {
    /// Every transform left out.
    fn default() -> Self {
        Self { p: 1.0, xflip: 0.0, yflip: 0.0, scale: 0.0, rotate_frac: 0.0, aniso: 0.0, translate_frac: 0.0 }
    }
}

impl Augment {
    /// The setting of EDM's training scripts, 9 labels: `p` is 0.12 for CIFAR-10, 0.15 for FFHQ and AFHQ.
    pub fn edm(p: f64) -> Self {
        Self { p, xflip: 1e8, yflip: 1.0, scale: 1.0, rotate_frac: 1.0, aniso: 1.0, translate_frac: 1.0 }
    }

    /// How many labels an image gets: 1 for each flip and the scale, 2 for each of the others, of those that are on.
    pub fn label_dim(&self) -> usize {
        self.labels(&Chosen::default()).len()
    }

    /// Augments a batch of images `[n, c, h, w]` with one draw per sample. The result is off the autodiff tape.
    ///
    /// # Panics
    /// If there is not one draw per sample.
    pub fn apply(&self, images: Tensor<4>, draws: &[AugmentDraw]) -> Augmented {
        let [_, c, h, w] = images.dims();
        self.drawn(draws, [c, h, w], &images.device()).apply(images)
    }

    /// What these draws do to images of the shape `[c, h, w]` on a device.
    pub fn drawn(&self, draws: &[AugmentDraw], shape: [usize; 3], device: &Device) -> Augmentation {
        let [_, h, w] = shape;
        let chosen: Vec<Chosen> = draws.iter().map(|draw| self.choose(draw)).collect();
        let labels: Vec<f32> = chosen.iter().flat_map(|chosen| self.labels(chosen)).collect();
        let labels = Tensor::from_data(TensorData::new(labels, [draws.len(), self.label_dim()]), device);
        let maps: Vec<Affine> = chosen.iter().map(|chosen| self.map(chosen, w, h)).collect();
        let warp = self.warp(&maps, shape);
        let poses = warp.as_ref().map(|warp| {
            let pose = |(chosen, map): (&Chosen, &Affine)| Pose {
                map: warp.between_pixels(map).rows(),
                flips: [chosen.xflip, chosen.yflip],
                margin: warp.margin.sides(),
            };
            let poses: Vec<Pose> = chosen.iter().zip(&maps).map(pose).collect();
            kernels::poses(&poses, device)
        });
        Augmentation { chosen: chosen.into_iter().zip(maps).collect(), warp, poses, labels }
    }

    /// What moves pixels by fractions, where anything does.
    fn warp(&self, maps: &[Affine], shape: [usize; 3]) -> Option<Warp> {
        let [_, h, w] = shape;
        self.is_geometric().then(|| Warp { shape, margin: Margin::around(maps, w, h) })
    }

    fn is_geometric(&self) -> bool {
        [self.scale, self.rotate_frac, self.aniso, self.translate_frac].iter().any(|&m| m > 0.0)
    }

    /// Which transforms happen to a sample, and how strongly.
    fn choose(&self, draw: &AugmentDraw) -> Chosen {
        let happens = |u: f32, multiplier: f64| u < (multiplier * self.p) as f32;
        let angle = |unit: f32| (f64::from(unit) * 2.0 - 1.0) * std::f64::consts::PI;
        let or_zero = |condition: bool, value: f64| if condition { value } else { 0.0 };
        let moves = happens(draw.translate_frac_u, self.translate_frac);
        Chosen {
            xflip: happens(draw.xflip_u, self.xflip) && draw.xflip_w,
            yflip: happens(draw.yflip_u, self.yflip) && draw.yflip_w,
            scale: or_zero(happens(draw.scale_u, self.scale), draw.scale_w.into()),
            rotation: or_zero(happens(draw.rotate_frac_u, self.rotate_frac), angle(draw.rotate_frac_w)),
            aniso: or_zero(happens(draw.aniso_u, self.aniso), draw.aniso_w.into()),
            aniso_angle: or_zero(draw.aniso_rotate_u < ANISO_ROTATE_PROB, angle(draw.aniso_r)),
            translation: draw.translate_frac_w.map(|w| or_zero(moves, w.into())),
        }
    }

    fn labels(&self, chosen: &Chosen) -> Vec<f32> {
        let flag = |on: bool| f64::from(u8::from(on));
        let mut labels = Vec::new();
        let mut push = |multiplier: f64, values: &[f64]| {
            if multiplier > 0.0 {
                labels.extend(values.iter().map(|&v| v as f32));
            }
        };
        push(self.xflip, &[flag(chosen.xflip)]);
        push(self.yflip, &[flag(chosen.yflip)]);
        push(self.scale, &[chosen.scale]);
        push(self.rotate_frac, &[chosen.rotation.cos() - 1.0, chosen.rotation.sin()]);
        let (sin, cos) = chosen.aniso_angle.sin_cos();
        push(self.aniso, &[chosen.aniso * cos, chosen.aniso * sin]);
        push(self.translate_frac, &chosen.translation);
        labels
    }

    /// The map from output to input pixels, the origin at the image's centre.
    fn map(&self, chosen: &Chosen, w: usize, h: usize) -> Affine {
        let mut map = Affine::identity();
        if self.scale > 0.0 {
            let s = (SCALE_STD * chosen.scale).exp2();
            map = map * Affine::scale(1.0 / s, 1.0 / s);
        }
        if self.rotate_frac > 0.0 {
            map = map * Affine::rotation(chosen.rotation);
        }
        if self.aniso > 0.0 {
            let s = (ANISO_STD * chosen.aniso).exp2();
            map = map
                * Affine::rotation(-chosen.aniso_angle)
                * Affine::scale(1.0 / s, s)
                * Affine::rotation(chosen.aniso_angle);
        }
        if self.translate_frac > 0.0 {
            let [x, y] = chosen.translation;
            map = map * Affine::translation(-TRANSLATE_STD * w as f64 * x, -TRANSLATE_STD * h as f64 * y);
        }
        map
    }
}

/// What happens to one sample; 0 and `false` where a transform does not apply.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    pub(super) xflip: bool,
    pub(super) yflip: bool,
    scale: f64,
    rotation: f64,
    aniso: f64,
    aniso_angle: f64,
    translation: [f64; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    /// On the host; with the labels.
    fn augmented(
        pipe: &Augment,
        images: &mut Vec<f32>,
        shape: [usize; 4],
        draws: &[AugmentDraw],
    ) -> Vec<f32> {
        let tensor = Tensor::from_data(TensorData::new(images.clone(), shape), &Device::flex());
        let augmented = pipe.apply(tensor, draws);
        *images = augmented.images.into_data().try_into_vec().unwrap();
        augmented.labels.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn edm_has_nine_labels_and_fewer_where_a_transform_is_off() {
        assert_eq!(Augment::edm(0.12).label_dim(), 9);
        assert_eq!(Augment { rotate_frac: 0.0, ..Augment::edm(0.12) }.label_dim(), 7);
        assert_eq!(Augment::default().label_dim(), 0);
    }

    #[test]
    fn flips_alone_move_pixels_and_change_none() {
        let pipe = Augment { xflip: 1.0, yflip: 1.0, ..Augment::default() };
        let draw = AugmentDraw { xflip_w: true, yflip_w: true, ..AugmentDraw::default() };
        let mut images = ramp(2 * 3 * 4);
        let labels = augmented(&pipe, &mut images, [1, 2, 3, 4], &[draw]);
        let mut expected = ramp(2 * 3 * 4);
        expected.chunks_mut(12).for_each(<[f32]>::reverse);
        assert_eq!(images, expected);
        assert_eq!(labels, [1.0, 1.0]);
    }

    #[test]
    fn a_constant_image_stays_constant() {
        // Each phase of the filter sums to one only nearly.
        let pipe = Augment::edm(1.0);
        let draw = AugmentDraw { scale_w: 1.0, rotate_frac_w: 0.7, aniso_w: 0.5, ..AugmentDraw::default() };
        let mut images = vec![0.5; 16 * 16];
        augmented(&pipe, &mut images, [1, 1, 16, 16], &[draw]);
        assert!(images.iter().all(|v| (v - 0.5).abs() < 2e-3), "{images:?}");
    }

    #[test]
    fn an_integer_translation_moves_the_image_and_reflects_its_border() {
        // 0.125 * 16 pixels * 1 = 2 pixels to the right.
        let pipe = Augment { translate_frac: 1.0, ..Augment::default() };
        let draw = AugmentDraw { translate_frac_w: [1.0, 0.0], ..AugmentDraw::default() };
        let original = ramp(16 * 16);
        let mut images = original.clone();
        let labels = augmented(&pipe, &mut images, [1, 1, 16, 16], &[draw]);
        let mut still = original.clone();
        let rest = AugmentDraw { translate_frac_w: [0.0, 0.0], ..AugmentDraw::default() };
        augmented(&pipe, &mut still, [1, 1, 16, 16], &[rest]);
        for y in 0..16 {
            for x in 2..16 {
                assert!((images[y * 16 + x] - still[y * 16 + x - 2]).abs() < 1e-5, "at {x}, {y}");
            }
            assert!((images[y * 16 + 1] - still[y * 16 + 1]).abs() < 1e-5, "pixel -1 mirrors pixel 1");
        }
        assert_eq!(labels, [1.0, 0.0]);
    }

    #[test]
    fn nan_stays_with_its_own_sample() {
        let mut images = ramp(2 * 64);
        images[3] = f32::NAN;
        augmented(
            &Augment::edm(0.5),
            &mut images,
            [2, 1, 8, 8],
            &[AugmentDraw::default(), AugmentDraw::default()],
        );
        assert!(images[..64].iter().any(|v| v.is_nan()));
        assert!(images[64..].iter().all(|v| v.is_finite()));
    }
}
