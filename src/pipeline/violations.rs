//! What a document has against the schema, in our own sentences and at the place in the file.

use std::{collections::HashSet, fmt::Write as _};

use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use super::{
    document::{Document, escape, unescape},
    mistake::Mistake,
    schema::Compiled,
    schema_walk::{expected, inside, is_count, resolve, schema_at},
    wording::{flow, instead, plain, said, shown},
};
use crate::{
    metrics::Metric,
    suggestion::{Adviser, closest, listed},
};

/// Everything that the schema has against a document: pointers to the values, and the mistakes.
pub(super) fn violations(document: &Document, compiled: &Compiled) -> Vec<(String, Mistake)> {
    let adviser = Adviser::default();
    let (found, ranged) = (Vec::new(), HashSet::new());
    let mut judge = Judge { document, compiled, schema: &compiled.schema, adviser, found, ranged };
    for error in compiled.validator.iter_errors(&document.value) {
        judge.judge("", &error);
    }
    judge.ranged = judge.found.iter().map(|(pointer, _)| pointer.clone()).collect();
    judge.fractions(&document.value, resolve(&compiled.schema, &compiled.schema), &mut String::new());
    judge.found
}

struct Judge<'a> {
    document: &'a Document,
    compiled: &'a Compiled,
    adviser: Adviser,
    schema: &'a Value,
    found: Vec<(String, Mistake)>,
    /// Values of which something is said.
    ranged: HashSet<String>,
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

    /// An error of the value at `place`, or of something in it.
    fn judge(&mut self, place: &str, error: &ValidationError<'_>) {
        let pointer = format!("{place}{}", error.instance_path());
        let document = self.document;
        let value = document.value.pointer(&pointer).unwrap_or(&Value::Null);
        let name = said(&pointer);
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                for key in unexpected {
                    self.unknown_key(&pointer, key);
                }
            }
            Kind::Required { property } => {
                self.missing(&pointer, value, property.as_str().unwrap_or_default());
            }
            Kind::Type { .. } => self.wrong_type(&pointer, value, &name),
            Kind::Enum { options } => {
                let help = self.other_than(&pointer, value.as_str().unwrap_or_default(), options);
                self.at_value(&pointer, format!("{name} cannot be {}", self.shown(&pointer, value)), help);
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                // The branch that is meant is the one of the value's own type; the others' objections are noise.
                let fits = |branch: &&Vec<ValidationError<'_>>| {
                    !branch.iter().any(|e| {
                        matches!(e.kind(), Kind::Type { .. }) && e.instance_path() == error.instance_path()
                    })
                };
                match context.iter().find(fits) {
                    Some(branch) => branch.iter().for_each(|error| self.judge(place, error)),
                    None => self.wrong_type(&pointer, value, &name),
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
                self.out_of_range(&pointer, value, &name, &format!("at least {}", plain(limit)));
            }
            Kind::Maximum { limit } => {
                self.out_of_range(&pointer, value, &name, &format!("at most {}", plain(limit)));
            }
            Kind::ExclusiveMinimum { limit } => {
                self.out_of_range(&pointer, value, &name, &format!("more than {}", plain(limit)));
            }
            Kind::ExclusiveMaximum { limit } => {
                self.out_of_range(&pointer, value, &name, &format!("less than {}", plain(limit)));
            }
            Kind::MinItems { limit } => self.counted(&pointer, value, &name, &format!("at least {limit}")),
            Kind::MaxItems { limit } => self.counted(&pointer, value, &name, &format!("at most {limit}")),
            Kind::MinLength { .. } => {
                self.at_value(&pointer, format!("{name} is empty"), self.meaning(&pointer));
            }
            Kind::Pattern { .. } => {
                self.at_value(
                    &pointer,
                    format!("{name} cannot be {}", self.shown(&pointer, value)),
                    self.meaning(&pointer),
                );
            }
            _ => self.at_value(&pointer, format!("{name}: {error}"), None),
        }
    }

    /// What may be written instead of an unknown word: one of `options`, or a mapping where the place takes one.
    fn other_than(&self, pointer: &str, word: &str, options: &Value) -> Option<String> {
        if let Some(metric) = Metric::of_column(word) {
            return Some(format!("write `{}`", flow(&serde_json::to_value(metric).ok()?)));
        }
        let mappings = self.choices(pointer);
        let known = || {
            let words = options.as_array().into_iter().flatten().filter_map(Value::as_str);
            words.map(str::to_owned).chain(mappings.iter().cloned()).collect()
        };
        let advice = self.adviser.advice::<String>(word, known)?;
        let form = |advice: String, key: &String| {
            advice.replace(&format!("`{key}`"), &format!("`{}`", self.form(pointer, key)))
        };
        Some(mappings.iter().fold(advice, form))
    }

    /// A key with what has to be written below it: `frechet_distance: { detector: pixels, images: ... }`.
    fn form(&self, pointer: &str, key: &str) -> String {
        let pointer = format!("{pointer}/{}", escape(key));
        let required = self.at(&pointer).get("required").and_then(Value::as_array);
        let field = |field: &str| {
            let words =
                self.at(&format!("{pointer}/{}", escape(field))).get("enum").and_then(Value::as_array);
            let words: Vec<&str> = words.into_iter().flatten().filter_map(Value::as_str).collect();
            let value = if words.is_empty() { "...".to_owned() } else { words.join("|") };
            format!("{field}: {value}")
        };
        let fields: Vec<String> =
            required.into_iter().flatten().filter_map(Value::as_str).map(field).collect();
        if fields.is_empty() { key.to_owned() } else { format!("{key}: {{ {} }}", fields.join(", ")) }
    }

    fn unknown_key(&mut self, pointer: &str, key: &str) {
        let place = format!("{pointer}/{}", escape(key));
        let schema = self.at(pointer);
        if schema.get("patternProperties").is_some() {
            let message = format!("`{key}` cannot name a stage");
            let help = "lower-case letters, digits and `_`, a letter first, at most 64".to_owned();
            self.at_key(&place, message, Some(help));
            // What is in it is judged all the same.
            let (document, compiled) = (self.document, self.compiled);
            let stage = document.value.pointer(&place).unwrap_or(&Value::Null);
            return compiled.stage.iter_errors(stage).for_each(|error| self.judge(&place, &error));
        }
        let known = self.choices(pointer);
        let help = self.adviser.advice(key, || known);
        self.at_key(&place, format!("unknown key `{key}`"), help);
    }

    fn missing(&mut self, pointer: &str, value: &Value, property: &str) {
        // A misspelt key is unknown and missing at once; one sentence is enough.
        let known = self.choices(pointer);
        let written = value.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let misspelt = written
            .filter(|key| !known.iter().any(|k| k == key))
            .take(100)
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
        let (wanted, shown) = (expected(schema, self.schema), self.shown(pointer, value));
        let help = match value {
            Value::String(word) if choices.contains(word) => Some(format!("write `{word}: {{}}`")),
            Value::Null if !choices.is_empty() => {
                let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
                let defaults = schema.get("required").is_none() && schema.get("minProperties").is_none();
                let defaults = if defaults { "write `{}` for the defaults; " } else { "" };
                Some(format!("{defaults}known here: {}", listed(&choices)))
            }
            value => instead(value, &wanted, &shown),
        };
        self.at_value(pointer, format!("{name} has to be {wanted}, not {shown}"), help);
    }

    /// A schema takes `64.0` for a whole number, but no count is written so.
    fn fractions(&mut self, value: &Value, schema: &Value, pointer: &mut String) {
        let root = self.schema;
        let (keys, length) = (value.as_object().into_iter().flatten(), pointer.len());
        for (key, value) in keys.filter(|(_, value)| value.is_f64() || value.is_object() || value.is_array())
        {
            let Some(schema) = inside(root, schema, key) else { continue };
            pointer.push('/');
            pointer.push_str(&escape(key));
            self.fractions(value, schema, pointer);
            pointer.truncate(length);
        }
        for (i, value) in value.as_array().into_iter().flatten().enumerate() {
            let Some(schema) = inside(root, schema, "") else { break };
            let _ = write!(pointer, "/{i}");
            self.fractions(value, schema, pointer);
            pointer.truncate(length);
        }
        if value.is_f64() && is_count(root, schema) {
            let number = value.as_f64().unwrap_or_default();
            let whole = number.fract() == 0.0 && number.abs() < 9e15;
            // The range speaks of those that are beyond it.
            if self.ranged.contains(pointer.as_str()) {
                return;
            }
            let message =
                format!("{} has to be a whole number, not {}", said(pointer), self.shown(pointer, value));
            self.at_value(pointer, message, whole.then(|| format!("write `{:.0}`", number + 0.0)));
        }
    }

    fn out_of_range(&mut self, pointer: &str, value: &Value, name: &str, limit: &str) {
        let message = format!("{name} has to be {limit}, not {}", self.shown(pointer, value));
        self.at_value(pointer, message, None);
    }

    fn counted(&mut self, pointer: &str, value: &Value, name: &str, limit: &str) {
        let count = value.as_array().map_or(0, Vec::len);
        self.at_value(pointer, format!("{name} needs {limit} entries, not {count}"), self.meaning(pointer));
    }

    /// A value as a sentence mentions it: a word or a number as it is written.
    fn shown(&self, pointer: &str, value: &Value) -> String {
        let is_short = |written: &String| written.chars().count() <= 40;
        let written =
            || self.document.written(pointer).filter(is_short).map(|written| format!("`{written}`"));
        match value {
            Value::Number(_) | Value::Bool(_) => written().unwrap_or_else(|| shown(value)),
            // Quotation marks tell text from what it looks like.
            Value::String(text) if text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok() => {
                written().unwrap_or_else(|| shown(value))
            }
            _ => shown(value),
        }
    }

    /// The description of what is at `pointer`.
    fn meaning(&self, pointer: &str) -> Option<String> {
        let (parent, _) = pointer.rsplit_once('/')?;
        let key = unescape(&pointer[parent.len() + 1..]);
        let described =
            self.at(parent).get("properties").and_then(|p| p.get(&*key)).unwrap_or_else(|| self.at(pointer));
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
