//! What is expected of measured values, as plans need it: where it is written, and what pages show of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    meaning::pointer,
    plan::{Plan, PlannedStage},
    run::Summary,
};
use crate::{
    report::Expectation,
    stages::{Stage, StageSpec},
};

/// The field of an `evaluate` stage that says what is expected.
const FIELD: &str = "expect";

/// The place of an expectation in its stage, counted from 0.
pub(super) fn field(place: usize) -> String {
    format!("{FIELD}/{place}")
}

/// What a stage shows of the expectations of the stages that it reads, directly or through others: with what their
/// baselines say. `Null` for a stage that shows nothing.
pub(super) fn shown(stage: &dyn Stage, inputs: &[(String, usize)], planned: &[PlannedStage]) -> Value {
    if !stage.is_view() {
        return Value::Null;
    }
    let mut open: Vec<usize> = inputs.iter().map(|(_, input)| *input).collect();
    let mut found = BTreeMap::new();
    while let Some(place) = open.pop() {
        let PlannedStage { name, spec, inputs, .. } = &planned[place];
        if found.insert(name.as_str(), with_records(spec)).is_none() {
            open.extend(inputs);
        }
    }
    found.retain(|_, expected| !expected.is_empty());
    if found.is_empty() { Value::Null } else { json!(found) }
}

/// What a run did not meet: the places of the expectations in the pipeline, and sentences.
pub(super) fn unmet(plan: &Plan, summary: &Summary) -> Vec<(String, String)> {
    let mut unmet = Vec::new();
    for PlannedStage { name, spec, .. } in &plan.stages {
        let Some(finished) = summary.finished.get(name) else { continue };
        for (i, expected) in finished.expected.iter().enumerate() {
            let verdict = finished.scores().and_then(|scores| expected.judge(&scores.scores));
            if let Some(verdict) = verdict.filter(|verdict| !verdict.pass) {
                unmet.push((pointer(name, spec, &field(i)), format!("{name}: {}", verdict.said())));
            }
        }
    }
    unmet
}

fn with_records(spec: &StageSpec) -> Vec<Value> {
    let record = |expected: &Expectation| json!([expected, expected.recorded]);
    spec.stage().expected().iter().map(record).collect()
}
