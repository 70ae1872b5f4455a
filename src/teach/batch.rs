//! `TeacherBatch`: real images with everything random that a teacher's training needs of them.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    data::{Augment, AugmentDraw, Augmented},
    diffusion::noise_level::{LogNormal, per_sample},
    nn::Dropout,
    seed::{Draw, Phase, Seed},
};

/// One micro-batch of real images. Tensors without a tape.
#[derive(Clone, Debug)]
pub struct TeacherBatch {
    /// In the networks' range, augmented. `[n, c, h, w]`
    pub images: Tensor<4>,
    /// What was done to them; `None` means nothing. `[n, 9]`
    pub augment_labels: Option<Tensor<2>>,
    /// One-hot classes. `[n, classes]`
    pub class_labels: Option<Tensor<2>>,
    /// Noise levels. `[n, 1, 1, 1]`
    pub sigma: Tensor<4>,
    /// Standard normals. `[n, c, h, w]`
    pub noise: Tensor<4>,
    /// Dropout's masks.
    pub dropout: Dropout,
}

/// Draws what belongs to a batch: per sample and on the host, the same on every device and however the batch is split.
#[derive(Clone, Debug)]
pub struct TeacherDraws {
    /// The stage's seed.
    pub seed: Seed,
    /// Distribution of noise levels.
    pub noise_levels: LogNormal,
    /// Augmentation of the images.
    pub augment: Option<Augment>,
    /// Where tensors are made.
    pub device: Device,
}

impl TeacherDraws {
    /// All draws of an iteration, for whoever needs more of them (the noise of latents: purpose `dataset`).
    pub fn draw(&self, nimg: u64) -> Draw {
        self.seed.at(Phase::Teacher, nimg)
    }

    /// Completes a micro-batch. images in the networks' range `[n, c, h, w]`; `samples` counts within the whole batch.
    pub fn complete(
        &self,
        images: Tensor<4>,
        class_labels: Option<Tensor<2>>,
        nimg: u64,
        samples: Range<u64>,
    ) -> TeacherBatch {
        let draw = self.draw(nimg);
        let [n, c, h, w] = images.dims();
        let normals = draw.purpose("noise").normals(samples.clone(), c * h * w);
        let levels = draw.purpose("sigma").normals(samples.clone(), 1);
        let dropout = Dropout::On(draw.purpose("dropout"), samples.start);
        let (images, augment_labels) = match &self.augment {
            Some(augment) => {
                let draws = AugmentDraw::make(draw.purpose("augment"), samples);
                let Augmented { images, labels } = augment.apply(images, &draws);
                (images, Some(labels))
            }
            None => (images, None),
        };
        TeacherBatch {
            images,
            augment_labels,
            class_labels,
            sigma: per_sample(&levels, |z| self.noise_levels.sigma(z), &self.device),
            noise: Tensor::from_data(TensorData::new(normals, [n, c, h, w]), &self.device),
            dropout,
        }
    }
}
