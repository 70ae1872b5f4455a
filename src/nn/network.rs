//! `Network`: a preconditioned network of any architecture, its settings and its names.

use std::sync::Arc;

use burn::{
    module::Module,
    tensor::{DType, Tensor},
};

use super::{
    config::NetworkConfig,
    denoiser::{Condition, Denoised, Denoiser, Dropout},
    edm_precond::EdmPrecond,
    edm2_precond::Edm2Precond,
    mp_layers::ForcedNormalization,
    registry::{Entry, Registry, state_dict},
};
use crate::{Result, state_dict::StateDict};

/// A network that is ready to denoise.
#[derive(Module, Debug)]
pub struct Network {
    body: Body,
    #[module(skip)]
    config: NetworkConfig,
    #[module(skip)]
    entries: Arc<Vec<Entry>>,
    #[module(skip)]
    compute: DType,
}

/// The two families, each with its own preconditioning.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are a handful of networks in a process")]
pub(crate) enum Body {
    Edm(EdmPrecond),
    Edm2(Edm2Precond),
}

/// What a network yields before preconditioning turns it into an image.
#[derive(Clone, Debug)]
pub struct Raw {
    /// F, in float32. `[n, out_channels, h, w]`
    pub f_x: Tensor<4>,
    /// The noise label that the network was given. `[n]`
    pub c_noise: Tensor<1>,
}

impl Body {
    /// Registers the network that the settings ask for.
    pub(crate) fn new(registry: &mut Registry, config: &NetworkConfig) -> Result<Self> {
        match config {
            NetworkConfig::Ddpmpp(_) | NetworkConfig::Ncsnpp(_) | NetworkConfig::Adm(_) => {
                EdmPrecond::new(registry, config).map(Self::Edm)
            }
            NetworkConfig::Edm2(config) => Edm2Precond::new(registry, config).map(Self::Edm2),
        }
    }
}

impl Network {
    pub(crate) fn new(config: NetworkConfig, body: Body, entries: Vec<Entry>) -> Self {
        Self { body, config, entries: Arc::new(entries), compute: DType::F32 }
    }

    /// Computes activations in this type (`F32`, `BF16` or `F16`); weights, embeddings and results stay float32.
    #[must_use]
    pub fn with_compute(self, compute: DType) -> Self {
        Self { compute, ..self }
    }

    /// The type of activations.
    pub fn compute(&self) -> DType {
        self.compute
    }

    /// The settings.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Side of the square images or latents.
    pub fn img_resolution(&self) -> usize {
        self.config.img_resolution()
    }

    /// Channels of the images or latents.
    pub fn img_channels(&self) -> usize {
        self.config.img_channels()
    }

    /// Number of classes; 0 where the network is unconditional.
    pub fn label_dim(&self) -> usize {
        self.config.label_dim()
    }

    /// The lowest noise level that samplers may use.
    pub fn sigma_min(&self) -> f64 {
        self.config.sigma_range().0
    }

    /// The highest noise level that samplers may use; infinite where nothing is said.
    pub fn sigma_max(&self) -> f64 {
        self.config.sigma_range().1
    }

    /// The noise level that the network really knows; samplers pass theirs through it.
    pub fn round_sigma(&self, sigma: f64) -> f64 {
        match &self.body {
            Body::Edm(net) => net.round_sigma(sigma),
            Body::Edm2(_) => sigma,
        }
    }

    /// All weights and buffers on the host, under the reference's names and in its order.
    pub fn state_dict(&self) -> StateDict {
        state_dict(&self.body, &self.entries)
    }

    /// Names, shapes and order of all tensors.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The raw network in evaluation mode, for those who judge it. noisy `[n, c, h, w]`, sigma `[n, 1, 1, 1]`
    pub fn raw(&self, noisy: Tensor<4>, sigma: Tensor<4>, condition: &Condition) -> Raw {
        match &self.body {
            Body::Edm(net) => net.raw(noisy, sigma, condition, self.compute),
            Body::Edm2(net) => net.raw(noisy, sigma, condition, self.compute),
        }
    }
}

impl Denoiser for Network {
    fn denoise(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
    ) -> Denoised {
        match &self.body {
            Body::Edm(net) => net.denoise(noisy, sigma, condition, dropout, self.compute),
            Body::Edm2(net) => net.denoise(noisy, sigma, condition, dropout, self.compute),
        }
    }

    fn encode(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
    ) -> Tensor<4> {
        match &self.body {
            Body::Edm(net) => net.encode(noisy, sigma, condition, dropout, self.compute),
            Body::Edm2(net) => net.encode(noisy, sigma, condition, dropout, self.compute),
        }
    }

    fn force_weight_normalization(self) -> Self {
        match self.body {
            Body::Edm(_) => self,
            Body::Edm2(net) => Self { body: Body::Edm2(net.map(&mut ForcedNormalization)), ..self },
        }
    }

    fn parameter_names(&self) -> Vec<String> {
        self.entries.iter().filter(|e| e.is_parameter()).map(|e| e.name.clone()).collect()
    }
}
