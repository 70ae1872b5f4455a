//! `Supply`: where a trainer's micro-batches come from, and what those of all trainings are made of.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::{
    Result,
    data::{Augment, AugmentDraw, Augmented},
    kernels,
    nn::{Condition, Dropout},
    seed::{Draw, Phase},
};

/// Where micro-batches come from.
pub trait Supply {
    /// What one round works on. Tensors without a tape; draws before any scaling.
    type MicroBatch;

    /// One round of `phase` in the iteration that begins after `nimg` images; `samples` counts within its batch.
    ///
    /// # Errors
    /// The dataset cannot be read, or holds no images where there have to be some.
    fn micro_batch(&mut self, phase: Phase, nimg: u64, samples: Range<u64>) -> Result<Self::MicroBatch>;
}

/// What every training pass over a micro-batch needs besides its images. Passes of one round share it.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Noise levels. `[n, 1, 1, 1]`
    pub sigma: Tensor<4>,
    /// Standard normals. `[n, c, h, w]`
    pub noise: Tensor<4>,
    /// One-hot classes. `[n, classes]`
    pub class_labels: Option<Tensor<2>>,
    /// Where dropout draws its masks from, and the first sample's number within the whole batch.
    pub dropout: (Draw, u64),
}

impl Pass {
    /// Images under the noise. `[n, c, h, w]` => `[n, c, h, w]`
    pub fn noisy(&self, images: Tensor<4>) -> Tensor<4> {
        kernels::blend(images, None, self.noise.clone(), &self.sigma)
    }

    /// What a network is told about images with these augmentation labels.
    pub fn condition(&self, augment_labels: Option<Tensor<2>>) -> Condition {
        Condition { class_labels: self.class_labels.clone(), augment_labels }
    }

    /// Dropout in a phase with a single training pass.
    pub fn dropout(&self) -> Dropout {
        Dropout::On(self.dropout.0, self.dropout.1)
    }

    /// Dropout in one of several training passes; they are over different images, and draw different masks.
    pub fn dropout_of(&self, pass: &str) -> Dropout {
        Dropout::On(self.dropout.0.purpose(pass), self.dropout.1)
    }
}

/// Real images.
#[derive(Clone, Debug)]
pub struct Real {
    /// In the networks' range, augmented. `[n, c, h, w]`
    pub images: Tensor<4>,
    /// What was done to them; `None` means nothing. `[n, 9]`
    pub augment_labels: Option<Tensor<2>>,
}

/// An augmentation with its draws.
#[derive(Clone, Debug)]
pub struct Augmentation {
    /// The settings.
    pub augment: Augment,
    /// One per sample.
    pub draws: Vec<AugmentDraw>,
}

impl Augmentation {
    /// The augmented images, and what was done to each.
    pub fn apply(&self, images: Tensor<4>) -> Augmented {
        self.augment.apply(images, &self.draws)
    }
}

impl Real {
    /// Images after an augmentation, where there is one. `[n, c, h, w]`
    pub fn new(images: Tensor<4>, augmentation: Option<Augmentation>) -> Self {
        match augmentation.map(|augmentation| augmentation.apply(images.clone())) {
            Some(Augmented { images, labels }) => Self { images, augment_labels: Some(labels) },
            None => Self { images, augment_labels: None },
        }
    }
}

/// What the dataset is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which part of the iteration asks.
    pub phase: Phase,
    /// Images seen before this iteration.
    pub nimg: u64,
    /// Samples within the phase's batch.
    pub samples: Range<u64>,
    /// Whether images are needed, besides labels.
    pub images: bool,
    /// For whatever the reader has to draw (the noise of latents).
    pub draw: Draw,
}

/// What a training takes from a dataset.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Images in the networks' range, or latents; only where asked for. `[n, c, h, w]`
    pub images: Option<Tensor<4>>,
    /// One-hot classes. `[n, classes]`
    pub class_labels: Option<Tensor<2>>,
}

#[cfg(test)]
impl Batch {
    /// Truth for tests: images `[n, 1, 8, 8]` of normal values with mean 0.5 and standard deviation 0.25.
    pub(crate) fn of_normals(request: Request) -> Self {
        let n = request.samples.clone().count();
        let values = request.draw.normals(request.samples, 64).into_iter().map(|z| 0.5 + 0.25 * z);
        let values = burn::tensor::TensorData::new(values.collect::<Vec<_>>(), [n, 1, 8, 8]);
        let images = Tensor::from_data(values, &burn::tensor::Device::flex());
        Self { images: request.images.then_some(images), class_labels: None }
    }
}
