//! What an editor says of a field: its description, what the name of a stage in it means, and its default.

use schemars::{
    Schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::Value;

use super::wording::flow;
use crate::stages::{Kind, StageSpec};

/// What the fields that name a stage want it to make; a test compares them with what the verbs say of themselves.
const REFERENCES: [(&str, Kind); 8] = [
    ("teacher", Kind::Network),
    ("initial_generator", Kind::Network),
    ("network", Kind::Network),
    ("dataset", Kind::Dataset),
    ("reference", Kind::Dataset),
    ("real_images", Kind::Dataset),
    ("images", Kind::Images),
    ("stage", Kind::Scores),
];

/// Gives every described field a `markdownDescription`, which editors show in place of `description`.
#[derive(Clone, Debug)]
pub(super) struct Hovers;

impl Transform for Hovers {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        // The branches of a type that is written in several ways say what a line of code needs; editors would show that alone.
        if schema.get("properties").is_none() {
            let branches = schema.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten();
            branches.filter_map(Value::as_object_mut).for_each(|branch| drop(branch.remove("description")));
        }
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (key, field) in properties.into_iter().flatten() {
            let Some(said) = field.get("description").and_then(Value::as_str) else { continue };
            let paragraphs = [Some(said.to_owned()), reference(key, field), default(field)];
            let text = paragraphs.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
            // Of what may be left out, an editor asks the branch that it finds written.
            let branches = field.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten();
            for branch in branches.filter(|branch| branch.get("$ref").is_some()) {
                branch["markdownDescription"] = text.as_str().into();
            }
            field["markdownDescription"] = text.into();
        }
    }
}

fn reference(key: &str, field: &Value) -> Option<String> {
    let is_name = |schema: &Value| schema.get("$ref").is_some_and(|to| to == "#/$defs/StageName");
    let branches = field.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    if !std::iter::once(field).chain(branches).any(is_name) {
        return None;
    }
    let (_, kind) = REFERENCES.iter().find(|(name, _)| *name == key)?;
    let verbs: Vec<String> = StageSpec::making(*kind).map(|verb| format!("`{verb}`")).collect();
    let verbs = match verbs.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => verbs.concat(),
    };
    Some(format!("The name of a stage of this pipeline with the verb {verbs}."))
}

/// Of an object, its fields say theirs.
fn default(field: &Value) -> Option<String> {
    let default = field.get("default").filter(|default| !default.is_null() && !default.is_object())?;
    Some(format!("Default: `{}`", flow(default).replace(',', ", ")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::pipeline::{Parsed, Source};

    /// In every stage of every recipe, what a field wants is what its hover says.
    #[test]
    fn hovers_of_names_say_what_the_verbs_want() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines");
        let mut seen = std::collections::BTreeSet::new();
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let Ok(Parsed::Pipeline(pipeline)) = Source::read(&entry.path()).unwrap().parse(&[]) else {
                continue;
            };
            for input in pipeline.stages.values().flat_map(|spec| spec.stage().inputs()) {
                let field = input.field.rsplit('/').next().unwrap();
                let known = REFERENCES.iter().find(|(name, _)| *name == field);
                assert_eq!(known.map(|(_, kind)| *kind), Some(input.kind), "{}", input.field);
                seen.insert(field.to_owned());
            }
        }
        assert!(seen.len() >= 6, "{seen:?}");
    }
}
