//! `Metric`: the names of the language, and what each of them asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A quantity that `evaluate` measures. Its name in tables and expectations carries its detector and its number of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Frechet Inception Distance of 50,000 generated images against all real ones.
    Fid50kFull,
    /// Inception Score of 50,000 generated images.
    Is50k,
    /// Kernel Inception Distance of 50,000 generated images against all real ones.
    Kid50kFull,
    /// Precision of 50,000 generated images against 50,000 real ones, k = 3; and recall.
    Pr50k3Full,
    /// Frechet distance with another detector or number of images; named `fd_<detector>_<images>`.
    FrechetDistance(FrechetDistance),
}

/// Frechet distance between generated and real images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrechetDistance {
    /// What turns images into features.
    pub detector: DetectorName,
    /// Number of generated images.
    #[schemars(range(min = 2))]
    pub images: u32,
}

/// What turns images into features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DetectorName {
    /// The pixels themselves, in [-1, 1].
    Pixels,
    /// A small convolutional network with fixed random weights.
    RandomConv,
    /// Inception v3 of the FID paper, 2048 features.
    Inception,
}

impl Metric {
    /// The names under which scores are kept: `fid50k_full`, `fd_pixels_2000`.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Fid50kFull => vec!["fid50k_full".into()],
            Self::Is50k => vec!["is50k".into()],
            Self::Kid50kFull => vec!["kid50k_full".into()],
            Self::Pr50k3Full => vec!["pr50k3_full_precision".into(), "pr50k3_full_recall".into()],
            Self::FrechetDistance(FrechetDistance { detector, images }) => {
                let detector = match detector {
                    DetectorName::Pixels => "pixels",
                    DetectorName::RandomConv => "random_conv",
                    DetectorName::Inception => "inception",
                };
                vec![format!("fd_{detector}_{images}")]
            }
        }
    }
}
