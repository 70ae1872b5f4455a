//! `Method`: SiD, SiDA and SiD2A as the pipeline file writes them, and the terms each one asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use crate::{kimg::Kimg, stage_name::StageName};

/// How the generator learns from the teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Score identity Distillation: needs no images.
    Sid(Sid),
    /// SiD with an adversarial term against real images.
    Sida(Sida),
    /// SiDA started from a generator that SiD has distilled.
    Sid2a(Sid2a),
}

/// Score identity Distillation (Zhou et al., 2024): data-free.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sid {
    /// Weight of the score-gap term in the generator's loss, L2 - alpha L1.
    #[serde_inline_default(1.2)]
    #[schemars(range(min = -10.0, max = 10.0))]
    pub alpha: f64,
    /// Largest diffusion time of the generator's loss, of 1000.
    #[serde_inline_default(800)]
    #[schemars(range(min = 1, max = 1000))]
    pub tmax: u32,
}

/// Adversarial Score identity Distillation: the fake score network's encoder judges real and generated images.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sida {
    /// Weight of the score-gap term in the generator's loss, L2 - alpha L1.
    #[serde_inline_default(1.0)]
    #[schemars(range(min = -10.0, max = 10.0))]
    pub alpha: f64,
    /// Largest diffusion time of the generator's loss, of 1000.
    #[serde_inline_default(800)]
    #[schemars(range(min = 1, max = 1000))]
    pub tmax: u32,
    /// The adversarial term.
    #[serde(default)]
    pub adversarial: Adversarial,
}

/// SiDA that starts from a SiD generator.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sid2a {
    /// The stage whose generator this one starts from: a `distill` with SiD, or a `load_teacher` of a published generator.
    pub initial_generator: StageName,
    /// Weight of the score-gap term in the generator's loss, L2 - alpha L1.
    #[serde_inline_default(1.0)]
    #[schemars(range(min = -10.0, max = 10.0))]
    pub alpha: f64,
    /// Largest diffusion time of the generator's loss, of 1000.
    #[serde_inline_default(800)]
    #[schemars(range(min = 1, max = 1000))]
    pub tmax: u32,
    /// The adversarial term.
    #[serde(default)]
    pub adversarial: Adversarial,
}

/// The adversarial term of SiDA and SiD2A.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adversarial {
    /// Weight of the discriminator's loss in the fake score network's step.
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub discriminator_weight: f64,
    /// Weight of the adversarial term in the generator's step.
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub generator_weight: f64,
    /// The generator is not updated until more images than this have been seen: the discriminator warms up first.
    pub generator_starts_at_kimg: Kimg,
    /// The generator's loss gets its adversarial half once more images than this have been seen.
    pub starts_at_kimg: Kimg,
}

impl Default for Adversarial {
    fn default() -> Self {
        Self {
            discriminator_weight: 1.0,
            generator_weight: 0.01,
            generator_starts_at_kimg: Kimg(100.0),
            starts_at_kimg: Kimg(200.0),
        }
    }
}

/// The three methods are two switches: is there an adversarial term, and where does the generator start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms<'a> {
    /// Weight of the score-gap term.
    pub alpha: f64,
    /// Largest diffusion time, of 1000.
    pub tmax: u32,
    /// The adversarial term, where there is one.
    pub adversarial: Option<&'a Adversarial>,
    /// The stage whose generator this one starts from; else the teacher.
    pub initial_generator: Option<&'a StageName>,
}

impl Method {
    /// What the losses need to know.
    pub fn terms(&self) -> Terms<'_> {
        match self {
            Self::Sid(Sid { alpha, tmax }) => {
                Terms { alpha: *alpha, tmax: *tmax, adversarial: None, initial_generator: None }
            }
            Self::Sida(Sida { alpha, tmax, adversarial }) => {
                Terms { alpha: *alpha, tmax: *tmax, adversarial: Some(adversarial), initial_generator: None }
            }
            Self::Sid2a(Sid2a { initial_generator, alpha, tmax, adversarial }) => Terms {
                alpha: *alpha,
                tmax: *tmax,
                adversarial: Some(adversarial),
                initial_generator: Some(initial_generator),
            },
        }
    }

    /// As the papers call it.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Sid(_) => "SiD",
            Self::Sida(_) => "SiDA",
            Self::Sid2a(_) => "SiD2A",
        }
    }

    /// The key that the pipeline file writes: `sid`, `sida` or `sid2a`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sid(_) => "sid",
            Self::Sida(_) => "sida",
            Self::Sid2a(_) => "sid2a",
        }
    }
}
