//! The loss of the fake score network: it denoises what the generator makes, and with an adversarial term its
//! encoder tells generated from real images. A pure function; noise and sigma are arguments.

use burn::tensor::Tensor;

use super::{
    cross_entropy::{should_be_generated, should_be_real},
    kept::Kept,
};
use crate::{
    diffusion::teacher_loss::{denoising_loss, weight},
    nn::Denoised,
};

/// The settings of the fake score network's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FakeScoreLoss {
    /// Standard deviation of the data that the networks assume.
    pub sigma_data: f64,
    /// Weight the losses by the network's own uncertainty (EDM2).
    pub weight_by_logvar: bool,
}

/// The losses of one micro-batch, unreduced and unscaled.
#[derive(Clone, Debug)]
pub struct FakeScoreTerms {
    /// Denoising, per value; 0 for dropped samples. `[n, c, h, w]`
    pub denoising: Tensor<4>,
    /// Telling generated from real, per sample; 0 for dropped samples. `[n, 1, 1, 1]`
    pub discriminator: Option<Tensor<4>>,
    /// The samples that took part.
    pub kept: Kept,
}

impl FakeScoreLoss {
    /// The losses (SiD's denoising loss; SiDA's discriminator where `real_logits` are given).
    ///
    /// generated: the clean (augmented) images of the generator `[n, c, h, w]`; judged: what the network says about
    /// them under noise; `real_logits`: what its encoder says about real images under the same noise `[n, 1, h', w']`;
    /// sigma `[n, 1, 1, 1]`
    pub fn terms(
        &self,
        generated: Tensor<4>,
        judged: Denoised,
        real_logits: Option<Tensor<4>>,
        sigma: &Tensor<4>,
    ) -> FakeScoreTerms {
        let logvar = judged.logvar.filter(|_| self.weight_by_logvar);
        let adversarial = real_logits.is_some().then_some(&judged.logits);
        let kept = Kept::judge([&generated, &judged.images].into_iter().chain(adversarial).chain(&logvar));
        let logvar = logvar.map(|logvar| kept.only(logvar));
        let weight = weight(sigma, self.sigma_data);
        let discriminator = real_logits.map(|real_logits| {
            let real = kept.mean(should_be_real(kept.only(real_logits)));
            let generated = kept.mean(should_be_generated(kept.only(judged.logits)));
            let weight = match &logvar {
                Some(logvar) => weight.clone() / logvar.clone().exp(),
                None => weight.clone(),
            };
            kept.only(weight * ((real + generated) / 2.0))
        });
        let denoising =
            kept.only(denoising_loss(kept.only(generated), kept.only(judged.images), weight, logvar));
        FakeScoreTerms { denoising, discriminator, kept }
    }
}
