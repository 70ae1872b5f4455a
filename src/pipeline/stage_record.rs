//! What `stage.json` says of a stage: what it is made from, where, and how long it took.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    key::FORMAT,
    plan::{Plan, PlannedStage},
    store,
};
use crate::Result;

/// Wall time of the processes that worked on a stage before, in seconds.
///
/// # Errors
/// `NewerFormat`.
pub(super) fn seconds_so_far(dir: &Path) -> Result<f64> {
    let seconds = store::read_folder(dir)?.and_then(|folder| folder.record.get("seconds")?.as_f64());
    Ok(seconds.unwrap_or(0.0))
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
