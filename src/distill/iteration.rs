//! `Iteration`: what happened in one iteration of a distillation, in numbers.

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
    /// The losses of every round, those of the fake score phase first.
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

/// The rounds that reported `numbers`: those of the fake score phase, then as many of the generator phase.
pub(super) fn rounds(numbers: &[f64], adversarial: bool) -> Vec<Round> {
    let reports = numbers.chunks_exact(4);
    let of_fake_score = reports.len() / 2;
    let round = |(i, report): (usize, &[f64])| Round {
        phase: if i < of_fake_score { Phase::FakeScore } else { Phase::Generator },
        loss: report[0],
        error: report[1],
        adversarial: adversarial.then_some(report[2]),
        dropped: report[3] as u64,
    };
    reports.enumerate().map(round).collect()
}

impl Round {
    /// What the rounds of one phase add up to.
    pub(super) fn sum(rounds: &[Self], phase: Phase) -> Self {
        let rounds = || rounds.iter().filter(|round| round.phase == phase);
        Self {
            phase,
            loss: rounds().map(|round| round.loss).sum(),
            error: rounds().map(|round| round.error).sum(),
            adversarial: rounds().map(|round| round.adversarial).sum(),
            dropped: rounds().map(|round| round.dropped).sum(),
        }
    }
}
