//! `generate`: images from a network, one seed each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    artifact::Artifact,
    context::Context,
    seeds::{Rng, Seeds},
    stage::{Input, Kind, Objection, Stage},
};
use crate::{
    Error, Result,
    diffusion::{Precision, Sampler},
    stage_name::StageName,
};

/// Makes images with a network, one seed each: PNG files, a grid, an `.npz`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// The stage that makes the network.
    pub network: StageName,
    /// How noise becomes images. Default: the network's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// Number of images: those of the seeds from 0 on. Default: 64, where `seeds` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub images: Option<u32>,
    /// Seeds of the images: `0-63`, or `1,2,5-10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// One class for all images. Default: each image draws its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<u32>,
    /// The generator of random numbers behind the seeds.
    #[serde(default)]
    pub rng: Rng,
    /// Images that are made at once.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    /// Arithmetic of the network.
    #[serde(default)]
    pub precision: Precision,
    /// Also writes an `.npz` with all images: `arr_0`, uint8, `[n, h, w, c]`.
    #[serde(default = "npz")]
    pub npz: bool,
}

impl Generate {
    /// The seeds that the fields mean.
    pub fn seeds(&self) -> Seeds {
        match (&self.seeds, self.images) {
            (Some(seeds), _) => seeds.clone(),
            (None, images) => Seeds::first(images.unwrap_or(64)),
        }
    }
}

impl Stage for Generate {
    fn inputs(&self) -> Vec<Input<'_>> {
        vec![Input::new("network", &self.network, Kind::Network)]
    }

    fn makes(&self) -> Kind {
        Kind::Images
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        if self.images.is_some() && self.seeds.is_some() {
            objections.push(
                Objection::new("images", "`images` and `seeds` both say how many images there are")
                    .help("keep one: `images: 64` means `seeds: 0-63`"),
            );
        }
        if let Some(seeds) = &self.seeds
            && let Err(error) = seeds.list()
        {
            objections.push(Objection::new("seeds", error.to_string()));
        }
        objections
    }

    fn run(&self, _context: &mut Context<'_>) -> Result<Artifact> {
        Err(Error::Unusable("`generate` is not implemented".into()))
    }
}

fn batch_size() -> u32 {
    64
}

fn npz() -> bool {
    true
}
