//! `Draws`: everything random that a micro-batch needs, and everything from the dataset.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::supply::{Batch, Pass, Request};
use crate::{
    Result,
    data::{Augment, AugmentDraw, Augmentation},
    diffusion::{LogNormal, noise_level::JUDGED},
    kernels,
    nn::{Dropout, Dropped, NetworkConfig},
    seed::{Draw, Phase, Seed},
};

/// Draws from the seed: per sample, the same on every device and however the batch is split.
#[derive(Clone, Debug)]
pub struct Draws<B> {
    seed: Seed,
    augment: Option<Augment>,
    dropped: Dropped,
    batches: B,
    device: Device,
}

/// The draws of one round.
#[derive(Clone, Debug)]
pub struct RoundDraws<'a> {
    draw: Draw,
    samples: Range<u64>,
    augment: Option<&'a Augment>,
    dropped: &'a Dropped,
    device: &'a Device,
}

impl<B: FnMut(Request) -> Result<Batch>> Draws<B> {
    /// Draws from a stage's `seed`. Images are augmented with the probability `augment`, if `network` can be told of it;
    /// `batches` is the dataset, and answers requests; `device` is where tensors are made.
    pub fn new(seed: Seed, augment: f64, network: &NetworkConfig, batches: B, device: Device) -> Self {
        let augmented = augment > 0.0 && network.augment_dim() > 0;
        let augment = augmented.then(|| Augment::edm(augment));
        Self { seed, augment, dropped: Dropped::by(network), batches, device }
    }

    /// One round: its samples of the dataset, with or without their `images`, and its draws.
    ///
    /// # Errors
    /// The dataset cannot be read.
    pub fn round(
        &mut self,
        phase: Phase,
        nimg: u64,
        samples: Range<u64>,
        images: bool,
    ) -> Result<(Batch, RoundDraws<'_>)> {
        let draw = self.seed.at(phase, nimg);
        let request =
            Request { phase, nimg, samples: samples.clone(), images, draw: draw.purpose("dataset") };
        let batch = (self.batches)(request)?;
        let Self { augment, dropped, device, .. } = self;
        Ok((batch, RoundDraws { draw, samples, augment: augment.as_ref(), dropped, device }))
    }
}

impl RoundDraws<'_> {
    /// Standard normals, images of the shape `[c, h, w]`. => `[n, c, h, w]`
    pub fn normals(&self, purpose: &str, [c, h, w]: [usize; 3]) -> Tensor<4> {
        let n = self.samples.clone().count();
        kernels::normals(self.draw.purpose(purpose), self.samples.start, [n, c, h, w], self.device)
    }

    /// Noise levels of denoising. => `[n, 1, 1, 1]`
    pub fn levels(&self, levels: LogNormal) -> Tensor<4> {
        levels.levels(self.normals("sigma", [1, 1, 1]))
    }

    /// Noise levels at which a generator is judged. => `[n, 1, 1, 1]`
    pub fn judged_levels(&self, tmax: u32) -> Tensor<4> {
        let dims = [self.samples.clone().count(), 1, 1, 1];
        let uniforms = kernels::uniforms(self.draw.purpose("sigma"), self.samples.start, dims, self.device);
        JUDGED.levels_up_to(tmax, uniforms)
    }

    /// What the passes over images of the shape `[c, h, w]` need.
    pub fn pass(
        &self,
        sigma: Tensor<4>,
        shape: [usize; 3],
        class_labels: Option<Tensor<2>>,
        dropout: Dropout,
    ) -> Pass {
        Pass { sigma, noise: self.normals("noise", shape), class_labels, dropout }
    }

    /// What a training pass drops; in a phase with several passes these are over different images, have names, and draw
    /// different masks.
    pub fn dropout(&self, pass: Option<&str>) -> Dropout {
        let draw = self.draw.purpose("dropout");
        let draw = pass.map_or(draw, |pass| draw.purpose(pass));
        self.dropped.masks(draw, self.samples.clone(), self.device)
    }

    /// An augmentation of images of the shape `[c, h, w]`, where images are augmented.
    pub fn augmentation(&self, purpose: &str, shape: [usize; 3]) -> Option<Augmentation> {
        let draws = || AugmentDraw::make(self.draw.purpose(purpose), self.samples.clone());
        self.augment.map(|augment| augment.drawn(&draws(), shape, self.device))
    }
}
