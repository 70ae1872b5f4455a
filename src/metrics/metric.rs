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

/// One value that a metric measures, as tables know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name under which scores are kept: `fid50k_full`, `fd_pixels_2000`.
    pub name: String,
    /// What people call it: `FID`, `FD, pixels`.
    pub title: String,
    /// Number of generated images.
    pub images: usize,
    /// Which end is good; `None` where neither is.
    pub better: Option<Better>,
}

impl Metric {
    /// Which end of its first value's scale is good.
    pub fn better(&self) -> Better {
        match self {
            Self::Fid50kFull | Self::Kid50kFull | Self::FrechetDistance(_) => Better::Lower,
            Self::Is50k | Self::Pr50k3Full => Better::Higher,
        }
    }

    /// Its values, in the order in which they are measured.
    pub fn columns(&self) -> Vec<Column> {
        let images = self.needs().generated;
        let column = |name: &str, title: &str, better| Column {
            name: name.to_owned(),
            title: title.to_owned(),
            images,
            better,
        };
        let better = Some(self.better());
        match self {
            Self::Fid50kFull => vec![column("fid50k_full", "FID", better)],
            Self::Is50k => vec![column("is50k", "IS", better), column("is50k_std", "IS, spread", None)],
            Self::Kid50kFull => vec![column("kid50k_full", "KID", better)],
            Self::Pr50k3Full => vec![
                column("pr50k3_full_precision", "Precision", better),
                column("pr50k3_full_recall", "Recall", better),
            ],
            Self::FrechetDistance(FrechetDistance { detector, .. }) => {
                let detector = detector.as_str();
                let title = format!("FD, {}", detector.replace('_', " "));
                vec![column(&format!("fd_{detector}_{images}"), &title, better)]
            }
        }
    }

    /// The names under which its values are kept.
    pub fn names(&self) -> Vec<String> {
        self.columns().into_iter().map(|column| column.name).collect()
    }

    /// The metric that measures the value which is kept under a name: `pr50k3_full` of `pr50k3_full_recall`.
    pub fn of_column(name: &str) -> Option<Self> {
        let fixed = [Self::Fid50kFull, Self::Is50k, Self::Kid50kFull, Self::Pr50k3Full];
        let named = FrechetDistance::named(name).map(Self::FrechetDistance);
        fixed.into_iter().chain(named).find(|metric| metric.names().iter().any(|own| own == name))
    }

    /// The value that is kept under a name, whichever metric measures it.
    pub fn column(name: &str) -> Option<Column> {
        Self::of_column(name)?.columns().into_iter().find(|column| column.name == name)
    }
}

impl FrechetDistance {
    /// The one that is named `fd_<detector>_<images>`.
    fn named(name: &str) -> Option<Self> {
        let (detector, images) = name.strip_prefix("fd_")?.rsplit_once('_')?;
        Some(Self { detector: serde_json::from_value(detector.into()).ok()?, images: images.parse().ok()? })
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
        for column in metrics.iter().flat_map(Metric::columns) {
            assert_eq!(Metric::column(&column.name), Some(column));
        }
        assert_eq!(Metric::column("fd_pixels_many"), None);
        assert_eq!(Metric::column("fd_pixels_0200"), None, "one metric, one name");
    }

    #[test]
    fn each_metric_says_which_end_is_good() {
        let better = |name| Metric::column(name).and_then(|column| column.better);
        for lower in ["fid50k_full", "kid50k_full", "fd_inception_100"] {
            assert_eq!(better(lower), Some(Better::Lower), "{lower}");
        }
        for higher in ["is50k", "pr50k3_full_precision", "pr50k3_full_recall"] {
            assert_eq!(better(higher), Some(Better::Higher), "{higher}");
        }
        assert_eq!(better("is50k_std"), None);
        assert!(Better::Higher.than(2.0, 1.0) && Better::Lower.than(1.0, 2.0));
        assert!(!Better::Higher.than(f64::NAN, 1.0) && !Better::Lower.than(f64::NAN, 1.0));
    }
}
