//! `MicroBatch`: everything random, and everything from the dataset, that one round of one phase needs.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    Result,
    data::{Augment, AugmentDraw, Augmented},
    diffusion::{
        LogNormal,
        noise_level::{JUDGED, per_sample},
    },
    nn::Dropout,
    seed::{Draw, Phase, Seed},
};

/// What one round works on. Tensors without a tape; draws before any scaling.
#[derive(Clone, Debug)]
pub struct MicroBatch {
    /// Standard normals that the generator turns into images. `[n, c, h, w]`
    pub latents: Tensor<4>,
    /// Standard normals between the steps of a generator with several. Each `[n, c, h, w]`
    pub step_noise: Vec<Tensor<4>>,
    /// The noise levels at which images are judged. `[n, 1, 1, 1]`
    pub sigma: Tensor<4>,
    /// Standard normals: the noise under which images are judged; generated and real ones share it. `[n, c, h, w]`
    pub noise: Tensor<4>,
    /// One-hot classes. `[n, classes]`
    pub class_labels: Option<Tensor<2>>,
    /// What happens to the generated images before the fake score network sees them.
    pub augmentation: Option<Augmentation>,
    /// Real images, in the fake score phase with an adversarial term.
    pub real: Option<Real>,
    /// Where dropout draws its masks from, and the first sample's number within the whole batch.
    pub dropout: (Draw, u64),
}

/// Real images, augmented independently of the generated ones.
#[derive(Clone, Debug)]
pub struct Real {
    /// In the networks' range. `[n, c, h, w]`
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

impl MicroBatch {
    /// Dropout in a training pass; passes over different images draw different masks.
    pub(super) fn dropout(&self, pass: &str) -> Dropout {
        Dropout::On(self.dropout.0.purpose(pass), self.dropout.1)
    }
}

/// Where micro-batches come from.
pub trait Supply {
    /// One round of `phase` in the iteration that begins after `nimg` images; `samples` counts within its batch.
    ///
    /// # Errors
    /// The dataset cannot be read.
    fn micro_batch(&mut self, phase: Phase, nimg: u64, samples: Range<u64>) -> Result<MicroBatch>;
}

/// What a distillation takes from a dataset.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Images in the networks' range, or latents; only asked for by the fake score phase with an adversarial term.
    /// `[n, c, h, w]`
    pub images: Option<Tensor<4>>,
    /// One-hot classes. `[n, classes]`
    pub class_labels: Option<Tensor<2>>,
}

/// What the dataset is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which half of the iteration.
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

/// Draws everything from the seed: per sample and on the host, the same on every device and however the batch is split.
#[derive(Debug)]
pub struct Drawn<B> {
    /// The stage's seed.
    pub seed: Seed,
    /// Shape of one image. `[c, h, w]`
    pub image_shape: [usize; 3],
    /// Steps of the generator.
    pub generator_steps: u32,
    /// The noise level that a unit draw stands for, a normal in the fake score phase, a uniform in the generator's.
    pub noise_levels: NoiseLevels,
    /// Augmentation of what the fake score network sees.
    pub augment: Option<Augment>,
    /// Whether the fake score phase needs real images.
    pub adversarial: bool,
    /// The dataset: answers requests.
    pub batches: B,
    /// Where tensors are made.
    pub device: Device,
}

/// The noise levels of both phases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevels {
    /// Of the fake score phase.
    pub fake_score: LogNormal,
    /// Of the generator phase: largest time, of 1000.
    pub tmax: u32,
}

impl<B: FnMut(Request) -> Result<Batch>> Supply for Drawn<B> {
    fn micro_batch(&mut self, phase: Phase, nimg: u64, samples: Range<u64>) -> Result<MicroBatch> {
        let draw = self.seed.at(phase, nimg);
        let images = self.adversarial && phase == Phase::FakeScore;
        let request =
            Request { phase, nimg, samples: samples.clone(), images, draw: draw.purpose("dataset") };
        let batch = (self.batches)(request)?;
        let levels = self.noise_levels;
        let sigma = match phase {
            Phase::Generator => {
                let uniforms = draw.purpose("sigma").uniforms(samples.clone(), 1);
                per_sample(&uniforms, |u| JUDGED.up_to(levels.tmax, u), &self.device)
            }
            _ => {
                let normals = draw.purpose("sigma").normals(samples.clone(), 1);
                per_sample(&normals, |z| levels.fake_score.sigma(z), &self.device)
            }
        };
        let normals = |what: &str| self.normals(draw.purpose(what), samples.clone());
        let augmentation = |what: &str| {
            let augment = self.augment.clone().filter(|_| phase == Phase::FakeScore)?;
            Some(Augmentation { augment, draws: AugmentDraw::make(draw.purpose(what), samples.clone()) })
        };
        let real = batch.images.map(|images| match augmentation("augment_real") {
            Some(augmentation) => {
                let Augmented { images, labels } = augmentation.apply(images);
                Real { images, augment_labels: Some(labels) }
            }
            None => Real { images, augment_labels: None },
        });
        Ok(MicroBatch {
            latents: normals("z"),
            step_noise: (1..self.generator_steps).map(|k| normals(&format!("z{k}"))).collect(),
            sigma,
            noise: normals("noise"),
            class_labels: batch.class_labels,
            augmentation: augmentation("augment_fake"),
            real,
            dropout: (draw.purpose("dropout"), samples.start),
        })
    }
}

impl<B> Drawn<B> {
    fn normals(&self, draw: Draw, samples: Range<u64>) -> Tensor<4> {
        let [c, h, w] = self.image_shape;
        let n = samples.clone().count();
        Tensor::from_data(TensorData::new(draw.normals(samples, c * h * w), [n, c, h, w]), &self.device)
    }
}
