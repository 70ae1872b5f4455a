//! `Snapshots`: which weights, pictures and metrics a recipe asks for along the way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{kimg::Kimg, location::Location, metrics::Metric, stage_name::StageName};

/// Weights, sample grids and metrics along the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshots {
    /// How often a snapshot is taken.
    pub every_kimg: Kimg,
    /// More of them at these moments, in thousands of images: early on everything changes quickly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_at_kimg: Vec<Kimg>,
    /// Metrics of every snapshot, against `statistics`, else `reference`, else the stage's dataset; the first one
    /// decides which is the best. As in `evaluate`: `fid50k_full` and others, or `frechet_distance: { detector: pixels,
    /// images: 2000 }`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Precomputed mean and covariance of real images' features, EDM's `.npz` or EDM2's `.pkl`, for metrics that need no
    /// more of real images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Location>,
    /// The stage that makes the dataset of real images. Default: the stage's dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<StageName>,
    /// Which snapshots' weights stay on disk.
    pub keep: Keep,
}

impl Snapshots {
    /// Whether one is due in (before, after], in images.
    pub fn due(&self, before: u64, after: u64) -> bool {
        let passed = |at: &Kimg| (before + 1..=after).contains(&at.nimg());
        let every = self.every_kimg.nimg();
        (every > 0 && before / every != after / every) || self.also_at_kimg.iter().any(passed)
    }
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            every_kimg: Kimg(500.0),
            also_at_kimg: Vec::new(),
            metrics: Vec::new(),
            statistics: None,
            reference: None,
            keep: Keep::default(),
        }
    }
}

/// Which snapshots' weights stay on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The best by the first metric, which the stage hands on, and the last; without metrics, the last.
    #[default]
    BestAndLast,
    /// Every one.
    All,
    /// Only the last, which the stage hands on.
    Last,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_snapshots_are_taken_once_beside_the_regular_ones() {
        let snapshots = Snapshots {
            every_kimg: Kimg(0.5),
            also_at_kimg: vec![Kimg(0.1), Kimg(0.5)],
            ..Snapshots::default()
        };
        let due: Vec<u64> = (1..20).map(|i| i * 64).filter(|at| snapshots.due(at - 64, *at)).collect();
        assert_eq!(due, [128, 512, 1024]);
    }
}
