//! What a document has against the schema, in our own sentences and at the place in the file.

use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::{
    document::{Document, escape},
    mistake::Mistake,
    schema::Compiled,
};
use crate::suggestion::{advice, closest, listed};

/// Everything that the schema has against a document: pointers to the values, and the mistakes.
pub(super) fn violations(document: &Document, compiled: &Compiled) -> Vec<(String, Mistake)> {
    let mut judge = Judge { document, schema: &compiled.schema, found: Vec::new() };
    for error in compiled.validator.iter_errors(&document.value) {
        judge.judge(&error);
    }
    judge.found
}

struct Judge<'a> {
    document: &'a Document,
    schema: &'a Value,
    found: Vec<(String, Mistake)>,
}

impl Judge<'_> {
    fn at_value(&mut self, pointer: &str, message: String, help: Option<String>) {
        let mistake = Mistake::at_value(self.document, pointer, message).help(help);
        self.found.push((pointer.to_owned(), mistake));
    }

    fn at_key(&mut self, pointer: &str, message: String, help: Option<String>) {
        let mistake = Mistake::at_key(self.document, pointer, message).help(help);
        self.found.push((pointer.to_owned(), mistake));
    }

    fn judge(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str().to_owned();
        let value = self.document.value.pointer(&pointer).cloned().unwrap_or_default();
        let name = said(&pointer);
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                for key in unexpected {
                    self.unknown_key(&pointer, key);
                }
            }
            Kind::Required { property } => {
                self.missing(&pointer, &value, property.as_str().unwrap_or_default());
            }
            Kind::Type { .. } => self.wrong_type(&pointer, &value, &name),
            Kind::Enum { options } => {
                let options: Vec<&str> =
                    options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let written = value.as_str().unwrap_or_default();
                self.at_value(
                    &pointer,
                    format!("{name} cannot be {}", shown(&value)),
                    advice(written, &options),
                );
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                // The branch that is meant is the one of the value's own type; the others' objections are noise.
                let fits = |branch: &&Vec<ValidationError<'_>>| {
                    !branch.iter().any(|e| {
                        matches!(e.kind(), Kind::Type { .. }) && e.instance_path().as_str() == pointer
                    })
                };
                match context.iter().find(fits) {
                    Some(branch) => branch.iter().for_each(|error| self.judge(error)),
                    None => self.wrong_type(&pointer, &value, &name),
                }
            }
            Kind::MinProperties { .. } => {
                let choices = self.choices(&pointer);
                let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
                self.at_value(
                    &pointer,
                    format!("{name} is empty"),
                    Some(format!("one of {}", listed(&choices))),
                );
            }
            Kind::MaxProperties { .. } => {
                let keys: Vec<&str> =
                    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                let second = keys.get(1).copied().unwrap_or_default();
                let place = format!("{pointer}/{}", escape(second));
                self.at_key(
                    &place,
                    format!("{name} takes only one of {}", listed(&keys)),
                    Some("keep one".to_owned()),
                );
            }
            Kind::Minimum { limit } => {
                self.out_of_range(&pointer, &value, &name, &format!("at least {limit}"));
            }
            Kind::Maximum { limit } => {
                self.out_of_range(&pointer, &value, &name, &format!("at most {limit}"));
            }
            Kind::ExclusiveMinimum { limit } => {
                self.out_of_range(&pointer, &value, &name, &format!("more than {limit}"));
            }
            Kind::ExclusiveMaximum { limit } => {
                self.out_of_range(&pointer, &value, &name, &format!("less than {limit}"));
            }
            Kind::MinItems { limit } => self.counted(&pointer, &value, &name, &format!("at least {limit}")),
            Kind::MaxItems { limit } => self.counted(&pointer, &value, &name, &format!("at most {limit}")),
            Kind::MinLength { .. } => {
                self.at_value(&pointer, format!("{name} is empty"), self.meaning(&pointer));
            }
            Kind::Pattern { .. } => {
                self.at_value(
                    &pointer,
                    format!("{name} cannot be {}", shown(&value)),
                    self.meaning(&pointer),
                );
            }
            _ => self.at_value(&pointer, format!("{name}: {error}"), None),
        }
    }

    fn unknown_key(&mut self, pointer: &str, key: &str) {
        let place = format!("{pointer}/{}", escape(key));
        let schema = self.at(pointer);
        if schema.get("patternProperties").is_some() {
            let message = format!("`{key}` cannot name a stage");
            let help = "lower-case letters, digits and `_`, a letter first, at most 64".to_owned();
            return self.at_key(&place, message, Some(help));
        }
        let known = self.choices(pointer);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let help = advice(key, &known);
        self.at_key(&place, format!("unknown key `{key}`"), help);
    }

    fn missing(&mut self, pointer: &str, value: &Value, property: &str) {
        // A misspelt key is unknown and missing at once; one sentence is enough.
        let known = self.choices(pointer);
        let written = value.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let misspelt = written
            .filter(|key| !known.iter().any(|k| k == key))
            .any(|key| closest(key, known.iter().map(String::as_str)) == Some(property));
        if misspelt {
            return;
        }
        let meaning = self.meaning(&format!("{pointer}/{}", escape(property)));
        let message = match pointer {
            "" => format!("`{property}` is missing"),
            _ => format!("{} lacks `{property}`", said(pointer)),
        };
        self.at_key(pointer, message, meaning);
    }

    fn wrong_type(&mut self, pointer: &str, value: &Value, name: &str) {
        let schema = self.at(pointer);
        let choices = self.choices(pointer);
        let help = match value {
            Value::String(word) if choices.contains(word) => Some(format!("write `{word}: {{}}`")),
            Value::Null if !choices.is_empty() => {
                let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
                let defaults = schema.get("required").is_none() && schema.get("minProperties").is_none();
                let defaults = if defaults { "write `{}` for the defaults; " } else { "" };
                Some(format!("{defaults}known here: {}", listed(&choices)))
            }
            Value::String(word) if word.parse::<f64>().is_ok() => {
                Some("write the number without quotes".to_owned())
            }
            _ => None,
        };
        self.at_value(
            pointer,
            format!("{name} has to be {}, not {}", expected(schema, self.schema), shown(value)),
            help,
        );
    }

    fn out_of_range(&mut self, pointer: &str, value: &Value, name: &str, limit: &str) {
        self.at_value(pointer, format!("{name} has to be {limit}, not {}", shown(value)), None);
    }

    fn counted(&mut self, pointer: &str, value: &Value, name: &str, limit: &str) {
        let count = value.as_array().map_or(0, Vec::len);
        self.at_value(pointer, format!("{name} needs {limit} entries, not {count}"), self.meaning(pointer));
    }

    /// The description of what is at `pointer`.
    fn meaning(&self, pointer: &str) -> Option<String> {
        let (parent, _) = pointer.rsplit_once('/')?;
        let key = super::document::unescape(&pointer[parent.len() + 1..]);
        let described =
            self.at(parent).get("properties").and_then(|p| p.get(&key)).unwrap_or_else(|| self.at(pointer));
        described.get("description")?.as_str().map(str::to_owned)
    }

    /// The keys that a mapping at `pointer` may have.
    fn choices(&self, pointer: &str) -> Vec<String> {
        let properties = self.at(pointer).get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(key, _)| key.clone()).collect()
    }

    /// The schema of the value at `pointer`.
    fn at(&self, pointer: &str) -> &Value {
        schema_at(self.schema, pointer)
    }
}

