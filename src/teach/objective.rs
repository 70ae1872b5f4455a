//! `TeacherObjective`: what the family of a network asks of its training; and one round of it.

use burn::tensor::Tensor;

use super::batch::TeacherBatch;
use crate::{
    diffusion::denoising_loss::{denoising_loss, weight},
    nn::{Denoiser, NetworkConfig},
    training::Gradients,
};

/// The mathematics of a teacher's training, without its clock and its optimizer.
#[derive(Clone, Debug, PartialEq)]
pub struct TeacherObjective {
    /// Standard deviation of the data that the network assumes.
    pub sigma_data: f64,
    /// Whether the network learns its own uncertainty along the way (EDM2).
    pub learns_uncertainty: bool,
    /// Whether weights are normalised in place before every training pass (EDM2).
    pub forced_normalization: bool,
}

impl TeacherObjective {
    /// What a family of networks asks for.
    pub fn new(network: &NetworkConfig) -> Self {
        Self {
            sigma_data: network.sigma_data(),
            learns_uncertainty: network.is_edm2(),
            forced_normalization: network.is_edm2(),
        }
    }

    /// One round: the loss and the same without EDM2's weight, and the gradients by the network's parameters. The
    /// network without a tape; `batch_size` divides the sums. => losses `[2]`
    pub fn round<D: Denoiser>(
        &self,
        network: &D,
        TeacherBatch { real, pass }: TeacherBatch,
        batch_size: f64,
    ) -> (Tensor<1>, Gradients) {
        let student = network.clone().train();
        let noisy = pass.noisy(real.images.clone()).autodiff();
        let condition = pass.condition(real.augment_labels);
        let denoised = student.denoise(noisy, pass.sigma.clone().autodiff(), &condition, pass.dropout());
        let logvar = denoised.logvar.filter(|_| self.learns_uncertainty);
        let weight = weight(&pass.sigma, self.sigma_data).autodiff();
        let (clean, denoised) = (real.images.autodiff(), denoised.images);
        let error = logvar.is_some().then(|| {
            denoising_loss(clean.clone().inner(), denoised.clone().inner(), weight.clone().inner(), None)
        });
        let loss = denoising_loss(clean, denoised, weight, logvar).sum() / batch_size;
        let gradients = Gradients::collect(&student, &student.parameter_names(), &mut loss.backward());
        let loss = loss.inner();
        let error = error.map_or_else(|| loss.clone(), |error| error.sum() / batch_size);
        (Tensor::cat(vec![loss, error], 0), gradients)
    }
}
