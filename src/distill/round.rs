//! `PhaseRound`: what one round of either phase yields.

use burn::tensor::Tensor;

use super::kept::Kept;
use crate::{kernels, training::Gradients};

/// The losses of one micro-batch, unreduced and unscaled.
#[derive(Clone, Debug)]
pub struct LossTerms {
    /// Per value: the fake score network's denoising, or the generator's score identity; 0 for dropped samples.
    /// `[n, c, h, w]`
    pub score: Tensor<4>,
    /// Of denoising that is weighted by the network's own uncertainty (EDM2): the same without that, for the guard. No
    /// tape. `[n, c, h, w]`
    pub error: Option<Tensor<4>>,
    /// Per sample, with an adversarial term: telling generated from real, or the wish to be taken for real; 0 for dropped
    /// samples. `[n, 1, 1, 1]`
    pub adversarial: Option<Tensor<4>>,
    /// The samples that took part.
    pub kept: Kept,
}

/// Numbers of a report: loss, error, adversarial loss, dropped samples.
pub(super) const REPORT: usize = 4;

/// One round of one phase.
#[derive(Debug)]
pub struct PhaseRound {
    /// The generator's images, before augmentation. `[n, c, h, w]`
    pub images: Tensor<4>,
    /// The losses, unreduced.
    pub terms: LossTerms,
    /// The scaled sum of `terms.score`. `[1]`
    pub loss: Tensor<1>,
    /// The scaled sum of `terms.error`; where there is none, `loss` without a tape. `[1]`
    pub error: Tensor<1>,
    /// The scaled sum of `terms.adversarial`. `[1]`
    pub adversarial_loss: Option<Tensor<1>>,
    /// By the parameters of the network that learns; empty where it was only asked for its losses.
    pub gradients: Gradients,
}

impl PhaseRound {
    /// A round whose gradients are still to be taken; with the factors of both sums.
    pub(super) fn new(images: Tensor<4>, terms: LossTerms, [score, adversarial]: [f64; 2]) -> Self {
        let loss = kernels::total(terms.score.clone()) * score;
        let error =
            terms.error.clone().map_or_else(|| loss.clone().inner(), |error| kernels::total(error) * score);
        let adversarial_loss = terms.adversarial.clone().map(|a| kernels::total(a) * adversarial);
        Self { images, terms, loss, error, adversarial_loss, gradients: Gradients::default() }
    }

    /// The gradients; and the report: loss, error, adversarial loss, number of dropped samples, still on the device. `[REPORT]`
    pub(super) fn reported(self) -> (Gradients, Tensor<1>) {
        let loss = self.loss.inner();
        let adversarial = self.adversarial_loss.map_or_else(|| loss.zeros_like(), Tensor::inner);
        let dropped = self.terms.kept.count_dropped();
        (self.gradients, Tensor::cat(vec![loss, self.error, adversarial, dropped], 0))
    }
}
