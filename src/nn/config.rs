//! `NetworkConfig`: which network, with which settings; and the three things to do with it: list, draw, load.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    adm_config::AdmConfig,
    check::Problem,
    edm2_config::Edm2Config,
    network::{Body, Network},
    registry::{Entry, Registry},
    song_unet_config::{NcsnppConfig, SongUNetConfig},
};
use crate::{Error, Result, seed::Draw, state_dict::StateDict};

/// A network of EDM or EDM2 and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkConfig {
    /// DDPM++ (EDM's default).
    Ddpmpp(SongUNetConfig),
    /// NCSN++.
    Ncsnpp(NcsnppConfig),
    /// ADM.
    Adm(AdmConfig),
    /// EDM2's magnitude-preserving UNet.
    Edm2(Edm2Config),
}

// One line per question that every architecture answers with a field.
macro_rules! each {
    ($config:expr, $c:ident => $answer:expr) => {
        match $config {
            NetworkConfig::Ddpmpp($c) => $answer,
            NetworkConfig::Ncsnpp($c) => $answer,
            NetworkConfig::Adm($c) => $answer,
            NetworkConfig::Edm2($c) => $answer,
        }
    };
}

impl NetworkConfig {
    /// The architecture as a pipeline file names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ddpmpp(_) => "ddpmpp",
            Self::Ncsnpp(_) => "ncsnpp",
            Self::Adm(_) => "adm",
            Self::Edm2(_) => "edm2",
        }
    }

    /// All settings by their names, as a pipeline file writes them.
    pub fn settings(&self) -> serde_json::Value {
        each!(self, c => serde_json::to_value(c).expect("settings are plain data"))
    }

    /// Side of the square images or latents.
    pub fn img_resolution(&self) -> usize {
        each!(self, c => c.img_resolution)
    }

    /// Channels of the images or latents.
    pub fn img_channels(&self) -> usize {
        each!(self, c => c.img_channels)
    }

    /// Number of classes; 0 where the network is unconditional.
    pub fn label_dim(&self) -> usize {
        each!(self, c => c.label_dim)
    }

    /// Width of the augmentation labels; 0 where the network takes none.
    pub fn augment_dim(&self) -> usize {
        match self {
            Self::Ddpmpp(c) => c.augment_dim,
            Self::Ncsnpp(c) => c.augment_dim,
            Self::Adm(c) => c.augment_dim,
            Self::Edm2(_) => 0,
        }
    }

    /// Standard deviation of the images or latents that the network expects.
    pub fn sigma_data(&self) -> f64 {
        each!(self, c => c.sigma_data)
    }

    /// The noise levels that samplers may use, lowest and highest.
    pub fn sigma_range(&self) -> (f64, f64) {
        let (preconditioning, low, high) = match self {
            Self::Ddpmpp(c) => (c.preconditioning, c.sigma_min, c.sigma_max),
            Self::Ncsnpp(c) => (c.preconditioning, c.sigma_min, c.sigma_max),
            Self::Adm(c) => (c.preconditioning, c.sigma_min, c.sigma_max),
            Self::Edm2(_) => return (0.0, f64::INFINITY),
        };
        let (own_low, own_high) = preconditioning.sigma_range();
        (low.unwrap_or(own_low), high.unwrap_or(own_high))
    }

    /// Whether the network is one of EDM2's.
    pub fn is_edm2(&self) -> bool {
        matches!(self, Self::Edm2(_))
    }

    /// What is wrong with the settings, field by field; empty where nothing is.
    pub fn check(&self) -> Vec<Problem> {
        match self {
            Self::Ddpmpp(c) => c.check(),
            Self::Ncsnpp(c) => SongUNetConfig::from(c).check(),
            Self::Adm(c) => c.check(),
            Self::Edm2(c) => c.check(),
        }
    }

    /// Names, shapes and order of all tensors, without making any.
    ///
    /// # Errors
    /// Where `check` finds problems.
    pub fn shapes(&self) -> Result<Vec<Entry>> {
        let (_, entries) = self.build(Registry::shapes())?;
        Ok(entries)
    }

    /// A fresh network with EDM's initial distributions; every tensor depends on `draw` and its name alone.
    ///
    /// # Errors
    /// Where `check` finds problems.
    pub fn init(&self, draw: Draw, device: &Device) -> Result<Network> {
        let (body, entries) = self.build(Registry::drawn(draw, device))?;
        Ok(Network::new(self.clone(), body, entries))
    }

    /// A network with given weights under the reference's names; `origin` names them in errors. Half and double
    /// precision become float32. Buffers that follow from the settings may be missing.
    ///
    /// # Errors
    /// A missing, superfluous or misshapen tensor; settings that make no sense.
    pub fn load(&self, weights: &StateDict, origin: &str, device: &Device) -> Result<Network> {
        let (body, entries) = self.build(Registry::weights(weights, origin, device))?;
        Ok(Network::new(self.clone(), body, entries))
    }

    fn build(&self, mut registry: Registry) -> Result<(Body, Vec<Entry>)> {
        if let Some(Problem { field, problem }) = self.check().into_iter().next() {
            return Err(Error::Unusable(format!("network setting `{field}`: {problem}")));
        }
        let body = Body::new(&mut registry, self)?;
        Ok((body, registry.finish()?))
    }
}
