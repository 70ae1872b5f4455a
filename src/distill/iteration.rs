//! `Iteration`: what happened in one iteration of a distillation, in numbers.

use super::round::REPORT;
use crate::{seed::Phase, training::Sanitized};

/// What happened in one iteration. Losses are sums over the batch divided by its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Iteration {
    /// Images seen when it began.
    pub nimg: u64,
    /// What the rounds of the fake score phase add up to.
    pub fake_score: Round,
    /// What the rounds of the generator phase add up to; adversarial also before the generator learns from it.
    pub generator: Round,
    /// Gradients of the fake score network.
    pub fake_score_gradients: Sanitized,
    /// Gradients of the generator; `None` while it does not learn.
    pub generator_gradients: Option<Sanitized>,
    /// Whether the generator learned from the adversarial term.
    pub adversarial_active: bool,
    /// What was kept of the old average.
    pub ema_beta: f64,
    /// The losses of every round of this replica, those of the fake score phase first.
    pub rounds: Vec<Round>,
}

/// The losses of one round, as they entered the phase's sums; or those sums.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Which half of the iteration.
    pub phase: Phase,
    /// Denoising or score identity loss.
    pub loss: f64,
    /// The denoising loss without the weight of the network's own uncertainty (EDM2); else `loss`.
    pub error: f64,
    /// Discriminator or adversarial loss.
    pub adversarial: Option<f64>,
    /// Samples that were left out because of a NaN.
    pub dropped: u64,
}

impl Round {
    /// The next report of `numbers`: loss, error, adversarial loss, number of dropped samples.
    pub(super) fn next(phase: Phase, numbers: &mut impl Iterator<Item = f64>, adversarial: bool) -> Self {
        let [loss, error, of_discriminator, dropped]: [f64; REPORT] =
            std::array::from_fn(|_| numbers.next().expect("a report is four numbers"));
        let adversarial = adversarial.then_some(of_discriminator);
        Self { phase, loss, error, adversarial, dropped: dropped as u64 }
    }
}
