//! The loss of the generator: score identity, and with an adversarial term the wish to be taken for real.
//! A pure function; noise and sigma are arguments.

use burn::tensor::Tensor;

use super::{kept::Kept, round::LossTerms, sida_loss};
use crate::{kernels, nn::Denoised};

/// The settings of the generator's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeneratorLoss {
    /// Weight of the score gap's square: L2 - alpha L1 (SiD).
    pub alpha: f64,
    /// Whether there is an adversarial term.
    pub adversarial: bool,
    /// Divide the losses by the fake score network's own uncertainty (EDM2).
    pub weight_by_logvar: bool,
    /// Whether the logits of samples with a NaN are left out of the adversarial mean, as in the reference's EDM2
    /// loss. In its EDM loss they are not, and one NaN spoils the adversarial term of the whole micro-batch.
    pub drop_nan_logits: bool,
}

impl GeneratorLoss {
    /// The losses (SiD's score identity; SiDA's adversarial term).
    ///
    /// generated: the generator's images; real, fake: what the teacher and the fake score network say about them
    /// under noise. `[n, c, h, w]`
    pub fn terms(&self, generated: Tensor<4>, real: Tensor<4>, fake: Denoised) -> LossTerms {
        let logits = self.adversarial.then(|| fake.logits());
        let logvar = fake.logvar.filter(|_| self.weight_by_logvar);
        let checked = logits.as_ref().filter(|_| self.drop_nan_logits);
        let kept = Kept::judge([&generated, &real, &fake.images].into_iter().chain(checked).chain(&logvar));
        let (generated, real, fake) = (kept.only(generated), kept.only(real), kept.only(fake.images));
        let divisor = normalizer(&generated, &real);
        let divisor = match logvar {
            Some(logvar) => divisor * kept.only(logvar).exp(),
            None => divisor,
        };
        let adversarial = logits.map(|logits| {
            let cost = sida_loss::generator(logits, self.drop_nan_logits.then_some(&kept));
            kept.only(cost / divisor.clone())
        });
        let score = kernels::score_identity(generated, real, fake, &divisor, self.alpha);
        LossTerms { score, error: None, adversarial, kept }
    }
}

/// The mean distance of every sample from the teacher's opinion of it, at least 1e-5; a constant to the gradient.
fn normalizer(generated: &Tensor<4>, real: &Tensor<4>) -> Tensor<4> {
    let mean = kernels::mean_distance(generated, real).clamp_min(1e-5);
    if generated.is_autodiff() { mean.autodiff() } else { mean }
}
