//! Why a stage runs again: which value, input or file changed since its newest run.

use std::collections::BTreeMap;

use serde_json::Value;

use super::key::KeyInput;

/// More changes than this are counted, not listed.
const LISTED: usize = 3;

/// What changed since the run that `record` is the `stage.json` of.
pub(super) fn changed(input: &KeyInput, record: &Value) -> String {
    let now = serde_json::to_value(input).unwrap_or_default();
    let mut changes = Vec::new();
    if record.get("format") != now.get("format") {
        changes.push("another version of the program wrote it".to_owned());
    }
    if record.get("verb") != now.get("verb") {
        changes.push(pair("verb", record.get("verb"), now.get("verb")));
    }
    if record.get("seed") != now.get("seed") {
        changes.push(pair("seed", record.get("seed"), now.get("seed")));
    }
    let (before, after) = (flat(record.get("values")), flat(now.get("values")));
    let fields: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for field in fields {
        if before.get(field) != after.get(field) {
            changes.push(pair(field, before.get(field), after.get(field)));
        }
    }
    let differing = |part: &str| {
        let (before, after) = (flat(record.get(part)), flat(now.get(part)));
        let fields: Vec<String> =
            after.iter().filter(|(k, v)| before.get(*k) != Some(v)).map(|(k, _)| k.clone()).collect();
        fields
    };
    changes.extend(differing("inputs").iter().map(|field| format!("what `{field}` names changed")));
    changes.extend(differing("files").iter().map(|field| format!("the contents of `{field}` changed")));
    match changes.len() {
        0 => "its last run is gone".to_owned(),
        n if n > LISTED => format!("{}, and {} more", changes[..LISTED].join(", "), n - LISTED),
        _ => changes.join(", "),
    }
}

fn pair(name: &str, before: Option<&Value>, after: Option<&Value>) -> String {
    let show = |value: Option<&Value>| value.map_or_else(|| "left out".to_owned(), Value::to_string);
    format!("`{name}` was {}, is {}", show(before), show(after))
}

fn flat(value: Option<&Value>) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    if let Some(value) = value {
        descend(value, String::new(), &mut leaves);
    }
    leaves
}

fn descend(value: &Value, path: String, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                descend(value, path, leaves);
            }
        }
        leaf => drop(leaves.insert(path, leaf.clone())),
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reason_names_the_values_that_changed() {
        let input = KeyInput {
            format: 1,
            stage: "sid".into(),
            verb: "distill",
            values: json!({ "generator": { "lr": 2.0 }, "batch_size": 64 }),
            seed: 1,
            inputs: IndexMap::new(),
            files: IndexMap::new(),
            expected: Value::Null,
        };
        let record = json!({
            "format": 1, "seed": 0, "verb": "distill", "values": { "generator": { "lr": 1.0 }, "batch_size": 64 }
        });
        assert_eq!(changed(&input, &record), "`seed` was 0, is 1, `generator.lr` was 1.0, is 2.0");
    }
}
