//! One round of the fake score phase: the generator's images, the losses, the gradients.

use burn::tensor::Tensor;

use super::{fake_score_loss::FakeScoreTerms, micro_batch::MicroBatch, objective::Objective};
use crate::{
    Error, Result,
    nn::{Denoiser, Dropout},
    training::Gradients,
};

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
        let pass = &batch.pass;
        let student = fake_score.clone().train();
        let sigma = pass.sigma.clone().autodiff();
        let noisy = pass.noisy(clean.clone()).autodiff();
        let condition = pass.condition(augment_labels);
        let judged = student.denoise(noisy, sigma.clone(), &condition, pass.dropout_of("fake"));
        let real_logits = if self.generator.adversarial {
            let real = batch.real.clone().ok_or_else(|| {
                Error::Unusable("the adversarial term needs real images, but the dataset gave none".into())
            })?;
            let condition = pass.condition(real.augment_labels.or_else(untouched));
            let noisy = pass.noisy(real.images).autodiff();
            Some(student.encode(noisy, sigma.clone(), &condition, pass.dropout_of("real")))
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
}
