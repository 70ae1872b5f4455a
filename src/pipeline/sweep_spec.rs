//! `Sweep`, as written.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{kimg::Kimg, stage_name::StageName};

/// The axis whose points are repetitions of each other.
const REPETITION: &str = "seed";

/// A sweep of sida: many pipelines made by setting values in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// What the sweep does, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The pipeline file, whole or derived, relative to this one.
    #[schemars(length(min = 1))]
    pub base: String,
    /// Values set at every point: dotted path and value.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub set: IndexMap<String, Value>,
    /// The axes of the grid; every combination of their values is a point. Points that differ only in an axis named
    /// `seed` are repetitions: they are averaged, and none of them is ever picked.
    #[schemars(length(min = 1))]
    pub axes: IndexMap<String, Axis>,
    /// What the sweep is about: only the stages that it needs run, unless `sida run --all` asks for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<SweepTable>,
    /// Not all points to their end: which ones go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// One axis of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Dotted paths that all get the axis' value: `stages.sid.distill.generator.lr`.
    #[schemars(length(min = 1))]
    pub paths: Vec<String>,
    /// The values, one after another.
    #[schemars(length(min = 1))]
    pub values: Vec<Value>,
}

/// The table of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepTable {
    /// The axis that goes down. Default: the first that is neither `seed` nor the one that goes across.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// The axis that goes across. Default: the next one; there is one table for each combination of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// What a cell shows.
    pub cell: Cell,
}

/// What a cell of a sweep's table shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// An `evaluate` stage of the base pipeline.
    pub stage: StageName,
    /// The name of one of its metrics in tables: `fid50k_full`; `fd_pixels_2000` for `frechet_distance: { detector: pixels,
    /// images: 2000 }`.
    pub metric: String,
}

/// Which points of a sweep go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Search {
    /// Successive halving (Jamieson and Talwalkar 2016): all points train a little, the best of them longer.
    Halving(Halving),
}

/// Successive halving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Halving {
    /// The share of the points that goes on from one rung to the next, between 0 and 1; at least one goes on.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub keep: f64,
    /// How long the training that the table is about is at each rung, in thousands of images, growing; a longer one
    /// continues the shorter one. They take the place of its `duration_kimg`.
    #[schemars(length(min = 1))]
    pub rungs_kimg: Vec<Kimg>,
}

impl Sweep {
    /// Whether the points of an axis are repetitions of each other.
    pub fn is_repetition(axis: &str) -> bool {
        axis == REPETITION
    }

    /// The axes that go down and across, by their places.
    pub fn layout(&self) -> [Option<usize>; 2] {
        let named = |axis: &Option<String>| axis.as_ref().and_then(|axis| self.axes.get_index_of(axis));
        let table = self.table.as_ref();
        let across = table.and_then(|table| named(&table.columns));
        let free = |taken: [Option<usize>; 2]| {
            let mut places = 0..self.axes.len();
            places.find(|place| {
                let (name, _) = self.axes.get_index(*place).expect("within");
                !Self::is_repetition(name) && !taken.contains(&Some(*place))
            })
        };
        let down = table.and_then(|table| named(&table.rows)).or_else(|| free([across, None]));
        [down, across.or_else(|| free([down, None]))]
    }
}
