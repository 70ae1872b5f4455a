//! What the types' schemas look like: to editors, which offer the keys of every branch of a `oneOf` where nothing is written
//! yet, and to our validator, which says what is wrong inside one.

use schemars::{
    Schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

/// Rewrites the `oneOf` that stands for an enum: variants without values become one list of words, variants with values
/// branches of one key each.
#[derive(Clone, Debug)]
pub(super) struct Branches;

impl Transform for Branches {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::String(description)) = object.get_mut("description") {
            *description = description.replace('\n', " ");
        }
        let Some(Value::Array(branches)) = object.get("oneOf") else { return };
        let mut words = Vec::new();
        let mut meanings = Vec::new();
        let mut variants = Vec::new();
        for branch in branches {
            if let Some(word) = branch.get("const").filter(|word| word.is_string()) {
                words.push(word.clone());
                meanings.push(branch.get("description").cloned().unwrap_or_default());
            } else if let Some(Value::Array(more)) = branch.get("enum") {
                words.extend(more.iter().cloned());
                meanings.extend(more.iter().map(|_| Value::Null));
            } else if let Some((key, value)) = single_property(branch) {
                variants.push(json!({
                    "type": "object", "properties": { key: value }, "additionalProperties": false, "minProperties": 1
                }));
            } else {
                return;
            }
        }
        object.remove("oneOf");
        let words = (!words.is_empty())
            .then(|| json!({ "type": "string", "enum": words, "enumDescriptions": meanings }));
        let variants = (!variants.is_empty()).then(|| json!({ "oneOf": variants }));
        match (words, variants) {
            (Some(only), None) | (None, Some(only)) => {
                let Value::Object(only) = only else { return };
                object.extend(only);
            }
            (words, variants) => {
                object.insert("anyOf".into(), words.into_iter().chain(variants).collect());
            }
        }
    }
}

/// `{ type: object, properties: { key: value }, ... }` => key and value, with the description of the whole where it has one.
fn single_property(branch: &Value) -> Option<(String, Value)> {
    let properties = branch.get("properties")?.as_object()?;
    let (key, value) = properties.iter().next().filter(|_| properties.len() == 1)?;
    let mut value = value.clone();
    if let (Some(description), Some(value)) = (branch.get("description"), value.as_object_mut()) {
        value.insert("description".into(), description.clone());
    }
    Some((key.clone(), value))
}

/// Makes one object with exactly one key of branches with one key each, as our validator reads them: "not valid under any of
/// the schemas listed in `oneOf`" turns into "0 is less than the minimum of 1 at `/stages/sid/distill/batch_size`".
///
/// Editors do not read this: where an object may have one key only, yaml-language-server counts the line that is still empty,
/// and offers nothing.
pub(super) fn exactly_one_key(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(exactly_one_key),
        Value::Object(object) => {
            object.values_mut().for_each(exactly_one_key);
            let Some(Value::Array(branches)) = object.get("oneOf") else { return };
            let Some(variants) = branches.iter().map(single_property).collect::<Option<Map<_, _>>>() else {
                return;
            };
            object.remove("oneOf");
            object.insert("type".into(), "object".into());
            object.insert("properties".into(), variants.into());
            object.insert("additionalProperties".into(), false.into());
            object.insert("minProperties".into(), 1.into());
            object.insert("maxProperties".into(), 1.into());
        }
        _ => {}
    }
}

/// Numbers that are larger mean nothing, and from 2^53 on a float is another number than what was written.
const LARGEST: f64 = 1e15;

/// Gives every number that no range is written for the one of its type.
#[derive(Clone, Debug)]
pub(super) struct Bounded;

impl Transform for Bounded {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        let is = |object: &Map<String, Value>, word: &str| match object.get("type") {
            Some(Value::Array(types)) => types.iter().any(|one| one == word),
            Some(one) => one == word,
            None => false,
        };
        let [least, most] = match object.get("format").and_then(Value::as_str) {
            _ if is(object, "number") => [Value::from(-LARGEST), Value::from(LARGEST)],
            Some("uint32") => [0.into(), u32::MAX.into()],
            _ if is(object, "integer") => [0.into(), u64::MAX.into()],
            _ => return,
        };
        object.entry("minimum").or_insert(least);
        object.entry("maximum").or_insert(most);
    }
}
