//! What `stage.json` says of a stage: what it is made from, where, and how long it took.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    key::FORMAT,
    plan::{Plan, PlannedStage},
    store,
};
use crate::Result;

/// What the processes that worked on a stage before have cost.
pub(super) struct Cost {
    /// Wall time in seconds.
    pub(super) seconds: f64,
    /// The most memory that any of them held, where all of them knew.
    pub(super) peak_memory_mib: Option<f64>,
    /// Whether there was none.
    is_first: bool,
}

impl Cost {
    /// Of the stage in a folder.
    ///
    /// # Errors
    /// `NewerFormat`.
    pub(super) fn so_far(dir: &Path) -> Result<Self> {
        let record = store::read_folder(dir)?.map(|folder| folder.record);
        let number = |name: &str| record.as_ref()?.get(name)?.as_f64();
        Ok(Self {
            seconds: number("seconds").unwrap_or(0.0),
            peak_memory_mib: number("peak_memory_mib"),
            is_first: record.is_none(),
        })
    }

    /// The peak with that of one more process.
    pub(super) fn peak_with(&self, mib: Option<f64>) -> Option<f64> {
        if self.is_first { mib } else { Some(self.peak_memory_mib?.max(mib?)) }
    }
}

/// The record of a stage that begins.
pub(super) fn record(plan: &Plan, stage: &PlannedStage, provenance: &Value) -> Value {
    let folder = |i: &usize| -> (String, Value) {
        let input = &plan.stages[*i];
        (input.name.to_string(), file_name(&input.dir).into())
    };
    json!({
        "format": FORMAT,
        "pipeline": plan.pipeline,
        "stage": stage.name,
        "key": stage.key,
        "lineage": stage.lineage,
        "seed": stage.input.seed,
        "verb": stage.input.verb,
        "values": stage.input.values,
        "inputs": stage.input.inputs,
        "files": stage.input.files,
        "folders": stage.inputs.iter().map(folder).collect::<serde_json::Map<_, _>>(),
        "continued_from": stage.continue_from.as_deref().map(file_name),
        "provenance": provenance,
        "finished": false,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
