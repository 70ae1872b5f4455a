//! `sida compare`: metrics, settings and images of two runs side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{Error, Result, terminal};

/// What is compared of one run: a pipeline's folder of runs, or a `report.json`.
struct Run {
    scores: BTreeMap<String, f64>,
    settings: BTreeMap<String, String>,
    pictures: BTreeMap<String, blake3::Hash>,
}

/// Prints what differs.
pub(super) fn compare(a: &Path, b: &Path) -> Result<()> {
    let (left, right) = (read(a)?, read(b)?);
    say!("A  {}\nB  {}", terminal::path(a), terminal::path(b));
    scores(&left.scores, &right.scores);
    settings(&left.settings, &right.settings);
    pictures(&left.pictures, &right.pictures);
    Ok(())
}

fn read(path: &Path) -> Result<Run> {
    let file = if path.is_dir() { path.join("report.json") } else { path.to_path_buf() };
    let text = fs::read_to_string(&file).map_err(|error| {
        let hint = "name a pipeline's folder, such as runs/quickstart, after its `report` stage has run";
        let source = std::io::Error::new(error.kind(), format!("{error}; {hint}"));
        Error::Io { action: "read the report", path: file.clone(), source }
    })?;
    let report: Value = serde_json::from_str(&text)
        .map_err(|e| Error::bad_file(&file, "report", format!("{e}; a finished run has one")))?;
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
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    if names.is_empty() {
        say!("\nno scores in either");
        return;
    }
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    say!("\n{:width$}  {:>12} {:>12} {:>12} {:>8}", "score", "A", "B", "B - A", "change");
    for name in names {
        let show = |value: Option<&f64>| value.map_or("-".to_owned(), |value| format!("{value:.5}"));
        let (difference, change) = match (a.get(name), b.get(name)) {
            (Some(a), Some(b)) => (format!("{:+.5}", b - a), format!("{:+.1} %", 100.0 * (b - a) / a.abs())),
            _ => ("-".to_owned(), "-".to_owned()),
        };
        say!(
            "{name:width$}  {:>12} {:>12} {difference:>12} {change:>8}",
            show(a.get(name)),
            show(b.get(name))
        );
    }
}

fn settings(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differing: Vec<_> = names.into_iter().filter(|name| a.get(*name) != b.get(*name)).collect();
    if differing.is_empty() {
        say!("\nall settings are the same");
        return;
    }
    say!("\nsettings that differ");
    for name in differing {
        let show = |value: Option<&String>| value.map_or("absent", |value| value.as_str()).to_owned();
        say!("  {name}: {} -> {}", show(a.get(name)), show(b.get(name)));
    }
}

fn pictures(a: &BTreeMap<String, blake3::Hash>, b: &BTreeMap<String, blake3::Hash>) {
    say!("");
    for (name, hash) in a {
        match b.get(name) {
            Some(other) if other == hash => say!("{name}: the same images, byte by byte"),
            Some(_) => say!("{name}: different images"),
            None => say!("{name}: only in A"),
        }
    }
    for name in b.keys().filter(|name| !a.contains_key(*name)) {
        say!("{name}: only in B");
    }
}
