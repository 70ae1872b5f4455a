//! `Network`: a preconditioned network of any architecture, its settings and its names.

use std::sync::Arc;

use burn::{module::Module, tensor::Tensor};

use super::{
    config::NetworkConfig,
    denoiser::{Condition, Denoised, Denoiser, Dropout},
    registry::{Entry, Registry, state_dict},
};
use crate::{Error, Result, state_dict::StateDict};

/// A network that is ready to denoise.
#[derive(Module, Debug)]
pub struct Network {
    body: Body,
    #[module(skip)]
    config: NetworkConfig,
    #[module(skip)]
    entries: Arc<Vec<Entry>>,
}

/// The architectures.
#[derive(Module, Debug)]
pub(crate) enum Body {
    Nothing(super::layers::GroupNorm),
}

impl Body {
    pub(crate) fn new(_registry: &mut Registry, config: &NetworkConfig) -> Result<Self> {
        Err(Error::Unusable(format!("this version has no network for {config:?}")))
    }
}

impl Network {
    pub(crate) fn new(config: NetworkConfig, body: Body, entries: Vec<Entry>) -> Self {
        Self { body, config, entries: Arc::new(entries) }
    }

    /// The settings.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// All weights and buffers on the host, under the reference's names and in its order.
    pub fn state_dict(&self) -> StateDict {
        state_dict(&self.body, &self.entries)
    }
}

impl Denoiser for Network {
    fn denoise(&self, _: Tensor<4>, _: Tensor<4>, _: &Condition, _: Dropout) -> Denoised {
        unreachable!("no network can be built yet")
    }

    fn encode(&self, _: Tensor<4>, _: Tensor<4>, _: &Condition, _: Dropout) -> Tensor<4> {
        unreachable!("no network can be built yet")
    }

    fn parameter_names(&self) -> Vec<String> {
        self.entries.iter().filter(|e| e.is_parameter()).map(|e| e.name.clone()).collect()
    }
}
