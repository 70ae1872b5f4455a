//! `--set`, `set:` and the axes of sweeps: a value put at a dotted path of a pipeline gives another pipeline.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    document::{Document, dotted, escape},
    mistake::Mistake,
    origin::{Origin, Taken},
    schema_walk::schema_at,
    text::Text,
};
use crate::{Error, Result, suggestion::Adviser};

/// As many keys as advice looks at.
const KNOWN: usize = 1000;

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
        let value = Arc::new(Text::new(value.to_owned()));
        let document = Document::read("", value).map_err(|error| usage(error.problem))?;
        if let Some(slip) = document.slips.first() {
            return Err(usage(slip.problem.clone()));
        }
        let origin = Origin::Typed(format!("`--set {text}`"));
        Ok(Self { path: path.to_owned(), value: document.value, origin })
    }

    /// From an entry of a file's `set`.
    pub(super) fn written(document: &Arc<Document>, path: &str, value: &Value) -> Self {
        let place = Taken::entry(document, format!("/set/{}", escape(path)));
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

/// Puts every value at its path, and returns what is wrong with paths that lead nowhere. `schema` is the document's.
pub(super) fn apply(document: &mut Document, settings: &[Setting], schema: &Value) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let adviser = Adviser::default();
    for setting in settings {
        match find(&document.value, &setting.path, schema, &adviser) {
            Ok(pointer) => {
                put(&mut document.value, &setting.path, setting.value.clone());
                document.set_origin(pointer, setting.origin.clone());
            }
            Err(Nowhere { problem, help }) => {
                mistakes.push(Mistake::at_path(&setting.origin, problem).help(help));
            }
        }
    }
    mistakes
}

/// The settings that say nothing, because a later one sets the same value or all around it; each with that one.
pub(super) fn overwritten(settings: &[Setting]) -> Vec<(&Setting, &Setting)> {
    let last: HashMap<&str, usize> =
        settings.iter().enumerate().map(|(i, setting)| (setting.path.as_str(), i)).collect();
    let by = |(i, setting): (usize, &Setting)| {
        let path = &setting.path;
        let around = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
        around.filter_map(|end| last.get(&path[..end]).copied()).filter(|later| *later > i).max()
    };
    let lost = settings.iter().enumerate().filter_map(|(i, setting)| Some((setting, by((i, setting))?)));
    lost.map(|(setting, later)| (setting, &settings[later])).collect()
}

/// What is wrong with a value that another one of its file overwrites.
pub(super) fn lost_mistake(lost: &Setting, by: &Setting) -> Mistake {
    let problem = format!("this is lost: `{}`, which comes later, sets it anew", by.path);
    Mistake::at_path(&lost.origin, problem)
}

/// A path as a pointer. A key that is not written yet may be set where the language has it: it had its default. Stages
/// cannot be made this way.
fn find(root: &Value, path: &str, schema: &Value, adviser: &Adviser) -> std::result::Result<String, Nowhere> {
    let mut pointer = String::new();
    let mut at = root;
    for part in path.split('.') {
        let nowhere = |known: &dyn Fn() -> Vec<String>| {
            let place =
                if pointer.is_empty() { "a pipeline".to_owned() } else { format!("`{}`", dotted(&pointer)) };
            Nowhere { problem: format!("there is no `{part}` in {place}"), help: adviser.advice(part, known) }
        };
        at = match at {
            // `sid:` and `sid: {}` mean the same to a path.
            Value::Object(_) | Value::Null => match at.get(part) {
                Some(written) => written,
                None => {
                    let known = properties(schema, &pointer);
                    let may_be_made = !is_choice(schema, &pointer);
                    if !may_be_made || !known.iter().any(|key| key == part) {
                        let written = at.as_object().into_iter().flat_map(Map::keys).take(KNOWN);
                        let known = || {
                            if may_be_made && !known.is_empty() {
                                known.clone()
                            } else {
                                written.clone().cloned().collect()
                            }
                        };
                        return Err(nowhere(&known));
                    }
                    &Value::Null
                }
            },
            Value::Array(list) => {
                let known = || (0..list.len().min(KNOWN)).map(|i| i.to_string()).collect();
                let entry = part.parse::<usize>().ok().and_then(|index| list.get(index));
                entry.ok_or_else(|| nowhere(&known))?
            }
            _ => return Err(nowhere(&Vec::new)),
        };
        pointer = format!("{pointer}/{}", escape(part));
    }
    Ok(pointer)
}

/// Puts a value at a path that `find` found.
fn put(root: &mut Value, path: &str, value: Value) {
    let mut at = root;
    for part in path.split('.') {
        at = match at {
            Value::Array(list) => &mut list[part.parse::<usize>().expect("found before")],
            other => {
                if other.is_null() {
                    *other = Value::Object(Map::new());
                }
                other.as_object_mut().expect("found before").entry(part).or_insert(Value::Null)
            }
        };
    }
    *at = value;
}

/// The keys that the language has at a place.
fn properties(schema: &Value, pointer: &str) -> Vec<String> {
    let schema = schema_at(schema, pointer);
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

/// Whether exactly one of several keys is written at a place, so that another cannot be added.
fn is_choice(schema: &Value, pointer: &str) -> bool {
    schema_at(schema, pointer).get("maxProperties").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{document::document, schema::PIPELINE_SCHEMA},
        *,
    };

    fn pipeline() -> Value {
        json!({ "stages": { "sid": { "distill": { "teacher": "t", "method": { "sid": null } } } } })
    }

    fn set(text: &str) -> std::result::Result<Value, String> {
        let mut document = document("t.yaml", &pipeline().to_string());
        let setting = Setting::parse(text).map_err(|error| error.to_string())?;
        let mistakes = apply(&mut document, &[setting], &PIPELINE_SCHEMA.schema);
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
