//! `TeacherTrainer`: trains a diffusion model from nothing with EDM's loss, or EDM2's.

use std::ops::Range;

use burn::tensor::Tensor;

use super::batch::TeacherBatch;
use crate::{
    Result,
    diffusion::denoising_loss::{denoising_loss, weight},
    kimg::Kimg,
    nn::{Condition, Denoiser},
    state_dict::StateDict,
    training::{
        Adam, AdamSettings, Ema, Gradients, Sanitized, ema, parameters,
        state::{join, nimg, part},
    },
};

/// How a teacher learns.
#[derive(Clone, Debug, PartialEq)]
pub struct TeacherSettings {
    /// Standard deviation of the data that the network assumes.
    pub sigma_data: f64,
    /// Whether the network learns its own uncertainty along the way (EDM2).
    pub learns_uncertainty: bool,
    /// Whether weights are normalised in place before every training pass (EDM2).
    pub forced_normalization: bool,
    /// Images per iteration.
    pub batch_size: u32,
    /// Images in memory at once.
    pub microbatch_size: u32,
    /// Learning rate.
    pub lr: f64,
    /// The learning rate grows linearly from zero over so many images.
    pub lr_rampup: Kimg,
    /// The rest of Adam.
    pub adam: AdamSettings,
    /// The average that is handed on.
    pub ema: Ema,
}

/// A teacher under way. Networks rest without a tape.
#[derive(Debug)]
pub struct TeacherTrainer<D> {
    settings: TeacherSettings,
    network: D,
    ema: D,
    optimizer: Adam,
    nimg: u64,
}

/// What happened in one iteration of a teacher.
#[derive(Clone, Debug, PartialEq)]
pub struct TeacherIteration {
    /// Images seen when it began.
    pub nimg: u64,
    /// Sum over the batch divided by its size.
    pub loss: f64,
    /// Gradients.
    pub gradients: Sanitized,
    /// Learning rate.
    pub lr: f64,
    /// What was kept of the old average.
    pub ema_beta: f64,
}

impl<D: Denoiser> TeacherTrainer<D> {
    /// A training that has seen nothing.
    pub fn new(settings: TeacherSettings, network: D) -> Self {
        let network = network.valid();
        Self { optimizer: Adam::new(settings.adam), ema: network.clone(), network, settings, nimg: 0 }
    }

    /// One iteration. `batches` is asked for the samples of each micro-batch of the iteration after `nimg` images.
    ///
    /// # Errors
    /// The dataset cannot be read.
    pub fn step(
        &mut self,
        mut batches: impl FnMut(u64, Range<u64>) -> Result<TeacherBatch>,
    ) -> Result<TeacherIteration> {
        let (nimg, batch_size) = (self.nimg, u64::from(self.settings.batch_size));
        let mut gradients = Gradients::default();
        let mut losses = Vec::new();
        for samples in rounds(batch_size, u64::from(self.settings.microbatch_size)) {
            let batch = batches(nimg, samples)?;
            if self.settings.forced_normalization {
                self.network = self.network.clone().force_weight_normalization();
            }
            let (loss, of_round) = self.round(batch);
            gradients.add(of_round);
            losses.push(loss);
        }
        let sanitized = gradients.sanitize(None);
        let lr = self.settings.lr * (nimg as f64 / (self.settings.lr_rampup.0 * 1000.0).max(1e-8)).min(1.0);
        // The average keeps the seat, so that the optimizer owns the parameters and may write in place.
        let network = std::mem::replace(&mut self.network, self.ema.clone());
        self.network = self.optimizer.step(network, gradients, lr);
        let ema_beta = self.settings.ema.beta(nimg, batch_size);
        let average = std::mem::replace(&mut self.ema, self.network.clone());
        self.ema = ema::update(average, &self.network, ema_beta);
        self.nimg += batch_size;
        let losses = Tensor::cat(losses, 0).into_data();
        Ok(TeacherIteration { nimg, loss: losses.iter::<f64>().sum(), gradients: sanitized, lr, ema_beta })
    }

    fn round(&self, batch: TeacherBatch) -> (Tensor<1>, Gradients) {
        let student = self.network.clone().train();
        let noisy = batch.images.clone() + batch.noise * batch.sigma.clone();
        let condition = Condition { class_labels: batch.class_labels, augment_labels: batch.augment_labels };
        let denoised =
            student.denoise(noisy.autodiff(), batch.sigma.clone().autodiff(), &condition, batch.dropout);
        let logvar = denoised.logvar.filter(|_| self.settings.learns_uncertainty);
        let weight = weight(&batch.sigma, self.settings.sigma_data).autodiff();
        let loss = denoising_loss(batch.images.autodiff(), denoised.images, weight, logvar);
        let loss = loss.sum() / f64::from(self.settings.batch_size);
        let gradients = Gradients::collect(&student, &student.parameter_names(), &mut loss.backward());
        (loss.inner(), gradients)
    }

    /// Images seen so far.
    pub fn nimg(&self) -> u64 {
        self.nimg
    }

    /// The network in training.
    pub fn network(&self) -> &D {
        &self.network
    }

    /// Its average: what the training hands on.
    pub fn ema(&self) -> &D {
        &self.ema
    }

