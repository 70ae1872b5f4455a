//! `Objective`: what a recipe asks of both phases, for the family of networks at hand; and one round of each phase.

use burn::tensor::Tensor;

use super::{
    fake_score_loss::{FakeScoreLoss, FakeScoreTerms},
    generator_loss::{GeneratorLoss, GeneratorTerms},
    micro_batch::{MicroBatch, NoiseLevels},
    recipe::Distill,
};
use crate::{
    Error, Result,
    diffusion::{Gradients, LogNormal},
    nn::{Condition, Denoiser, Dropout, NetworkConfig},
};

/// The mathematics of a distillation, without its clock and its optimizers.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Standard deviation of the generator's noise, and the noise level that it is told.
    pub init_sigma: f64,
    /// Steps of the generator.
    pub generator_steps: u32,
    /// The noise levels of both phases.
    pub noise_levels: NoiseLevels,
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

/// One round of the fake score phase.
#[derive(Debug)]
pub struct FakeScoreRound {
    /// The generator's images, before augmentation. `[n, c, h, w]`
    pub images: Tensor<4>,
    /// The losses, unreduced.
    pub terms: FakeScoreTerms,
    /// The scaled denoising loss. `[1]`
    pub loss: Tensor<1>,
    /// The scaled discriminator loss. `[1]`
    pub discriminator_loss: Option<Tensor<1>>,
    /// Of their sum, by the fake score network's parameters.
    pub gradients: Gradients,
}

/// One round of the generator phase.
#[derive(Debug)]
pub struct GeneratorRound {
    /// The generator's images. `[n, c, h, w]`
    pub images: Tensor<4>,
    /// The losses, unreduced.
    pub terms: GeneratorTerms,
    /// The scaled score identity loss. `[1]`
    pub loss: Tensor<1>,
    /// The scaled adversarial loss. `[1]`
    pub adversarial_loss: Option<Tensor<1>>,
    /// By the generator's parameters; empty where it was only asked for its losses.
    pub gradients: Gradients,
}

