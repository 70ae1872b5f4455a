//! `StageKey`: a hash of all that decides a stage's result. Same key, same result: it never runs twice.

use std::fmt;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

/// Grows when the same values come to mean another result, or lie elsewhere.
pub const FORMAT: u64 = 3;

/// Characters of a key that names and tables carry.
const SHORT: usize = 8;

/// A hash of all that decides a stage's result; never of the hardware.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StageKey(String);

impl StageKey {
    /// Its beginning, for names and tables; never to be compared.
    pub fn short(&self) -> &str {
        &self.0[..SHORT]
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
    /// What it does.
    pub verb: &'static str,
    /// All values of the verb, defaults included.
    pub values: Value,
    /// The pipeline's seed.
    pub seed: u64,
    /// By field: the keys of the stages that it reads.
    pub inputs: IndexMap<String, StageKey>,
    /// By field: what the files, folders and addresses that it reads contain; `null` where that is not known yet.
    pub files: IndexMap<String, Option<String>>,
    /// Of a stage that shows what others made: what is expected of that, by their names. It is judged whenever somebody
    /// looks, and so decides no other stage's result.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub expected: Value,
}

impl KeyInput {
    /// The key. What a file contains counts, not how its path is spelled, unless the contents are not known.
    pub fn key(&self) -> StageKey {
        let mut counted = serde_json::to_value(self).unwrap_or_default();
        for (field, _) in self.files.iter().filter(|(_, contents)| contents.is_some()) {
            if let Some(path) = counted.pointer_mut(&format!("/values/{field}")) {
                *path = Value::Null;
            }
        }
        // The same value always gives the same text.
        counted.sort_all_objects();
        let hex = blake3::hash(counted.to_string().as_bytes()).to_hex();
        StageKey(hex[..32].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(values: Value) -> KeyInput {
        KeyInput {
            format: FORMAT,
            stage: "sid".into(),
            verb: "distill",
            values,
            seed: 0,
            inputs: IndexMap::new(),
            files: IndexMap::new(),
            expected: Value::Null,
        }
    }

    #[test]
    fn a_key_follows_the_values_and_not_their_order() {
        let key = |values| input(values).key();
        let first = key(json!({ "lr": 1.0, "duration_kimg": 2.0 }));
        assert_eq!(first, key(json!({ "duration_kimg": 2.0, "lr": 1.0 })));
        assert_ne!(first, key(json!({ "lr": 1.1, "duration_kimg": 2.0 })));
        assert_ne!(first, key(json!({ "lr": 1.0, "duration_kimg": 3.0 })));
    }

    #[test]
    fn contents_count_and_spellings_do_not() {
        let key = |path: &str, contents: Option<&str>| {
            let mut input = input(json!({ "source": { "edm": { "path": path } } }));
            input.files = IndexMap::from([("source/edm/path".to_owned(), contents.map(str::to_owned))]);
            input.key()
        };
        assert_eq!(key("a.zip", Some("1")), key("./b/../a.zip", Some("1")));
        assert_ne!(key("a.zip", Some("1")), key("a.zip", Some("2")));
        assert_ne!(key("a.zip", None), key("b.zip", None));
    }
}
