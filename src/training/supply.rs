//! `Supply`: where a trainer's micro-batches come from, and what those of all trainings are made of.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::{
    Result,
    data::{Augmentation, Augmented},
    kernels::{self, Slots},
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

/// What one round works on, besides networks.
pub trait Inputs {
    /// Shows all tensors that the round reads, those of every micro-batch in the same order: every field is named, since
    /// one that is forgotten would be read as it was when a round was recorded.
    fn each(&mut self, slots: &mut Slots);
}

/// What every training pass over a micro-batch needs besides its images. Passes of one round share it, but for dropout.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Noise levels. `[n, 1, 1, 1]`
    pub sigma: Tensor<4>,
    /// Standard normals. `[n, c, h, w]`
    pub noise: Tensor<4>,
    /// One-hot classes. `[n, classes]`
    pub class_labels: Option<Tensor<2>>,
    /// What the pass that learns drops.
    pub dropout: Dropout,
}

impl Inputs for Pass {
    fn each(&mut self, slots: &mut Slots) {
        let Self { sigma, noise, class_labels, dropout } = self;
        slots.tensor(sigma);
        slots.tensor(noise);
        class_labels.iter_mut().for_each(|labels| slots.tensor(labels));
        dropout.each(slots);
    }
}

impl Inputs for Real {
    fn each(&mut self, slots: &mut Slots) {
        let Self { images, augment_labels } = self;
        slots.tensor(images);
        augment_labels.iter_mut().for_each(|labels| slots.tensor(labels));
    }
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
}

/// Real images.
#[derive(Clone, Debug)]
pub struct Real {
    /// In the networks' range, augmented. `[n, c, h, w]`
    pub images: Tensor<4>,
    /// What was done to them; `None` means nothing. `[n, 9]`
    pub augment_labels: Option<Tensor<2>>,
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
