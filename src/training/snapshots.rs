//! `Snapshots`: which weights, pictures and metrics a recipe asks for along the way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{kimg::Kimg, metrics::Metric};

/// Weights, sample grids and metrics along the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshots {
    /// How often a snapshot is taken.
    pub every_kimg: Kimg,
    /// Metrics of every snapshot, against the stage's dataset; the first one decides which is the best. As in `evaluate`:
    /// `fid50k_full` and others, or `frechet_distance: { detector: pixels, images: 2000 }`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Which snapshots' weights stay on disk.
    pub keep: Keep,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { every_kimg: Kimg(500.0), metrics: Vec::new(), keep: Keep::default() }
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
