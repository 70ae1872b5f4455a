//! `Iteration`: what happened in one iteration of a distillation, in numbers.

use crate::{seed::Phase, training::Sanitized};

/// What happened in one iteration. Losses are sums over the batch divided by its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Iteration {
    /// Images seen when it began.
    pub nimg: u64,
    /// Denoising loss of the fake score network.
    pub fake_score_loss: f64,
    /// Its discriminator loss.
    pub discriminator_loss: Option<f64>,
    /// Score identity loss of the generator.
    pub generator_loss: f64,
    /// Its adversarial loss, reported also before the generator learns from it.
    pub adversarial_loss: Option<f64>,
    /// Samples of the fake score phase that were left out because of a NaN.
    pub fake_score_dropped: u64,
    /// Samples of the generator phase that were left out because of a NaN.
    pub generator_dropped: u64,
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

/// The losses of one round, as they entered the phase's sums.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Which half of the iteration.
    pub phase: Phase,
    /// Denoising or score identity loss.
    pub loss: f64,
    /// Discriminator or adversarial loss.
    pub adversarial: Option<f64>,
    /// Samples that were left out because of a NaN.
    pub dropped: u64,
}
