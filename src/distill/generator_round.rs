//! One round of the generator phase: its images, the losses, the gradients.

use burn::tensor::Tensor;

use super::{generator_loss::GeneratorTerms, micro_batch::MicroBatch, objective::Objective};
use crate::{
    nn::{Denoiser, Dropout},
    training::Gradients,
};

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
        let pass = &batch.pass;
        let images = self.generate(&student, batch, pass.dropout_of("generator"));
        let noisy = pass.noisy(images.clone());
        let condition = pass.condition(self.nothing_done(&images));
        let judge =
            |network: &D| network.denoise(noisy.clone(), pass.sigma.clone(), &condition, Dropout::Off);
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
}

/// A network that passes gradients to its input and collects none itself.
#[must_use]
pub fn frozen<D: Denoiser>(network: &D) -> D {
    network.clone().no_grad().train()
}
