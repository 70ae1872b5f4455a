//! A value with mistakes, repaired, so that everything else that is wrong can be said at the same time.
//!
//! What will be written where something is wrong or missing, nobody knows. So a value is repaired in two ways that
//! differ wherever they can, and what is true of both is true of the value itself.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    document::escape,
    schema_walk::{branches, inside, resolve, with_keys},
};
use crate::suggestion::closest;

/// More misspelt keys of one mapping than anybody mends at once.
const MAX_MEANT: usize = 20;
/// Made-up values are not nested deeper than any real one.
const MAX_DEPTH: usize = 12;

/// What is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    /// The first of everything: the least number, the first word, as few keys as there have to be.
    First,
    /// The last of everything, and all keys.
    Last,
}

/// Repairs values against a schema.
pub(super) struct Repair<'a> {
    /// The whole schema.
    pub(super) root: &'a Value,
    /// Pointers to what is wrong.
    pub(super) wrong: &'a HashSet<&'a str>,
    /// What is made up.
    pub(super) filling: Filling,
}

impl Repair<'_> {
    /// The value at `pointer` without unknown keys, and with something that fits `schema` for what is wrong or missing.
    pub(super) fn value(&self, value: &Value, schema: &Value, pointer: &str) -> Value {
        let wrong = self.wrong.contains(pointer);
        let keyed = with_keys(self.root, schema);
        let inner = |key: &str, value: &Value| {
            let schema = inside(self.root, schema, key)?;
            Some(self.value(value, schema, &format!("{pointer}/{}", escape(key))))
        };
        match value {
            Value::Object(map) if keyed.get("properties").is_some() => {
                let entries = map.iter().filter_map(|(key, value)| Some((key.clone(), inner(key, value)?)));
                let known: Map<String, Value> = entries.collect();
                let wrong: Vec<&str> =
                    map.keys().filter(|key| !known.contains_key(*key)).map(String::as_str).collect();
                self.completed(self.with_meant(known, keyed, &wrong), keyed, 0)
            }
            Value::Array(list) if !wrong => {
                let known = list.iter().enumerate().filter_map(|(i, value)| inner(&i.to_string(), value));
                known.collect()
            }
            _ if wrong => self.made_up(schema, 0),
            _ => value.clone(),
        }
    }

    /// A mapping with the keys that are meant by misspelt ones, whose values nobody knows.
    fn with_meant(
        &self,
        mut map: Map<String, Value>,
        schema: &Value,
        misspelt: &[&str],
    ) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        for key in misspelt.iter().take(MAX_MEANT) {
            let known = properties.into_iter().flatten().map(|(known, _)| known.as_str());
            let meant = closest(key, known).filter(|meant| !map.contains_key(*meant));
            if let Some((meant, schema)) = meant.and_then(|meant| properties?.get_key_value(meant)) {
                map.insert(meant.clone(), self.made_up(schema, 1));
            }
        }
        map
    }

    /// A mapping with the keys that it needs.
    fn completed(&self, mut map: Map<String, Value>, schema: &Value, depth: usize) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if let (false, Some(schema)) = (map.contains_key(key), properties.and_then(|p| p.get(key))) {
                map.insert(key.to_owned(), self.made_up(schema, depth + 1));
            }
        }
        let least = schema.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
        if (map.len() as u64) < least
            && let Some((key, schema)) = properties.and_then(|properties| self.choice(properties.iter()))
        {
            map.insert(key.clone(), self.made_up(schema, depth + 1));
        }
        if schema.get("maxProperties").is_some()
            && map.len() > 1
            && let Some(kept) = self.choice(map.iter()).map(|(key, _)| key.clone())
        {
            map.retain(|key, _| *key == kept);
        }
        Value::Object(map)
    }

    /// A value that fits a schema.
    fn made_up(&self, schema: &Value, depth: usize) -> Value {
        let schema = resolve(self.root, schema);
        if let Some(word) = schema.get("enum").and_then(Value::as_array).and_then(|w| self.choice(w.iter())) {
            return word.clone();
        }
        if schema.get("anyOf").is_some() {
            let branch = self.choice(branches(self.root, schema).skip(1));
            return branch.map_or(Value::Null, |branch| self.made_up(branch, depth));
        }
        let last = self.filling == Filling::Last;
        let number = |key: &str| schema.get(key).cloned();
        match schema.get("type").and_then(Value::as_str) {
            Some("boolean") => last.into(),
            Some("integer" | "number") if last => number("maximum").unwrap_or_else(|| 4096.into()),
            Some("integer" | "number") => number("minimum").unwrap_or_else(|| 0.into()),
            Some("string") => self.word(schema.get("pattern").and_then(Value::as_str)).into(),
            Some("array") => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
                schema
                    .get("items")
                    .map_or(Value::Null, |items| vec![self.made_up(items, depth + 1); least].into())
            }
            Some("object") => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let one = schema.get("maxProperties").is_some();
                let all = properties.into_iter().flatten().filter(|_| last && !one && depth < MAX_DEPTH);
                let all = all.map(|(key, schema)| (key.clone(), self.made_up(schema, depth + 1)));
                self.completed(all.collect(), schema, depth)
            }
            _ => Value::Null,
        }
    }

    /// A word that fits one of the language's patterns: of names, hashes, and numbers.
    fn word(&self, pattern: Option<&str>) -> String {
        let (name, digit) =
            if self.filling == Filling::First { ("unwritten_first", "0") } else { ("unwritten_last", "9") };
        match pattern {
            Some(pattern) if pattern.contains("{64}") => digit.repeat(64),
            Some(pattern) if pattern.starts_with("^[0-9]") => digit.to_owned(),
            _ => name.to_owned(),
        }
    }

    fn choice<T>(&self, mut of: impl Iterator<Item = T>) -> Option<T> {
        match self.filling {
            Filling::First => of.next(),
            Filling::Last => of.last(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{schema::PIPELINE_SCHEMA, schema_walk::schema_at},
        *,
    };
    use crate::stages::StageSpec;

    /// Every verb, and everything in it, can be made up in both ways.
    #[test]
    fn what_is_made_up_can_be_read() {
        let root = &PIPELINE_SCHEMA.schema;
        let stage = schema_at(root, "/stages/a");
        for verb in stage["properties"].as_object().unwrap().keys() {
            for filling in [Filling::First, Filling::Last] {
                let pointer = format!("/stages/a/{verb}");
                let repair = Repair { root, wrong: &HashSet::from([pointer.as_str()]), filling };
                let made = repair.value(&json!({ verb: null }), stage, "/stages/a");
                assert!(
                    PIPELINE_SCHEMA.validator.is_valid(&json!({ "stages": { "a": made.clone() } })),
                    "{made}"
                );
                assert!(serde_json::from_value::<StageSpec>(made.clone()).is_ok(), "{filling:?} {made}");
            }
        }
    }

    #[test]
    fn what_is_right_stays() {
        let root = &PIPELINE_SCHEMA.schema;
        let method = json!({ "sid": { "alpha": 1.5 } });
        let value = json!({ "distill": { "teacher": "t", "batch_size": -1, "augmnt": 0, "method": method } });
        let wrong = HashSet::from(["/stages/a/distill/batch_size"]);
        let repaired = [Filling::First, Filling::Last].map(|filling| {
            Repair { root, wrong: &wrong, filling }.value(&value, schema_at(root, "/stages/a"), "/stages/a")
        });
        for stage in repaired.iter().map(|stage| &stage["distill"]) {
            assert_eq!((&stage["teacher"], &stage["method"]["sid"]["alpha"]), (&"t".into(), &1.5.into()));
            assert!(stage.get("augmnt").is_none());
        }
        let differ = |key: &str| repaired[0]["distill"][key] != repaired[1]["distill"][key];
        assert!(differ("batch_size") && differ("augment"), "{repaired:?}");
    }
}
