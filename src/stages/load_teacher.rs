//! `load_teacher`: fetches a published network and reads its weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    artifact::Artifact,
    context::Context,
    rules,
    stage::{Input, Kind, Objection, Stage},
};
use crate::{
    Error, Result,
    diffusion::{Encoder, Sampler},
    location::Location,
    nn::NetworkConfig,
};

/// Fetches a published network and reads its weights: a teacher, or a generator that someone has distilled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadTeacher {
    /// The file.
    pub weights: Weights,
    /// The architecture. Default: what the file says; when given, the file has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkConfig>,
    /// How it makes images. Default: EDM's sampler with 18 steps; `one_step` for a distilled generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// What its images are: pixels, or latents of an autoencoder.
    #[serde(default)]
    pub encoder: Encoder,
    /// SHA-256 of the file in hexadecimal, to make sure that it is the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// A file with weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// A network pickle of EDM, EDM2 or SiD (`.pkl`); only data are read from it, no code is run.
    EdmPickle(Location),
    /// A `.safetensors` file with the reference's names, such as `sida export` writes.
    Safetensors(Location),
    /// The generator's moving average in a `training-state-*.pt` of the PyTorch release.
    TrainingState(Location),
}

impl Weights {
    /// Where the file is.
    pub fn location(&self) -> &Location {
        match self {
            Self::EdmPickle(location) | Self::Safetensors(location) | Self::TrainingState(location) => {
                location
            }
        }
    }
}

impl Stage for LoadTeacher {
    fn inputs(&self) -> Vec<Input<'_>> {
        Vec::new()
    }

    fn makes(&self) -> Kind {
        Kind::Network
    }

    fn check(&self) -> Vec<Objection> {
        self.network.iter().flat_map(|network| rules::network("network", network)).collect()
    }

    fn run(&self, _context: &mut Context<'_>) -> Result<Artifact> {
        Err(Error::Unusable("`load_teacher` is not implemented".into()))
    }
}
