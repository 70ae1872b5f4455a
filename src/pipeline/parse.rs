//! YAML text -> `Pipeline` or `Sweep`, or every mistake in it at once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    document::{Document, MAX_BYTES, Span, SyntaxError},
    meaning::{Stages, search_folders},
    mistake::{Mistake, as_error},
    overlay::{self, Setting},
    schema::{PIPELINE_SCHEMA, SWEEP_SCHEMA},
    spec::{Pipeline, Sweep, complete},
    sweep,
    violations::violations,
};
use crate::{Error, Result, stage_name::StageName, stages::StageSpec, terminal};

/// A file of the pipeline language.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// A pipeline.
    Pipeline(Pipeline),
    /// A sweep.
    Sweep(Sweep),
}

/// What a file says, or all its mistakes.
pub type Judged = std::result::Result<Parsed, Vec<Mistake>>;

/// A file that was read but not judged.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Folders in which relative paths are looked for.
    pub search: Vec<PathBuf>,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// `Usage` for a file that is absent, unreadable, too large or not text: the command is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let usage =
            |problem: String| Error::Usage(format!("cannot read `{}`: {problem}", terminal::path(path)));
        let size = fs::metadata(path).map_err(|error| usage(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(usage(format!("{size} bytes are too many for a pipeline file")));
        }
        let bytes = fs::read(path).map_err(|error| usage(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| usage("it is not UTF-8 text".to_owned()))?;
        Ok(Self { path: path.to_path_buf(), text, search: search_folders(path) })
    }

    /// The pipeline's name: the file's, without its extension.
    pub fn name(&self) -> String {
        self.path
            .file_stem()
            .map_or_else(|| "pipeline".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    /// What it says, after `settings` are made in it.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(&self, settings: &[Setting]) -> Result<Parsed> {
        self.judge(settings)?.map_err(as_error)
    }

    /// What it says, or all mistakes as data.
    ///
    /// # Errors
    /// `Usage` for a setting of a path that does not exist.
    pub fn judge(&self, settings: &[Setting]) -> Result<Judged> {
        let name = self.path.display().to_string();
        let mut document = match Document::read(&name, self.text.clone()) {
            Ok(document) => document,
            Err(error) => return Ok(Err(vec![syntax(&name, &self.text, error)])),
        };
        if document.value.get("base").is_some() || document.value.get("axes").is_some() {
            return judge_sweep(&document, self, settings);
        }
        overlay::apply(&mut document, settings)?;
        Ok(judge_pipeline(&document, &self.search))
    }
}

fn syntax(name: &str, text: &str, error: SyntaxError) -> Mistake {
    Mistake::in_text(name, text, error.span, format!("not readable as YAML: {}", error.problem))
}

fn duplicates(document: &Document) -> impl Iterator<Item = Mistake> {
    document.duplicates.iter().map(|(span, key, first)| {
        Mistake::in_text(&document.name, &document.text, *span, format!("`{key}` stands twice"))
            .help(Some(format!("the first is in line {}", first.line)))
    })
}

fn judge_pipeline(document: &Document, search: &[PathBuf]) -> Judged {
    let mut mistakes: Vec<Mistake> = duplicates(document).collect();
    let violations = violations(document, &PIPELINE_SCHEMA);
    let mut verbs = IndexMap::new();
    let mut specs = IndexMap::new();
    let mut repairs: IndexMap<StageName, StageSpec> = IndexMap::new();
    for (name, value) in document.value.get("stages").and_then(Value::as_object).into_iter().flatten() {
        let pointer = format!("/stages/{}", super::document::escape(name));
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
                let span = document.key_span(&pointer);
                mistakes.push(Mistake::new(document, span, &pointer, format!("stage `{name}`: {error}")));
            }
        }
    }
    if verbs.is_empty() && violations.is_empty() {
        let span = document.key_span("/stages");
        mistakes.push(Mistake::new(document, span, "/stages", "there are no stages"));
    }
    mistakes.extend(violations.into_iter().map(|(_, mistake)| mistake));
    complete(&mut specs);
    let stages = Stages { document, verbs, specs, search };
    mistakes.extend(stages.mistakes());
    mistakes.extend(repairs.iter().flat_map(|(name, spec)| stages.reference_mistakes(name, spec)));
    let mut pipeline: Pipeline = typed(document, mistakes)?;
    pipeline.complete();
    Ok(Parsed::Pipeline(pipeline))
}

/// A stage without its violations, so that its references can be judged all the same.
fn repaired<'a>(stage: &Value, violations: impl Iterator<Item = &'a str>) -> Option<StageSpec> {
    let mut stage = stage.clone();
    for at in violations {
        let (parent, key) = at.rsplit_once('/')?;
        match stage.pointer_mut(parent) {
            Some(Value::Object(map)) => drop(map.shift_remove(&super::document::unescape(key))),
            Some(Value::Array(list)) => list.retain(|_| false),
            _ => {}
        }
    }
    serde_json::from_value(stage).ok()
}

fn judge_sweep(document: &Document, source: &Source, settings: &[Setting]) -> Result<Judged> {
    let mut mistakes: Vec<Mistake> = duplicates(document).collect();
    mistakes.extend(violations(document, &SWEEP_SCHEMA).into_iter().map(|(_, mistake)| mistake));
    let sweep: Sweep = match typed(document, mistakes) {
        Ok(sweep) => sweep,
        Err(mistakes) => return Ok(Err(mistakes)),
    };
    let mistakes = sweep::mistakes(document, source, &sweep, settings)?;
    Ok(if mistakes.is_empty() { Ok(Parsed::Sweep(sweep)) } else { Err(mistakes) })
}

/// The typed value: from the text itself where the text says all, so that an error has its place.
fn typed<T>(document: &Document, mut mistakes: Vec<Mistake>) -> std::result::Result<T, Vec<Mistake>>
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
