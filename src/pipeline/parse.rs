//! A document -> `Pipeline`, or every mistake in it at once.

use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
    path::PathBuf,
    sync::Arc,
};

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    baselines::Baselines,
    document::{Document, escape, stage_of, unescape},
    meaning::Stages,
    mistake::Mistake,
    repair::{Filling, Repair},
    schema::PIPELINE_SCHEMA,
    schema_walk::schema_at,
    spec::{Pipeline, complete},
    violations::violations,
};
use crate::{stage_name::StageName, stages::StageSpec};

/// More wrong values than anybody mends at once.
const MAX_REPAIRED: usize = 1000;

/// What is wrong with how a document is written.
pub(super) fn slips(document: &Document) -> impl Iterator<Item = Mistake> {
    document.slips.iter().map(|slip| {
        Mistake::in_text(&document.name, &document.text, slip.span, slip.problem.clone())
            .help(Some(slip.help.clone()))
    })
}

/// The pipeline that a document holds. `mistakes` are those that were found on the way to it.
///
/// # Errors
/// All mistakes at once.
pub(super) fn judge(
    document: &Document,
    mistakes: Vec<Mistake>,
    search: &[PathBuf],
) -> Result<Pipeline, Vec<Mistake>> {
    judge_with(document, mistakes, &Baselines::new(search, true))
}

/// The same, with what measured values are compared with.
///
/// # Errors
/// All mistakes at once.
pub(super) fn judge_with(
    document: &Document,
    mut mistakes: Vec<Mistake>,
    baselines: &Baselines<'_>,
) -> Result<Pipeline, Vec<Mistake>> {
    mistakes.extend(slips(document));
    let violations = violations(document, &PIPELINE_SCHEMA);
    let stages = document.value.get("stages").and_then(Value::as_object);
    let first_key = |stage: &Value| stage.as_object().and_then(|map| map.keys().next()).cloned();
    let verbs: IndexMap<String, String> = stages
        .into_iter()
        .flatten()
        .filter_map(|(name, stage)| Some((name.clone(), first_key(stage)?)))
        .collect();
    if verbs.is_empty() && violations.is_empty() {
        mistakes.push(Mistake::at_key(document, "/stages", "there are no stages"));
    }
    let wrong: HashSet<&str> = violations.iter().map(|(at, _)| at.as_str()).collect();
    let mut said = |filling| {
        let (specs, unread) = read(document, &wrong, filling);
        mistakes.extend(unread);
        Stages { document, verbs: &verbs, specs, baselines }.mistakes()
    };
    let mut meant = said(Filling::First);
    if !wrong.is_empty() {
        let last: BTreeSet<Mistake> = said(Filling::Last).into_iter().collect();
        meant.retain(|mistake| last.contains(mistake));
    }
    mistakes.extend(meant);
    mistakes.extend(violations.into_iter().map(|(_, mistake)| mistake));
    let mut pipeline =
        typed(document, mistakes).map_err(|mistakes| attributed(mistakes, document, baselines))?;
    pipeline.complete();
    for (name, spec) in &mut pipeline.stages {
        // What was wrong was said above.
        baselines.recall(name, spec);
    }
    Ok(pipeline)
}

/// The stages of a document, those with something wrong repaired, and what keeps others from being read.
fn read(
    document: &Document,
    wrong: &HashSet<&str>,
    filling: Filling,
) -> (IndexMap<StageName, StageSpec>, Vec<Mistake>) {
    let root = &PIPELINE_SCHEMA.schema;
    let schema = schema_at(root, "/stages/any");
    let spoiled: HashSet<&str> = wrong.iter().map(|at| stage_of(at)).collect();
    let repair = Repair { root, wrong, filling };
    let (mut specs, mut unread) = (IndexMap::new(), Vec::new());
    for (name, stage) in document.value.get("stages").and_then(Value::as_object).into_iter().flatten() {
        let pointer = format!("/stages/{}", escape(name));
        let is_spoiled = spoiled.contains(pointer.as_str());
        // So much that is wrong is enough to be said.
        if is_spoiled && wrong.len() > MAX_REPAIRED {
            continue;
        }
        let stage = if is_spoiled { repair.value(stage, schema, &pointer) } else { stage.clone() };
        match serde_json::from_value(stage) {
            Ok(spec) => drop(specs.insert(StageName::new(name.clone()), spec)),
            Err(_) if is_spoiled => {}
            // Nothing that the schema allows should end here; if it does, it is still said.
            Err(error) => {
                unread.push(Mistake::at_key(document, &pointer, format!("stage `{name}`: {error}")));
            }
        }
    }
    complete(&mut specs);
    (specs, unread)
}

/// A mistake that the file does not make by itself names who changed it.
fn attributed(mut mistakes: Vec<Mistake>, document: &Document, baselines: &Baselines<'_>) -> Vec<Mistake> {
    if document.is_overlaid()
        && let Ok(unchanged) = Document::read(&document.name, Arc::clone(&document.text))
    {
        let own: BTreeSet<Mistake> =
            judge_with(&unchanged, Vec::new(), baselines).err().into_iter().flatten().collect();
        let changes = document.changes();
        for mistake in &mut mistakes {
            if mistake.file == document.name && !own.contains(mistake) {
                let stage = mistake.path.match_indices('.').nth(1).map_or(mistake.path.len(), |(end, _)| end);
                let by = changes.get(&mistake.path[..stage]).or_else(|| changes.get(""));
                let by = by.into_iter().flatten().cloned().collect::<Vec<_>>().join(" and ");
                let _ = write!(mistake.message, " (changed by {by})");
            }
        }
    }
    mistakes
}

/// What a derived pipeline or a sweep says, without those keys at its top that are wrong; `None` where something is
/// wrong under one of `needed`, or missing. Stages are judged later.
pub(super) fn read_rest<T>(
    document: &Document,
    violations: &[(String, Mistake)],
    needed: &[&str],
) -> Option<T>
where
    T: serde::de::DeserializeOwned,
{
    let mut value = document.value.clone();
    for (at, _) in violations.iter().filter(|(at, _)| !at.starts_with("/stages/")) {
        let key = unescape(at.split('/').nth(1).filter(|key| !needed.contains(key))?);
        value.as_object_mut()?.remove(&*key);
    }
    serde_json::from_value(value).ok()
}

/// The pipeline as it is typed.
///
/// # Errors
/// `mistakes`, if there are any; else what keeps it from being read.
fn typed(document: &Document, mut mistakes: Vec<Mistake>) -> Result<Pipeline, Vec<Mistake>> {
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    serde_json::from_value(document.value.clone()).map_err(|error| {
        // What the schema allows can be read; if not, it is still said.
        mistakes.push(Mistake::at_key(document, "", error.to_string()));
        mistakes
    })
}