/// What the generator phase does with its losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Nothing yet: the discriminator warms up, and the losses are only reported.
    Nothing,
    /// From score identity alone.
    Score,
    /// From score identity and the adversarial term, half and half.
    ScoreAndAdversarial,
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
            noise_levels: NoiseLevels {
                fake_score: LogNormal { p_mean: recipe.fake_score.p_mean, p_std: recipe.fake_score.p_std },
                tmax: terms.tmax,
            },
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

    /// One round of the fake score phase. Both networks without a tape; `batch_size` divides the sums.
    ///
    /// # Errors
    /// There is an adversarial term, but the micro-batch has no real images.
    pub fn fake_score_round<D: Denoiser>(
        &self,
        generator: &D,
        fake_score: &D,
        batch: &MicroBatch,
        batch_size: f64,
    ) -> Result<FakeScoreRound> {
        let images = self.generate(generator, batch, Dropout::Off);
        let untouched = || self.nothing_done(&images).filter(|_| self.generator.adversarial);
        let (clean, augment_labels) = match &batch.augmentation {
            Some(augmentation) => {
                let augmented = augmentation.apply(images.clone());
                (augmented.images, Some(augmented.labels))
            }
            None => (images.clone(), untouched()),
        };
        let noise = batch.noise.clone() * batch.sigma.clone();
        let student = fake_score.clone().train();
        let sigma = batch.sigma.clone().autodiff();
        let condition =
            |augment_labels| Condition { class_labels: batch.class_labels.clone(), augment_labels };
        let noisy = (clean.clone() + noise.clone()).autodiff();
        let judged = student.denoise(noisy, sigma.clone(), &condition(augment_labels), batch.dropout("fake"));
        let real_logits = if self.generator.adversarial {
            let real = batch.real.clone().ok_or_else(|| {
                Error::Unusable("the adversarial term needs real images, but the dataset gave none".into())
            })?;
            let labels = real.augment_labels.or_else(untouched);
            let noisy = (real.images + noise).autodiff();
            Some(student.encode(noisy, sigma.clone(), &condition(labels), batch.dropout("real")))
        } else {
            None
        };
        let terms = self.fake_score.terms(clean.autodiff(), judged, real_logits, &sigma);
        let loss = terms.denoising.clone().sum() * (self.scales.fake_score / batch_size);
        let discriminator_loss =
            terms.discriminator.clone().map(|d| d.sum() * (self.scales.discriminator / batch_size));
        let total = match &discriminator_loss {
            Some(discriminator) => loss.clone() + discriminator.clone(),
            None => loss.clone(),
        };
        let gradients = Gradients::collect(&student, &student.parameter_names(), &mut total.backward());
        Ok(FakeScoreRound { images, terms, loss, discriminator_loss, gradients })
    }

    /// One round of the generator phase. `teacher` and `fake_score` are frozen, see `frozen`; the generator has no tape.
    pub fn generator_round<D: Denoiser>(
        &self,
        generator: &D,
        teacher: &D,
        fake_score: &D,
        batch: &MicroBatch,
        learning: Learning,
        batch_size: f64,
    ) -> GeneratorRound {
        let student = match learning {
            Learning::Nothing => generator.clone(),
            Learning::Score | Learning::ScoreAndAdversarial => generator.clone().train(),
        };
        let images = self.generate(&student, batch, batch.dropout("generator"));
        let noisy = images.clone() + batch.noise.clone() * batch.sigma.clone();
        let condition = Condition {
            class_labels: batch.class_labels.clone(),
            augment_labels: self.nothing_done(&images),
        };
        let judge =
            |network: &D| network.denoise(noisy.clone(), batch.sigma.clone(), &condition, Dropout::Off);
        let real = judge(teacher).images;
        let fake = judge(fake_score);
        let [_, c, h, w] = images.dims();
        let terms = self.generator.terms(images.clone(), real, fake);
        let loss = terms.score.clone().sum() * (self.scales.generator / batch_size);
        let adversarial_scale = self.scales.adversarial * (c * h * w) as f64 / batch_size;
        let adversarial_loss = terms.adversarial.clone().map(|a| a.sum() * adversarial_scale);
        let total = match (&adversarial_loss, learning) {
            (_, Learning::Nothing) => None,
            (Some(adversarial), Learning::ScoreAndAdversarial) => {
                Some(loss.clone() * 0.5 + adversarial.clone() * 0.5)
            }
            _ => Some(loss.clone()),
        };
        let gradients = total.map_or_else(Gradients::default, |total| {
            Gradients::collect(&student, &student.parameter_names(), &mut total.backward())
        });
        GeneratorRound { images, terms, loss, adversarial_loss, gradients }
    }

    /// The generator's images. `[n, c, h, w]`
    fn generate<D: Denoiser>(&self, generator: &D, batch: &MicroBatch, dropout: Dropout) -> Tensor<4> {
        let latents = batch.latents.clone();
        let condition = Condition {
            class_labels: batch.class_labels.clone(),
            augment_labels: self.nothing_done(&latents),
        };
        let level = |k: usize| {
            let steps = f64::from(self.generator_steps.max(1));
            self.init_sigma * (steps - k as f64) / steps
        };
        let step = |noisy: Tensor<4>, sigma: f64| {
            let sigma = batch.sigma.full_like(sigma);
            generator.denoise(noisy, sigma, &condition, dropout).images
        };
        let first = step(latents * self.init_sigma, self.init_sigma);
        batch.step_noise.iter().enumerate().fold(first, |images, (i, noise)| {
            let sigma = level(i + 1);
            step(images + noise.clone() * sigma, sigma)
        })
    }

    /// Augmentation labels that say "nothing was done". `[n, augment_dim]`
    fn nothing_done(&self, images: &Tensor<4>) -> Option<Tensor<2>> {
        let device = images.device().inner();
        (self.augment_dim > 0).then(|| Tensor::zeros([images.dims()[0], self.augment_dim], &device))
    }
}

/// A network that passes gradients to its input and collects none itself.
#[must_use]
pub fn frozen<D: Denoiser>(network: &D) -> D {
    network.clone().no_grad().train()
}
