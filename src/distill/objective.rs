//! `Objective`: what a recipe asks of both phases, for the family of networks at hand.

use burn::tensor::Tensor;

use super::{
    fake_score_loss::FakeScoreLoss, generator_loss::GeneratorLoss, micro_batch::MicroBatch, recipe::Distill,
};
use crate::{
    kernels,
    nn::{Denoiser, Dropout, NetworkConfig},
};

/// The mathematics of a distillation, without its clock and its optimizers.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Standard deviation of the generator's noise, and the noise level that it is told.
    pub init_sigma: f64,
    /// Steps of the generator.
    pub generator_steps: u32,
    /// Loss of the fake score network.
    pub fake_score: FakeScoreLoss,
    /// Loss of the generator.
    pub generator: GeneratorLoss,
    /// Factors of the losses.
    pub scales: LossScales,
    /// Width of the augmentation labels: in EDM's family every network is told, with zeros, that nothing was done;
    /// 0 where networks take no such labels.
    pub augment_dim: usize,
    /// Whose weights are normalised before a training pass (EDM2).
    pub forced_normalization: ForcedNormalization,
}

/// Factors of the losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScales {
    /// Of the fake score network's denoising loss.
    pub fake_score: f64,
    /// Of its discriminator loss.
    pub discriminator: f64,
    /// Of the generator's score identity loss.
    pub generator: f64,
    /// Of its adversarial loss.
    pub adversarial: f64,
}

/// Whose weights are normalised in place before every training pass.
///
/// As it really happens in the reference: without an adversarial term each network in its own phase, whatever the
/// setting says; with one the generator alone, and only if asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForcedNormalization {
    /// The fake score network's.
    pub fake_score: bool,
    /// The generator's.
    pub generator: bool,
}

impl Objective {
    /// What a recipe means for a family of networks.
    pub fn new(recipe: &Distill, network: &NetworkConfig) -> Self {
        let terms = recipe.method.terms();
        let edm2 = network.is_edm2().then(|| recipe.edm2.clone().unwrap_or_default());
        let weight_by_logvar = edm2.as_ref().is_some_and(|edm2| edm2.weight_by_logvar);
        let forced_normalization = match (&edm2, terms.adversarial) {
            (None, _) => ForcedNormalization::default(),
            (Some(_), None) => ForcedNormalization { fake_score: true, generator: true },
            (Some(edm2), Some(_)) => {
                ForcedNormalization { fake_score: false, generator: edm2.force_normalization }
            }
        };
        Self {
            init_sigma: recipe.generator.init_sigma,
            generator_steps: recipe.generator.num_steps,
            fake_score: FakeScoreLoss { sigma_data: network.sigma_data(), weight_by_logvar },
            generator: GeneratorLoss {
                alpha: terms.alpha,
                adversarial: terms.adversarial.is_some(),
                weight_by_logvar,
                drop_nan_logits: edm2.is_some(),
            },
            scales: LossScales {
                fake_score: recipe.fake_score.loss_scale,
                discriminator: terms.adversarial.map_or(0.0, |a| a.discriminator_weight),
                generator: recipe.generator.loss_scale,
                adversarial: terms.adversarial.map_or(0.0, |a| a.generator_weight),
            },
            augment_dim: network.augment_dim(),
            forced_normalization,
        }
    }

    /// The generator's images. `[n, c, h, w]`
    pub(super) fn generate<D: Denoiser>(
        &self,
        generator: &D,
        batch: &MicroBatch,
        dropout: &Dropout,
    ) -> Tensor<4> {
        let latents = batch.latents.clone();
        let condition = batch.pass.condition(self.nothing_done(&latents));
        let level = |k: usize| {
            let steps = f64::from(self.generator_steps.max(1));
            self.init_sigma * (steps - k as f64) / steps
        };
        let at = |sigma: f64| batch.pass.sigma.full_like(sigma);
        let step = |noisy: Tensor<4>, sigma: Tensor<4>| {
            generator.denoise(noisy, sigma, &condition, dropout.clone()).images
        };
        let sigma = at(self.init_sigma);
        let first = step(kernels::scale(latents, &sigma), sigma);
        batch.step_noise.iter().enumerate().fold(first, |images, (i, noise)| {
            let sigma = at(level(i + 1));
            step(kernels::blend(images, None, noise.clone(), &sigma), sigma)
        })
    }

    /// Augmentation labels that say "nothing was done". `[n, augment_dim]`
    pub(super) fn nothing_done(&self, images: &Tensor<4>) -> Option<Tensor<2>> {
        let device = images.device().inner();
        (self.augment_dim > 0).then(|| Tensor::zeros([images.dims()[0], self.augment_dim], &device))
    }
}
