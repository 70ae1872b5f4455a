//! One round of the generator phase: its images, the losses, the gradients.

use super::{micro_batch::MicroBatch, objective::Objective, round::PhaseRound};
use crate::{
    kernels,
    nn::{Denoiser, Dropout},
    training::Gradients,
};

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
    ) -> PhaseRound {
        let student = match learning {
            Learning::Nothing => generator.clone(),
            Learning::Score | Learning::ScoreAndAdversarial => generator.clone().train(),
        };
        let pass = &batch.pass;
        let images = self.generate(&student, batch, &pass.dropout);
        let noisy = pass.noisy(images.clone());
        let condition = pass.condition(self.nothing_done(&images));
        let judge =
            |network: &D| network.denoise(noisy.clone(), pass.sigma.clone(), &condition, Dropout::Off);
        let real = judge(teacher).images;
        let fake = judge(fake_score);
        let [_, c, h, w] = images.dims();
        let terms = self.generator.terms(images.clone(), real, fake);
        let adversarial = self.scales.adversarial * (c * h * w) as f64;
        let scales = [self.scales.generator, adversarial].map(|scale| scale / batch_size);
        let mut round = PhaseRound::new(images, terms, scales);
        let total = match (&round.adversarial_loss, learning) {
            (_, Learning::Nothing) => return round,
            (Some(adversarial), Learning::ScoreAndAdversarial) => {
                round.loss.clone() * 0.5 + adversarial.clone() * 0.5
            }
            _ => round.loss.clone(),
        };
        round.gradients =
            Gradients::collect(&student, &student.parameter_names(), &mut kernels::backward(&total));
        round
    }
}

/// A network that passes gradients to its input and collects none itself.
#[must_use]
pub fn frozen<D: Denoiser>(network: &D) -> D {
    network.clone().no_grad().train()
}
