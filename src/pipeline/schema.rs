//! The JSON schemas of pipelines, derived pipelines and sweeps: made from the types, committed in `schemas/`, embedded in the program.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

use super::{
    spec::{Derived, Pipeline},
    sweep_spec::Sweep,
};

/// The committed schema of pipelines.
pub const PIPELINE: &str = include_str!("../../schemas/pipeline.schema.json");

/// The committed schema of derived pipelines.
pub const DERIVED: &str = include_str!("../../schemas/derived.schema.json");

/// The committed schema of sweeps.
pub const SWEEP: &str = include_str!("../../schemas/sweep.schema.json");

/// A schema, ready to validate with.
pub(super) struct Compiled {
    pub(super) schema: Value,
    pub(super) validator: Validator,
    /// For a stage alone, and whatever else the names of keys decide: anything where the schema has no stages.
    pub(super) stage: Validator,
}

/// The schema of pipelines, compiled on first use.
pub(super) static PIPELINE_SCHEMA: LazyLock<Compiled> = LazyLock::new(|| compile(PIPELINE));

/// The schema of derived pipelines, compiled on first use.
pub(super) static DERIVED_SCHEMA: LazyLock<Compiled> = LazyLock::new(|| compile(DERIVED));

/// The schema of sweeps, compiled on first use.
pub(super) static SWEEP_SCHEMA: LazyLock<Compiled> = LazyLock::new(|| compile(SWEEP));

fn compile(text: &str) -> Compiled {
    let schema: Value = serde_json::from_str(text).expect("the embedded schema is JSON");
    let compiled =
        |schema: &Value| jsonschema::validator_for(schema).expect("the embedded schema is a schema");
    let mut stage = schema.get("$defs").map_or_else(|| json!({}), |defs| json!({ "$defs": defs }));
    if let Some(of_stages) = schema.pointer("/properties/stages/patternProperties").and_then(Value::as_object)
    {
        stage["$ref"] =
            of_stages.values().next().and_then(|stage| stage.get("$ref")).cloned().unwrap_or_default();
    }
    Compiled { validator: compiled(&schema), stage: compiled(&stage), schema }
}

/// What the types say today: file name and content of each schema. `schemas/` has to equal it.
pub fn generate() -> [(&'static str, String); 3] {
    [
        ("pipeline.schema.json", text::<Pipeline>("A sida pipeline")),
        ("derived.schema.json", text::<Derived>("A derived sida pipeline")),
        ("sweep.schema.json", text::<Sweep>("A sida sweep")),
    ]
}

fn text<T: JsonSchema>(title: &str) -> String {
    let mut schema = SchemaSettings::draft2020_12()
        .with_transform(ExactlyOneKey)
        .with_transform(Bounded)
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

/// Rewrites the `oneOf` that stands for an enum, so that validators and editors can say what is wrong inside it.
///
/// Variants with values become one object with exactly one key, variants without become one list of words. "Not
/// valid under any of the schemas listed in `oneOf`" turns into "0 is less than the minimum of 1 at
/// `/stages/sid/distill/batch_size`".
#[derive(Clone, Debug)]
struct ExactlyOneKey;

impl Transform for ExactlyOneKey {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::String(description)) = object.get_mut("description") {
            *description = description.replace('\n', " ");
        }
        let Some(Value::Array(branches)) = object.get("oneOf") else { return };
        let mut words = Vec::new();
        let mut meanings = Vec::new();
        let mut variants = Map::new();
        for branch in branches {
            if let Some(word) = branch.get("const").filter(|word| word.is_string()) {
                words.push(word.clone());
                meanings.push(branch.get("description").cloned().unwrap_or_default());
            } else if let Some(Value::Array(more)) = branch.get("enum") {
                words.extend(more.iter().cloned());
                meanings.extend(more.iter().map(|_| Value::Null));
            } else if let Some((key, value)) = single_property(branch) {
                variants.insert(key, value);
            } else {
                return;
            }
        }
        object.remove("oneOf");
        let words = (!words.is_empty())
            .then(|| json!({ "type": "string", "enum": words, "enumDescriptions": meanings }));
        let variants = (!variants.is_empty()).then(|| {
            json!({ "type": "object", "properties": variants, "additionalProperties": false, "minProperties": 1, "maxProperties": 1 })
        });
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

/// Numbers that are larger mean nothing, and from 2^53 on a float is another number than what was written.
const LARGEST: f64 = 1e15;

/// Gives every number that no range is written for the one of its type.
#[derive(Clone, Debug)]
struct Bounded;

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

/// `{ type: object, properties: { key: value }, required: [key] }` => key and value, described.
fn single_property(branch: &Value) -> Option<(String, Value)> {
    let properties = branch.get("properties")?.as_object()?;
    let (key, value) = properties.iter().next().filter(|_| properties.len() == 1)?;
    let mut value = value.clone();
    if let (Some(description), Some(value)) = (branch.get("description"), value.as_object_mut()) {
        value.insert("description".into(), description.clone());
    }
    Some((key.clone(), value))
}
