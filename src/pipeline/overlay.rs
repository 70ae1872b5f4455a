//! `--set`, `set:` and the axes of sweeps: a value put at a dotted path of a pipeline gives another pipeline.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    document::{Document, dotted, escape},
    mistake::Mistake,
    origin::{Origin, Place},
    schema::PIPELINE_SCHEMA,
    violations::schema_at,
};
use crate::{Error, Result, suggestion::advice};

/// A value for a dotted path.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `stages.sid.distill.generator.lr`.
    pub(super) path: String,
    /// The value.
    pub(super) value: Value,
    /// Who says so.
    pub(super) origin: Origin,
}

impl Setting {
    /// From `PATH=VALUE`; the value is YAML, so that `1e-5`, `true` and `[1, 2]` mean what they mean in a file.
    ///
    /// # Errors
    /// `Usage` without a `=`, without a path, or with a value that is not YAML.
    pub fn parse(text: &str) -> Result<Self> {
        let usage = |problem: String| Error::Usage(format!("`--set {text}`: {problem}"));
        let (path, value) = text.split_once('=').ok_or_else(|| usage("write PATH=VALUE".to_owned()))?;
        let path = path.trim();
        if path.is_empty() {
            return Err(usage("the path is empty".to_owned()));
        }
        let document = Document::read("", value.to_owned()).map_err(|error| usage(error.problem))?;
        let origin = Origin::Typed(format!("`--set {text}`"));
        Ok(Self { path: path.to_owned(), value: document.value, origin })
    }

    /// From an entry of a file's `set`.
    pub(super) fn written(document: &Arc<Document>, path: &str, value: &Value) -> Self {
        let place = Place::entry(document, format!("/set/{}", escape(path)));
        Self { path: path.to_owned(), value: value.clone(), origin: Origin::Written(place) }
    }
}

/// A path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Nowhere {
    /// Which part of the path is unknown, and where.
    problem: String,
    /// What is known there.
    help: Option<String>,
}

/// Puts every value at its path, and returns what is wrong with paths that lead nowhere.
pub(super) fn apply(document: &mut Document, settings: &[Setting]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for setting in settings {
        let mut value = document.value.clone();
        match put(&mut value, setting) {
            Ok(pointer) => {
                document.value = value;
                document.set_origin(pointer, setting.origin.clone());
            }
            Err(Nowhere { problem, help }) => {
                mistakes.push(Mistake::at_path(&setting.origin, problem).help(help));
            }
        }
    }
    mistakes
}

/// Puts a value at its path and returns the path as a pointer. A key that is not written yet may be set where the
/// language has it: it had its default. Stages cannot be made this way.
fn put(root: &mut Value, setting: &Setting) -> std::result::Result<String, Nowhere> {
    let mut pointer = String::new();
    let mut at = root;
    let parts: Vec<&str> = setting.path.split('.').collect();
    for (i, part) in parts.iter().enumerate() {
        let nowhere = |known: Vec<String>| {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let place =
                if pointer.is_empty() { "a pipeline".to_owned() } else { format!("`{}`", dotted(&pointer)) };
            Nowhere { problem: format!("there is no `{part}` in {place}"), help: advice(part, &known) }
        };
        let next = format!("{pointer}/{}", escape(part));
        if at.is_null() {
            // `sid:` and `sid: {}` mean the same to a path.
            *at = Value::Object(Map::new());
        }
        match at {
            Value::Object(map) => {
                let written: Vec<String> = map.keys().cloned().collect();
                if !map.contains_key(*part) {
                    let known = properties(&pointer);
                    let may_be_made = known.iter().any(|key| key == part) && !is_choice(&pointer);
                    if !may_be_made {
                        let known = if known.is_empty() || is_choice(&pointer) { written } else { known };
                        return Err(nowhere(known));
                    }
                }
                let slot = map.entry((*part).to_owned()).or_insert(Value::Null);
                at = slot;
            }
            Value::Array(list) => {
                let length = list.len();
                let index = part.parse::<usize>().ok().filter(|index| *index < length);
                let known = || (0..length).map(|i| i.to_string()).collect();
                let Some(index) = index else { return Err(nowhere(known())) };
                at = &mut list[index];
            }
            _ => return Err(nowhere(Vec::new())),
        }
        pointer = next;
        if i + 1 == parts.len() {
            at.clone_from(&setting.value);
        }
    }
    Ok(pointer)
}

/// The keys that the language has at a place.
fn properties(pointer: &str) -> Vec<String> {
    let schema = schema_at(&PIPELINE_SCHEMA.schema, pointer);
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

/// Whether exactly one of several keys is written at a place, so that another cannot be added.
fn is_choice(pointer: &str) -> bool {
    schema_at(&PIPELINE_SCHEMA.schema, pointer).get("maxProperties").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pipeline() -> Value {
        json!({ "stages": { "sid": { "distill": { "teacher": "t", "method": { "sid": null } } } } })
    }

    fn set(text: &str) -> std::result::Result<Value, String> {
        let mut document = Document::read("t.yaml", pipeline().to_string()).unwrap();
        let setting = Setting::parse(text).map_err(|error| error.to_string())?;
        let mistakes = apply(&mut document, &[setting]);
        mistakes.first().map_or(Ok(document.value), |mistake| Err(mistake.render()))
    }

    #[test]
    fn written_and_defaulted_keys_can_be_set() {
        assert_eq!(set("seed=7").unwrap()["seed"], 7);
        let root = set("stages.sid.distill.generator.lr=1e-4").unwrap();
        assert_eq!(root["stages"]["sid"]["distill"]["generator"]["lr"], 1e-4);
        let root = set("stages.sid.distill.method.sid.alpha=0.5").unwrap();
        assert_eq!(root["stages"]["sid"]["distill"]["method"]["sid"]["alpha"], 0.5);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_said_with_what_is_there() {
        let said = |text: &str| set(text).unwrap_err();
        assert_eq!(
            said("stages.sid.distill.generator.rl=1"),
            "the command line: `--set stages.sid.distill.generator.rl=1`: there is no `rl` in `stages.sid.distill.generator`\n  did you mean `lr`?\n"
        );
        assert!(said("stages.sad.distill.batch_size=1").contains("did you mean `sid`?"));
        assert!(said("stages.sid.distill.method.sida.alpha=1").contains("there is no `sida`"));
        assert!(said("seed.x=1").contains("there is no `x` in `seed`"));
        assert!(said("seed").contains("write PATH=VALUE"));
    }
}
