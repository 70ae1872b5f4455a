//! `Row`: what a pipeline wants to see in one row of a table.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage_name::StageName;

/// A row: measured values, published ones, or both side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What the first column says.
    pub label: String,
    /// Where the measured values come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ScoresOf>,
    /// Published values, by column.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub published: IndexMap<String, f64>,
    /// The `generate` stage whose images are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<StageName>,
}

/// Where measured values come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoresOf {
    /// An `evaluate` stage.
    pub stage: StageName,
    /// The pipeline it belongs to, where it is not this one: what its file, as it is now, has made is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub pipeline: Option<String>,
}
