//! The JSON schemas of pipelines, derived pipelines and sweeps: made from the types, committed in `schemas/`, embedded in the program.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    schema_hover::Hovers,
    schema_shape::{Bounded, Branches, exactly_one_key},
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
    let mut schema: Value = serde_json::from_str(text).expect("the embedded schema is JSON");
    exactly_one_key(&mut schema);
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
        .with_transform(Branches)
        .with_transform(Bounded)
        .with_transform(Hovers)
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}
