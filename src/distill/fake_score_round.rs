//! One round of the fake score phase: the generator's images, the losses, the gradients.

use super::{micro_batch::MicroBatch, objective::Objective, round::PhaseRound};
use crate::{
    Error, Result, kernels,
    nn::{Denoiser, Dropout},
    training::Gradients,
};

impl Objective {
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
    ) -> Result<PhaseRound> {
        let images = self.generate(generator, batch, &Dropout::Off);
        let untouched = || self.nothing_done(&images).filter(|_| self.generator.adversarial);
        let (clean, augment_labels) = match &batch.augmentation {
            Some(augmentation) => {
                let augmented = augmentation.apply(images.clone());
                (augmented.images, Some(augmented.labels))
            }
            None => (images.clone(), untouched()),
        };
        let pass = &batch.pass;
        let student = fake_score.clone().train();
        let sigma = pass.sigma.clone().autodiff();
        let noisy = pass.noisy(clean.clone()).autodiff();
        let condition = pass.condition(augment_labels);
        let judged = student.denoise(noisy, sigma.clone(), &condition, pass.dropout.clone());
        // Leaves of its own for the pass over real images: the gradients of both are added once, flat.
        let judge = self.generator.adversarial.then(|| fake_score.clone().train());
        let real_logits = if let Some(judge) = &judge {
            let real = batch.real.clone().ok_or_else(|| {
                Error::Unusable("the adversarial term needs real images, but the dataset gave none".into())
            })?;
            let condition = pass.condition(real.augment_labels.or_else(untouched));
            let noisy = pass.noisy(real.images).autodiff();
            Some(judge.encode(noisy, sigma.clone(), &condition, batch.real_dropout.clone()))
        } else {
            None
        };
        let terms = self.fake_score.terms(clean.autodiff(), judged, real_logits, &sigma);
        let scales = [self.scales.fake_score, self.scales.discriminator].map(|scale| scale / batch_size);
        let mut round = PhaseRound::new(images, terms, scales);
        let total = match &round.adversarial_loss {
            Some(discriminator) => round.loss.clone() + discriminator.clone(),
            None => round.loss.clone(),
        };
        let (names, mut tape) = (student.parameter_names(), kernels::backward(&total));
        let gradients = Gradients::collect(&student, &names, &mut tape);
        round.gradients = match judge {
            Some(judge) => gradients.and(Gradients::collect(&judge, &names, &mut tape)),
            None => gradients,
        };
        Ok(round)
    }
}
