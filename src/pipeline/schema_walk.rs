//! Walking a schema: what it says of the value at a place.

use serde_json::Value;

use super::document::unescape;

/// The part of a schema that speaks about the value at `pointer`; `true` where none does.
pub(super) fn schema_at<'a>(root: &'a Value, pointer: &str) -> &'a Value {
    let mut at = resolve(root, root);
    for part in pointer.split('/').skip(1) {
        at = inside(root, at, &unescape(part)).unwrap_or(&Value::Bool(true));
    }
    with_keys(root, at)
}

/// The part of a schema that speaks about the value under a key, or at a place of a list.
pub(super) fn inside<'a>(root: &'a Value, schema: &'a Value, key: &str) -> Option<&'a Value> {
    let inside = branches(root, schema).find_map(|schema| {
        let property = schema.get("properties").and_then(|p| p.get(key));
        let pattern = || schema.get("patternProperties").and_then(Value::as_object)?.values().next();
        let additional = || schema.get("additionalProperties").filter(|s| s.is_object());
        property.or_else(pattern).or_else(additional).or_else(|| schema.get("items"))
    });
    inside.map(|schema| resolve(root, schema))
}

/// Of several branches the one with keys, which says most.
pub(super) fn with_keys<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    branches(root, schema).find(|schema| schema.get("properties").is_some()).unwrap_or(schema)
}

/// A schema, and what it may be instead.
pub(super) fn branches<'a>(root: &'a Value, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
    let more =
        schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().map(move |s| resolve(root, s));
    std::iter::once(schema).chain(more)
}

/// What a schema refers to, or itself.
pub(super) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut at = schema;
    for _ in 0..16 {
        let Some(Value::String(reference)) = at.get("$ref") else { break };
        match root.pointer(reference.trim_start_matches('#')) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

/// Whether a number has to be a whole one, also where a word may stand in its place, or nothing.
pub(super) fn is_count(root: &Value, schema: &Value) -> bool {
    let allows = |name: &str| {
        let mut branches = branches(root, schema).flat_map(|branch| branches(root, branch));
        branches.any(|branch| match branch.get("type") {
            Some(Value::Array(many)) => many.iter().any(|one| one == name),
            one => one.is_some_and(|one| one == name),
        })
    };
    allows("integer") && !allows("number")
}

/// The types that a schema allows, as a sentence goes on.
pub(super) fn expected(schema: &Value, root: &Value) -> String {
    let mut words: Vec<&str> = Vec::new();
    for branch in branches(root, schema) {
        let types: Vec<&str> = match branch.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for word in types {
            let word = match word {
                "object" => "a mapping",
                "array" => "a list",
                "string" => "text",
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "`true` or `false`",
                _ => continue,
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    if words.is_empty() { "something else".to_owned() } else { words.join(" or ") }
}