    /// Everything that changes, as named tensors: `network/`, `ema/`, `optimizer/`, `nimg`.
    pub fn state(&self) -> StateDict {
        let parts = [
            ("network", parameters::state(&self.network)),
            ("ema", parameters::state(&self.ema)),
            ("optimizer", self.optimizer.state()),
        ];
        join(parts, self.nimg)
    }

    /// Continues from a `state`; `origin` names the file in errors. On an error nothing has changed.
    ///
    /// # Errors
    /// The state lacks something, or belongs to another network.
    pub fn restore(&mut self, state: &StateDict, origin: &str) -> Result<()> {
        let nimg = nimg(state, origin)?;
        let network = parameters::restore(self.network.clone(), &part(state, "network"), origin)?;
        let ema = parameters::restore(self.ema.clone(), &part(state, "ema"), origin)?;
        let optimizer = Adam::restore(self.settings.adam, &network, &part(state, "optimizer"), origin)?;
        *self = Self { settings: self.settings.clone(), network, ema, optimizer, nimg };
        Ok(())
    }
}

/// The samples of each micro-batch.
fn rounds(batch_size: u64, microbatch_size: u64) -> impl Iterator<Item = Range<u64>> {
    let rounds = batch_size.div_ceil(microbatch_size);
    (0..rounds).map(move |r| r * microbatch_size..((r + 1) * microbatch_size).min(batch_size))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::{diffusion::LogNormal, nn::gaussian::Gaussian, seed::Seed, teach::TeacherDraws};

    fn settings() -> TeacherSettings {
        TeacherSettings {
            sigma_data: 0.5,
            learns_uncertainty: false,
            forced_normalization: false,
            batch_size: 32,
            microbatch_size: 16,
            lr: 0.02,
            lr_rampup: Kimg(1.0),
            adam: AdamSettings { betas: [0.9, 0.999], eps: 1e-8 },
            ema: Ema { half_life_kimg: Kimg(0.5), rampup_ratio: Some(0.05) },
        }
    }

    /// Images are normal with mean 0.5 and standard deviation 0.25.
    #[expect(clippy::unnecessary_wraps, reason = "what the trainer asks for")]
    fn batch(nimg: u64, samples: Range<u64>) -> Result<TeacherBatch> {
        let draws = TeacherDraws {
            seed: Seed(5),
            noise_levels: LogNormal { p_mean: -1.2, p_std: 1.2 },
            augment: None,
            device: Device::flex(),
        };
        let n = samples.clone().count();
        let values = draws.draw(nimg).purpose("images").normals(samples.clone(), 64);
        let values = values.into_iter().map(|z| 0.5 + 0.25 * z).collect::<Vec<_>>();
        let images = Tensor::from_data(TensorData::new(values, [n, 1, 8, 8]), &draws.device);
        Ok(draws.complete(images, None, nimg, samples))
    }

    #[test]
    fn a_teacher_learns_the_distribution_of_its_images() {
        let mut trainer = TeacherTrainer::new(settings(), Gaussian::new(-0.3, 1.0));
        for _ in 0..400 {
            trainer.step(batch).unwrap();
        }
        let (mean, std) = (trainer.ema().mean(), trainer.ema().std());
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        assert!((std - 0.25).abs() < 0.02, "std {std}");
    }

    #[test]
    fn uncertainty_settles_at_the_log_of_the_loss() {
        let settings = TeacherSettings { learns_uncertainty: true, ..settings() };
        let mut trainer = TeacherTrainer::new(settings.clone(), Gaussian::with_logvar(0.5, 0.25, 1.0));
        let mut plain = 0.0;
        for i in 0..300u32 {
            trainer.step(batch).unwrap();
            if i >= 200 {
                let settings = TeacherSettings { learns_uncertainty: false, lr: 0.0, ..settings.clone() };
                let mut judge = TeacherTrainer::new(settings, trainer.ema().clone());
                judge.nimg = trainer.nimg();
                plain += judge.step(batch).unwrap().loss / 64.0 / 100.0;
            }
        }
        let logvar = f64::from(trainer.ema().logvar());
        assert!((logvar - plain.ln()).abs() < 0.05, "{logvar} is not ln {plain}");
    }

    #[test]
    fn the_learning_rate_grows_from_zero() {
        let mut trainer = TeacherTrainer::new(settings(), Gaussian::new(0.1, 1.0));
        let rates: Vec<f64> = (0..40).map(|_| trainer.step(batch).unwrap().lr).collect();
        assert_eq!(rates[0].to_bits(), 0f64.to_bits());
        assert!((rates[10] - 0.02 * 0.32).abs() < 1e-12);
        assert!((rates[39] - 0.02).abs() < 1e-12);
    }

    #[test]
    fn a_restored_teacher_continues_bit_for_bit() {
        let mut uninterrupted = TeacherTrainer::new(settings(), Gaussian::new(-0.3, 1.0));
        (0..3).for_each(|_| drop(uninterrupted.step(batch).unwrap()));
        let mut resumed = TeacherTrainer::new(settings(), Gaussian::new(7.0, 7.0));
        resumed.restore(&uninterrupted.state(), "a checkpoint").unwrap();
        for _ in 0..3 {
            assert_eq!(resumed.step(batch).unwrap(), uninterrupted.step(batch).unwrap());
        }
        assert_eq!(resumed.state(), uninterrupted.state());
    }
}
