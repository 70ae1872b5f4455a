//! What a path on the command line means: a pipeline's folder, a point of a sweep, a stage's folder, or a report.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use serde_json::Value;

use super::{report_file, stage_folder, unusable};
use crate::{
    Error, Result,
    pipeline::{home, store},
    report::comparison::{Identity, Side},
    terminal,
};

/// Points of a sweep that are named to somebody who has named all of them.
const NAMED_POINTS: usize = 3;

/// What is compared of what a path names.
///
/// # Errors
/// `Usage` for a path that is none of these; `NewerFormat`.
pub(super) fn read(path: &Path) -> Result<Side> {
    if !path.is_dir() {
        return if path.exists() {
            report_file::read(path, path)
        } else {
            Err(unusable(path, "there is no such file or folder"))
        };
    }
    if store::is_stage(path) {
        return stage(path);
    }
    let report = path.join("report.json");
    let points = home::points(path);
    if !points.is_empty() && (path.join("sweep.json").exists() || !report.exists()) {
        return Err(whole_sweep(path, &points));
    }
    if report.exists() { report_file::read(path, &report) } else { without_report(path) }
}

/// The words for a pipeline's folder: of a point of a sweep these are others.
pub(super) fn place(home: &Path, pipeline: &str) -> String {
    let full = fs::canonicalize(home).unwrap_or_else(|_| home.to_path_buf());
    let name = |path: Option<&Path>| Some(path?.file_name()?.to_string_lossy().into_owned());
    match (name(Some(&full)), home::sweep(&full).and_then(|sweep| name(Some(sweep)))) {
        (Some(point), Some(sweep)) => format!("point {point} of sweep {sweep}"),
        (Some(folder), None) if pipeline.is_empty() => format!("pipeline {folder}"),
        _ => format!("pipeline {pipeline}"),
    }
}

fn stage(path: &Path) -> Result<Side> {
    let folder = store::read_folder(path)?.ok_or_else(|| unusable(path, "its `stage.json` is damaged"))?;
    let read = stage_folder::read(&folder).map_err(|problem| unusable(path, problem))?;
    let is_done = if folder.done { "" } else { ", not finished" };
    let identity = Identity {
        path: path.display().to_string(),
        what: format!("stage {} of pipeline {}{is_done}", read.name, read.pipeline),
        seed: read.seed,
        date: read.date,
        device: read.device,
        key: read.stage.key.clone(),
        ..Identity::default()
    };
    Ok(Side { identity, is_stage: true, stages: IndexMap::from([(read.name, read.stage)]) })
}

/// A pipeline's folder before its report is made: of every stage the newest that is finished.
fn without_report(home: &Path) -> Result<Side> {
    let dirs = home::stages(home)?.into_iter().map(|name| home.join(name));
    let mut folders = Vec::new();
    for dir in dirs.filter(|dir| store::is_stage(dir)) {
        folders.extend(store::read_folder(&dir)?.filter(|folder| folder.done));
    }
    if folders.is_empty() {
        return Err(unusable(home, "it has neither a `report.json` nor a finished stage"));
    }
    folders.sort_by_key(|folder| folder.modified);
    let mut newest = IndexMap::new();
    for folder in folders {
        let name = folder.record.get("stage").map(Value::to_string);
        newest.shift_remove(&name);
        newest.insert(name, folder);
    }
    let mut side = Side::default();
    let mut devices = BTreeSet::new();
    for folder in newest.values() {
        let read = stage_folder::read(folder).map_err(|problem| unusable(&folder.dir, problem))?;
        devices.extend(Some(read.device).filter(|device| !device.is_empty()));
        (side.identity.seed, side.identity.date) = (read.seed, read.date);
        side.stages.insert(read.name, read.stage);
    }
    side.identity.path = home.display().to_string();
    side.identity.what = format!("{}, newest stages", place(home, ""));
    side.identity.device = devices.into_iter().collect::<Vec<_>>().join("; ");
    Ok(side)
}

fn whole_sweep(path: &Path, points: &[PathBuf]) -> Error {
    let named: Vec<String> =
        points.iter().take(NAMED_POINTS).map(|point| format!("`{}`", terminal::path(point))).collect();
    let more = if points.len() > NAMED_POINTS { ", ..." } else { "" };
    Error::Usage(format!(
        "`{}` is a sweep of {} points, and two runs are compared: name one of them: {}{more}",
        terminal::path(path),
        points.len(),
        named.join(", ")
    ))
}
