//! `Pipeline` and `Derived`, as written.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    stage_name::StageName,
    stages::{StageSpec, World},
};

/// A pipeline of sida: named stages, each one verb with its values. Stages refer to each other by name, and run in the
/// order that follows from that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// What the pipeline does, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// All random draws follow from this number.
    #[serde(default)]
    pub seed: u64,
    /// Stages by name: lower-case letters, digits and `_`.
    #[schemars(length(min = 1))]
    pub stages: IndexMap<StageName, StageSpec>,
}

impl Pipeline {
    /// Fills in what is left out because there is only one choice: the dataset whose images score the snapshots of a
    /// distillation that needs none to learn from.
    pub fn complete(&mut self) {
        complete(&mut self.stages);
    }
}

/// See `Pipeline::complete`.
pub(super) fn complete(stages: &mut IndexMap<StageName, StageSpec>) {
    let world = World { stages, search: &[] };
    let images = stages.keys().filter(|name| world.facts(name).is_some_and(|facts| facts.has_images));
    let images: Vec<StageName> = images.cloned().collect();
    let only = if let [only] = &images[..] { Some(only) } else { None };
    stages.values_mut().for_each(|spec| spec.stage_mut().complete(only));
}

/// A derived pipeline of sida: another pipeline in which stages are removed, values set, and stages added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Derived {
    /// What the pipeline does, for people. Default: what its base says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    /// The pipeline file that this one starts from, relative to this one.
    #[schemars(length(min = 1))]
    pub(super) base: String,
    /// Stages of the base that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) remove: Vec<StageName>,
    /// Values set in what is left: dotted path and value.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub(super) set: IndexMap<String, Value>,
    /// Stages that are added.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "IndexMap<StageName, StageSpec>")]
    pub(super) stages: IndexMap<String, Value>,
}
