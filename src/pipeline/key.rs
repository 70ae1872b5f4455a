//! `StageKey`: a hash of all that decides a stage's result. Same key, same result: it never runs twice.

use std::fmt;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::stages::StageSpec;

/// Grows when the same values come to mean another result.
pub const FORMAT: u64 = 1;

/// The field that extends a training without changing its beginning.
const DURATION: &str = "duration_kimg";

/// A hash of all that decides a stage's result; never of the hardware.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StageKey(String);

impl StageKey {
    /// The 8 characters that folder names carry.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What invalidates a stage. `stage.json` keeps it, so that a later run can say what changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyInput {
    /// `FORMAT`.
    pub format: u64,
    /// The stage's name, from which its draws follow.
    pub stage: String,
    /// The verb with all its values, defaults included.
    pub spec: Value,
    /// The pipeline's seed.
    pub seed: u64,
    /// By field: the keys of the stages that it reads.
    pub inputs: IndexMap<String, StageKey>,
    /// By field: what the files and folders that it reads contain; `null` for addresses and absent files.
    pub files: IndexMap<String, Option<String>>,
}

impl KeyInput {
    /// The key.
    pub fn key(&self) -> StageKey {
        hash(&serde_json::to_value(self).unwrap_or_default())
    }

    /// The key without the length of the training: runs that share it continue each other.
    pub fn lineage(&self) -> Option<StageKey> {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        let verb = value.get_mut("spec")?.as_object_mut()?.values_mut().next()?.as_object_mut()?;
        verb.shift_remove(DURATION)?;
        Some(hash(&value))
    }
}

/// Values of a verb as they are hashed and kept.
pub(super) fn spec_value(spec: &StageSpec) -> Value {
    serde_json::to_value(spec).unwrap_or_default()
}

/// The length of a training, where the verb has one.
pub(super) fn duration(spec: &Value) -> Option<f64> {
    spec.as_object()?.values().next()?.get(DURATION)?.as_f64()
}

fn hash(value: &Value) -> StageKey {
    let hex = blake3::hash(canonical(value).to_string().as_bytes()).to_hex();
    StageKey(hex[..32].to_owned())
}

/// The same value always gives the same text: keys are sorted.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.clone(), canonical(value)))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(lr: f64, duration: f64) -> KeyInput {
        KeyInput {
            format: FORMAT,
            stage: "sid".into(),
            spec: json!({ "distill": { "lr": lr, "duration_kimg": duration } }),
            seed: 0,
            inputs: IndexMap::new(),
            files: IndexMap::new(),
        }
    }

    #[test]
    fn a_key_follows_the_values_and_not_their_order() {
        let mut swapped = input(1.0, 2.0);
        swapped.spec = json!({ "distill": { "duration_kimg": 2.0, "lr": 1.0 } });
        assert_eq!(input(1.0, 2.0).key(), swapped.key());
        assert_ne!(input(1.0, 2.0).key(), input(1.1, 2.0).key());
        assert_ne!(input(1.0, 2.0).key(), input(1.0, 3.0).key());
    }

    #[test]
    fn a_lineage_ignores_the_duration_alone() {
        assert_eq!(input(1.0, 2.0).lineage(), input(1.0, 3.0).lineage());
        assert_ne!(input(1.0, 2.0).lineage(), input(1.1, 2.0).lineage());
    }
}
