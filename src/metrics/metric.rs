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
    /// Inception Score of another number of images; named `is_<images>`.
    Is(InceptionScore),
    /// Kernel distance with another detector or number of images; named `kid_<detector>_<images>`.
    Kid(KernelDistance),
    /// Precision and recall with another detector or number of images, k = 3; named `pr_<detector>_<images>_precision`
    /// and `pr_<detector>_<images>_recall`.
    PrecisionRecall(PrecisionAndRecall),
}

/// Frechet distance between generated and real images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrechetDistance {
    /// What turns images into features.
    pub detector: DetectorName,
    /// Number of generated images.
    #[schemars(range(min = 2, max = 100000000))]
    pub images: u32,
}

/// Inception Score of generated images, in ten splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InceptionScore {
    /// Number of generated images.
    #[schemars(range(min = 10, max = 100000000))]
    pub images: u32,
}

/// Kernel distance between generated and real images: the mean of 100 subsets of 1000 images, or of as many as there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelDistance {
    /// What turns images into features.
    #[serde(default)]
    pub detector: DetectorName,
    /// Number of generated images.
    #[schemars(range(min = 2, max = 100000000))]
    pub images: u32,
}

/// Precision and recall of generated against real images: neighbourhoods reach to the third nearest image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrecisionAndRecall {
    /// What turns images into features.
    #[serde(default)]
    pub detector: DetectorName,
    /// Number of generated images.
    #[schemars(range(min = 4, max = 100000000))]
    pub images: u32,
}

/// What turns images into features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DetectorName {
    /// The pixels themselves, in [-1, 1].
    Pixels,
    /// A small convolutional network with fixed random weights.
    RandomConv,
    /// Inception v3 of the FID paper, 2048 features.
    #[default]
    Inception,
}

/// Which end of a scale is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
}

impl Better {
    /// Whether `value` is better than `best`; what is not a number is better than nothing.
    pub fn than(self, value: f64, best: f64) -> bool {
        match self {
            Self::Lower => value < best,
            Self::Higher => value > best,
        }
    }
}

impl Metric {
    /// Which end of its first value's scale is good.
    pub fn better(&self) -> Better {
        match self {
            Self::Fid50kFull | Self::Kid50kFull | Self::FrechetDistance(_) | Self::Kid(_) => Better::Lower,
            Self::Is50k | Self::Pr50k3Full | Self::Is(_) | Self::PrecisionRecall(_) => Better::Higher,
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
    pub fn real_images(&self) -> bool {
        self.keep_real != Keep::default()
    }

    /// Whether published mean and covariance can stand in for the real images.
    pub fn statistics_suffice(&self) -> bool {
        !self.keep_real.features
    }

    /// Whether real images are looked at, where there are statistics of them or none.
    pub fn looks_at_images(&self, has_statistics: bool) -> bool {
        self.real_images() && !(has_statistics && self.statistics_suffice())
    }

    /// The same with another detector and number of generated images.
    fn of(self, detector: DetectorName, images: u32) -> Self {
        Self { detector, generated: images as usize, ..self }
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
        let scores = Needs {
            keep: Keep { probabilities: true, ..Keep::default() },
            keep_real: Keep::default(),
            ..full
        };
        let kernel = Needs { keep: features, keep_real: features, max_real: 1_000_000, ..full };
        let shares = Needs { max_real: 200_000, ..kernel };
        match self {
            Self::Fid50kFull => full,
            Self::Is50k => scores,
            Self::Kid50kFull => kernel,
            Self::Pr50k3Full => shares,
            Self::FrechetDistance(FrechetDistance { detector, images }) => full.of(*detector, *images),
            Self::Is(InceptionScore { images }) => scores.of(scores.detector, *images),
            Self::Kid(KernelDistance { detector, images }) => kernel.of(*detector, *images),
            Self::PrecisionRecall(PrecisionAndRecall { detector, images }) => shares.of(*detector, *images),
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
    fn each_metric_says_which_end_is_good() {
        let better = |name| Metric::column(name).and_then(|column| column.better);
        for lower in ["fid50k_full", "kid50k_full", "fd_inception_100", "kid_pixels_100"] {
            assert_eq!(better(lower), Some(Better::Lower), "{lower}");
        }
        for higher in ["is50k", "pr50k3_full_precision", "pr50k3_full_recall", "is_50", "pr_pixels_9_recall"]
        {
            assert_eq!(better(higher), Some(Better::Higher), "{higher}");
        }
        assert_eq!((better("is50k_std"), better("is_50_std")), (None, None));
        assert!(Better::Higher.than(2.0, 1.0) && Better::Lower.than(1.0, 2.0));
        assert!(!Better::Higher.than(f64::NAN, 1.0) && !Better::Lower.than(f64::NAN, 1.0));
    }
}
