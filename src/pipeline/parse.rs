//! A document -> `Pipeline`, or every mistake in it at once.

use std::{fmt::Write as _, path::PathBuf};

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    document::{Document, Span, SyntaxError, escape, unescape},
    meaning::Stages,
    mistake::Mistake,
    schema::PIPELINE_SCHEMA,
    spec::{Pipeline, complete},
    violations::violations,
};
use crate::{stage_name::StageName, stages::StageSpec};

/// Keys that stand twice.
pub(super) fn duplicates(document: &Document) -> impl Iterator<Item = Mistake> {
    document.duplicates.iter().map(|(span, key, first)| {
        Mistake::in_text(&document.name, &document.text, *span, format!("`{key}` stands twice"))
            .help(Some(format!("the first is in line {}", first.line)))
    })
}

/// The pipeline that a document holds. `mistakes` are those that were found on the way to it.
///
/// # Errors
/// All mistakes at once.
pub(super) fn judge(
    document: &Document,
    mut mistakes: Vec<Mistake>,
    search: &[PathBuf],
) -> Result<Pipeline, Vec<Mistake>> {
    mistakes.extend(duplicates(document));
    let violations = violations(document, &PIPELINE_SCHEMA);
    let mut verbs = IndexMap::new();
    let mut specs = IndexMap::new();
    let mut repairs: IndexMap<StageName, StageSpec> = IndexMap::new();
    for (name, value) in document.value.get("stages").and_then(Value::as_object).into_iter().flatten() {
        let pointer = format!("/stages/{}", escape(name));
        let spoiled =
            violations.iter().any(|(at, _)| *at == pointer || at.starts_with(&format!("{pointer}/")));
        if let Some(verb) = value.as_object().and_then(|map| map.keys().next()) {
            verbs.insert(name.clone(), verb.clone());
        }
        if spoiled {
            let at = violations.iter().filter_map(|(at, _)| at.strip_prefix(&pointer));
            if let Some(spec) = repaired(value, at) {
                repairs.insert(StageName::new(name.clone()), spec);
            }
            continue;
        }
        match serde_json::from_value(value.clone()) {
            Ok(spec) => drop(specs.insert(StageName::new(name.clone()), spec)),
            // Nothing that the schema allows should end here; if it does, it is still said.
            Err(error) => {
                mistakes.push(Mistake::at_key(document, &pointer, format!("stage `{name}`: {error}")));
            }
        }
    }
    if verbs.is_empty() && violations.is_empty() {
        mistakes.push(Mistake::at_key(document, "/stages", "there are no stages"));
    }
    mistakes.extend(violations.into_iter().map(|(_, mistake)| mistake));
    complete(&mut specs);
    let stages = Stages { document, verbs, specs, search };
    mistakes.extend(stages.mistakes());
    mistakes.extend(repairs.iter().flat_map(|(name, spec)| stages.references(name, spec)));
    let mut pipeline: Pipeline =
        typed(document, mistakes).map_err(|mistakes| attributed(mistakes, document, search))?;
    pipeline.complete();
    Ok(pipeline)
}

/// A mistake that the file does not make by itself names who changed it.
fn attributed(mut mistakes: Vec<Mistake>, document: &Document, search: &[PathBuf]) -> Vec<Mistake> {
    if document.is_overlaid()
        && let Ok(unchanged) = Document::read(&document.name, document.text.clone())
    {
        let own = judge(&unchanged, Vec::new(), search).err().unwrap_or_default();
        for mistake in &mut mistakes {
            if mistake.file == document.name && !own.contains(mistake) {
                let by = document.changed_by(&mistake.path).into_iter().collect::<Vec<_>>().join(" and ");
                let _ = write!(mistake.message, " (changed by {by})");
            }
        }
    }
    mistakes
}

/// A stage without its violations, so that its references can be judged all the same.
fn repaired<'a>(stage: &Value, violations: impl Iterator<Item = &'a str>) -> Option<StageSpec> {
    let mut stage = stage.clone();
    for at in violations {
        let (parent, key) = at.rsplit_once('/')?;
        match stage.pointer_mut(parent) {
            Some(Value::Object(map)) => drop(map.shift_remove(&unescape(key))),
            Some(Value::Array(list)) => list.retain(|_| false),
            _ => {}
        }
    }
    serde_json::from_value(stage).ok()
}

/// The typed value: from the text itself where the text says all, so that an error has its place.
///
/// # Errors
/// `mistakes`, if there are any; else what keeps the value from being read.
pub(super) fn typed<T>(document: &Document, mut mistakes: Vec<Mistake>) -> Result<T, Vec<Mistake>>
where
    T: serde::de::DeserializeOwned,
{
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let read = if document.is_overlaid() {
        let start = Span { line: 1, column: 1, length: 1 };
        serde_json::from_value(document.value.clone())
            .map_err(|e| SyntaxError { span: start, problem: e.to_string() })
    } else {
        Document::typed(&document.text)
    };
    read.map_err(|error| {
        mistakes.push(Mistake::in_text(&document.name, &document.text, error.span, error.problem));
        mistakes
    })
}
