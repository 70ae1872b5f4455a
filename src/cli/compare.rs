//! `sida compare`: metrics, settings and images of two runs side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::output;
use crate::{Error, Result, terminal};

/// What is compared of one run: a pipeline's folder of runs, or a `report.json`.
struct Run {
    scores: BTreeMap<String, f64>,
    settings: BTreeMap<String, String>,
    pictures: BTreeMap<String, blake3::Hash>,
}

/// Prints what differs.
///
/// # Errors
/// `Usage` for a path that leads to no report.
pub(super) fn compare(a: &Path, b: &Path, json: bool) -> Result<()> {
    let (left, right) = (read(a)?, read(b)?);
    if json {
        let settings: BTreeMap<&String, Value> = both(&left.settings, &right.settings)
            .filter(|(_, a, b)| a != b)
            .map(|(name, a, b)| (name, json!({ "a": a, "b": b })))
            .collect();
        let scores: BTreeMap<&String, Value> = both(&left.scores, &right.scores)
            .map(|(name, a, b)| (name, json!({ "a": a, "b": b, "difference": a.zip(b).map(|(a, b)| b - a) })))
            .collect();
        let pictures: BTreeMap<&String, &str> =
            both(&left.pictures, &right.pictures).map(|(name, a, b)| (name, verdict(a, b))).collect();
        output::json(&json!({ "a": a, "b": b, "scores": scores, "settings": settings, "images": pictures }));
        return Ok(());
    }
    say!("A  {}\nB  {}", terminal::path(a), terminal::path(b));
    scores(&left.scores, &right.scores);
    settings(&left.settings, &right.settings);
    say!("");
    for (name, a, b) in both(&left.pictures, &right.pictures) {
        say!("{name}: {}", verdict(a, b));
    }
    Ok(())
}

/// What two runs have under each name.
fn both<'a, T>(
    a: &'a BTreeMap<String, T>,
    b: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a String, Option<&'a T>, Option<&'a T>)> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().map(|name| (name, a.get(name), b.get(name)))
}

fn verdict(a: Option<&blake3::Hash>, b: Option<&blake3::Hash>) -> &'static str {
    match (a, b) {
        (Some(a), Some(b)) if a == b => "the same images, byte by byte",
        (Some(_), Some(_)) => "different images",
        (Some(_), None) => "only in A",
        _ => "only in B",
    }
}

fn read(path: &Path) -> Result<Run> {
    let file = if path.is_dir() { path.join("report.json") } else { path.to_path_buf() };
    let no_report = |problem: String| {
        let hint = "name a pipeline's folder, such as runs/quickstart, after its `report` stage has run";
        Error::Usage(format!("cannot read the report `{}`: {problem}; {hint}", terminal::path(&file)))
    };
    let text = fs::read_to_string(&file).map_err(|error| no_report(error.to_string()))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| no_report(error.to_string()))?;
    let mut scores = BTreeMap::new();
    for (stage, metrics) in report["scores"].as_object().into_iter().flatten() {
        for (metric, score) in metrics.as_object().into_iter().flatten() {
            scores.insert(format!("{stage}.{metric}"), score["mean"].as_f64().unwrap_or(f64::NAN));
        }
    }
    let mut settings = BTreeMap::new();
    for (stage, values) in report["settings"].as_object().into_iter().flatten() {
        flatten(stage, values, &mut settings);
    }
    flatten("seed", &report["provenance"]["seed"], &mut settings);
    let mut pictures = BTreeMap::new();
    let stages = report["provenance"]["stages"].as_array().into_iter().flatten();
    for (stage, key) in stages.filter_map(|run| Some((run["stage"].as_str()?, run["key"].as_str()?))) {
        let Some(dir) = stage_dir(&file, stage, key) else { continue };
        for name in ["grid.png", "reals.png"] {
            if let Ok(bytes) = fs::read(dir.join(name)) {
                pictures.insert(format!("{stage}/{name}"), blake3::hash(&bytes));
            }
        }
    }
    Ok(Run { scores, settings, pictures })
}

/// The folder of the stage that a report is about: beside the report, or above it where it is one of a sweep's point.
fn stage_dir(report: &Path, stage: &str, key: &str) -> Option<PathBuf> {
    let name = format!("{stage}-{}", key.get(..8)?);
    report.ancestors().skip(1).take(3).map(|folder| folder.join(&name)).find(|dir| dir.is_dir())
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(k, v)| flatten(&format!("{path}.{k}"), v, into)),
        other => {
            into.insert(path.to_owned(), other.to_string());
        }
    }
}

fn scores(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) {
    let Some(width) = both(a, b).map(|(name, ..)| name.len()).max() else {
        say!("\nno scores in either");
        return;
    };
    say!("\n{:width$}  {:>12} {:>12} {:>12} {:>8}", "score", "A", "B", "B - A", "change");
    for (name, a, b) in both(a, b) {
        let show = |value: Option<&f64>| value.map_or("-".to_owned(), |value| format!("{value:.5}"));
        let (difference, change) = match (a, b) {
            (Some(a), Some(b)) => (format!("{:+.5}", b - a), format!("{:+.1} %", 100.0 * (b - a) / a.abs())),
            _ => ("-".to_owned(), "-".to_owned()),
        };
        say!("{name:width$}  {:>12} {:>12} {difference:>12} {change:>8}", show(a), show(b));
    }
}

fn settings(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) {
    let mut differing = both(a, b).filter(|(_, a, b)| a != b).peekable();
    if differing.peek().is_none() {
        say!("\nall settings are the same");
        return;
    }
    say!("\nsettings that differ");
    for (name, a, b) in differing {
        let show = |value: Option<&String>| value.map_or("absent", |value| value.as_str()).to_owned();
        say!("  {name}: {} -> {}", show(a), show(b));
    }
}
