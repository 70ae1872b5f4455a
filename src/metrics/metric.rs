//! `Metric`: the names of the language, and what each of them asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observed::Keep;

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
    /// Precision and recall of 50,000 generated images against all real ones, at most 200,000; k = 3.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
            Self::Is50k => vec!["is50k".into(), "is50k_std".into()],
            Self::Kid50kFull => vec!["kid50k_full".into()],
            Self::Pr50k3Full => vec!["pr50k3_full_precision".into(), "pr50k3_full_recall".into()],
            Self::FrechetDistance(FrechetDistance { detector, images }) => {
                vec![format!("fd_{}_{images}", detector.as_str())]
            }
        }
    }
}

/// What a metric asks of those who make images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// What turns images into features.
    pub detector: DetectorName,
    /// Number of generated images.
    pub generated: usize,
    /// What is kept of the generated images.
    pub keep: Keep,
    /// What is kept of the real images: nothing where they are not compared with.
    pub keep_real: Keep,
    /// At most so many real images are looked at.
    pub max_real: usize,
}

impl Needs {
    /// Whether there must be real images, or statistics of them.
    pub fn reference(&self) -> bool {
        self.keep_real != Keep::default()
    }

    /// Whether published mean and covariance can stand in for the real images.
    pub fn statistics_suffice(&self) -> bool {
        !self.keep_real.features
    }
}

impl Metric {
    /// What it asks for.
    pub fn needs(&self) -> Needs {
        let moments = Keep { moments: true, ..Keep::default() };
        let features = Keep { features: true, ..Keep::default() };
        let full = Needs {
            detector: DetectorName::Inception,
            generated: 50_000,
            keep: moments,
            keep_real: moments,
            max_real: usize::MAX,
        };
        match self {
            Self::Fid50kFull => full,
            Self::Is50k => Needs {
                keep: Keep { probabilities: true, ..Keep::default() },
                keep_real: Keep::default(),
                ..full
            },
            Self::Kid50kFull => Needs { keep: features, keep_real: features, max_real: 1_000_000, ..full },
            Self::Pr50k3Full => Needs { keep: features, keep_real: features, max_real: 200_000, ..full },
            Self::FrechetDistance(FrechetDistance { detector, images }) => {
                Needs { detector: *detector, generated: *images as usize, ..full }
            }
        }
    }
}

impl DetectorName {
    /// As names of metrics carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::RandomConv => "random_conv",
            Self::Inception => "inception",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_detector_and_images() {
        let text = r#"["fid50k_full", "is50k", "kid50k_full", "pr50k3_full",
                       {"frechet_distance": {"detector": "random_conv", "images": 2000}}]"#;
        let metrics: Vec<Metric> = serde_json::from_str(text).unwrap();
        let names: Vec<String> = metrics.iter().flat_map(Metric::names).collect();
        let truth = [
            "fid50k_full",
            "is50k",
            "is50k_std",
            "kid50k_full",
            "pr50k3_full_precision",
            "pr50k3_full_recall",
            "fd_random_conv_2000",
        ];
        assert_eq!(names, truth);
    }
}