/// The part of a schema that speaks about the value at `pointer`; `true` where none does.
pub(super) fn schema_at<'a>(root: &'a Value, pointer: &str) -> &'a Value {
    let mut at = resolve(root, root);
    for part in pointer.split('/').skip(1) {
        let key = super::document::unescape(part);
        let next = branches(root, at).find_map(|schema| {
            let property = schema.get("properties").and_then(|p| p.get(&key));
            let pattern = || schema.get("patternProperties").and_then(Value::as_object)?.values().next();
            let additional = || schema.get("additionalProperties").filter(|s| s.is_object());
            property.or_else(pattern).or_else(additional).or_else(|| schema.get("items"))
        });
        at = next.map_or(&Value::Bool(true), |schema| resolve(root, schema));
    }
    // Of several branches the one with keys says most.
    branches(root, at).find(|schema| schema.get("properties").is_some()).unwrap_or(at)
}

fn branches<'a>(root: &'a Value, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
    let more =
        schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().map(move |s| resolve(root, s));
    std::iter::once(schema).chain(more)
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
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

/// The types that a schema allows, as a sentence goes on.
fn expected(schema: &Value, root: &Value) -> String {
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

/// A value as a sentence mentions it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.chars().count() > 40 => {
            format!("`{}...`", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// What a value is called: its key, or its place in a list.
fn said(pointer: &str) -> String {
    let mut parts = pointer.rsplit('/').filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (None, _) => "the file".to_owned(),
        (Some(last), Some(list)) if last.parse::<usize>().is_ok() => {
            format!(
                "entry {} of `{}`",
                last.parse::<usize>().unwrap_or(0) + 1,
                super::document::unescape(list)
            )
        }
        (Some(last), _) => format!("`{}`", super::document::unescape(last)),
    }
}
