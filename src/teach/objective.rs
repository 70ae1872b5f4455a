//! `TeacherObjective`: what the family of a network asks of its training; and one round of it.

use burn::tensor::Tensor;

use super::{batch::TeacherBatch, recipe::TrainTeacher};
use crate::{
    diffusion::denoising_loss::{denoising_loss, weight},
    kernels,
    nn::Denoiser,
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
    /// Factor of the loss whose gradients are taken.
    pub loss_scale: f64,
}

impl TeacherObjective {
    /// What a recipe and its family of networks ask for.
    pub fn new(recipe: &TrainTeacher) -> Self {
        let network = &recipe.network;
        Self {
            sigma_data: network.sigma_data(),
            learns_uncertainty: network.is_edm2(),
            forced_normalization: network.is_edm2(),
            loss_scale: recipe.loss_scale,
        }
    }

    /// One round: the loss and the same without EDM2's weight, and the gradients of the scaled loss by the network's
    /// parameters. The network without a tape; `batch_size` divides the sums. => losses `[2]`
    pub fn round<D: Denoiser>(
        &self,
        network: &D,
        TeacherBatch { real, pass }: &TeacherBatch,
        batch_size: f64,
    ) -> (Tensor<1>, Gradients) {
        let student = network.clone().train();
        let noisy = pass.noisy(real.images.clone()).autodiff();
        let condition = pass.condition(real.augment_labels.clone());
        let denoised =
            student.denoise(noisy, pass.sigma.clone().autodiff(), &condition, pass.dropout.clone());
        let logvar = denoised.logvar.filter(|_| self.learns_uncertainty);
        let weight = weight(&pass.sigma, self.sigma_data).autodiff();
        let (clean, denoised) = (real.images.clone().autodiff(), denoised.images);
        let error = logvar.is_some().then(|| {
            denoising_loss(clean.clone().inner(), denoised.clone().inner(), weight.clone().inner(), None)
        });
        let sum = kernels::total(denoising_loss(clean, denoised, weight, logvar));
        let mut tape = kernels::backward(&(sum.clone() * (self.loss_scale / batch_size)));
        let gradients = Gradients::collect(&student, &student.parameter_names(), &mut tape);
        let loss = sum.inner() / batch_size;
        let error = error.map_or_else(|| loss.clone(), |error| kernels::total(error) / batch_size);
        (Tensor::cat(vec![loss, error], 0), gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kimg::Kimg,
        nn::gaussian::Gaussian,
        ranks::Ranks,
        teach::{
            TeacherIteration,
            trainer::tests::{recipe, supply, trainer},
        },
    };

    /// Three iterations, and the network that they end with: its mean and standard deviation.
    fn learnt(loss_scale: f64) -> (Vec<TeacherIteration>, [f32; 2]) {
        let recipe = TrainTeacher { loss_scale, lr_rampup_kimg: Kimg(0.0), ..recipe() };
        let (mut trainer, mut supply) = (trainer(&recipe, Gaussian::new(-0.3, 1.0)), supply(&recipe));
        let iterations = (0..3).map(|_| trainer.step(&mut supply, &Ranks::alone()).unwrap().wait()).collect();
        (iterations, [trainer.ema().mean(), trainer.ema().std()])
    }

    #[test]
    fn the_loss_scale_multiplies_gradients_and_neither_the_loss_nor_adams_steps() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-5 * b.abs();
        let ((plain, by_plain), (scaled, by_scaled)) = (learnt(1.0), learnt(100.0));
        assert_eq!(scaled[0].loss.to_bits(), plain[0].loss.to_bits());
        for (scaled, plain) in scaled.iter().zip(&plain) {
            assert!(near(scaled.gradients.norm, 100.0 * plain.gradients.norm), "{scaled:?} {plain:?}");
            assert!(near(scaled.loss, plain.loss) && near(scaled.error, plain.error), "{scaled:?} {plain:?}");
        }
        assert!((by_plain[0] + 0.3).abs() > 0.01, "nothing was learnt");
        for (scaled, plain) in by_scaled.into_iter().zip(by_plain) {
            assert!(near(scaled.into(), plain.into()), "{scaled} {plain}");
        }
        let (nothing, network) = learnt(0.0);
        assert!(nothing.iter().all(|of| of.gradients.norm == 0.0) && network == [-0.3, 1.0]);
    }
}
