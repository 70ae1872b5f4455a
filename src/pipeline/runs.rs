//! The folder of runs: what lies there, and how a stage's folder says what it is.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::{FORMAT, StageKey};
use crate::{
    Error, Result,
    checkpoint::atomic,
    stage_name::StageName,
    stages::{Artifact, Finished},
    terminal,
};

const ARTIFACT: &str = "artifact.json";
const RECORD: &str = "stage.json";

/// What a finished stage's `artifact.json` holds.
#[derive(Serialize, Deserialize)]
struct ArtifactFile {
    format: u64,
    artifact: Artifact,
}

/// A stage's folder, whatever state it is in.
#[derive(Clone, Debug)]
pub struct StageFolder {
    /// Where.
    pub dir: PathBuf,
    /// Its `stage.json`.
    pub record: Value,
    /// When that was written.
    pub modified: SystemTime,
    /// Whether the stage is finished.
    pub done: bool,
}

/// The folders of all runs of one stage in a pipeline's folder, the newest first.
///
/// # Errors
/// `NewerFormat` for a folder that a newer program wrote.
pub fn folders_of(pipeline_dir: &Path, stage: &StageName) -> Result<Vec<StageFolder>> {
    let Ok(entries) = fs::read_dir(pipeline_dir) else { return Ok(Vec::new()) };
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let belongs = name.rsplit_once('-').is_some_and(|(of, key)| of == stage.as_str() && key.len() == 8);
        if !belongs {
            continue;
        }
        if let Some(folder) = read_folder(&entry.path())? {
            folders.push(folder);
        }
    }
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.modified));
    Ok(folders)
}

fn read_folder(dir: &Path) -> Result<Option<StageFolder>> {
    let path = dir.join(RECORD);
    let Ok(text) = fs::read(&path) else { return Ok(None) };
    let Ok(record) = serde_json::from_slice::<Value>(&text) else { return Ok(None) };
    refuse_newer(&path, &record)?;
    let modified = fs::metadata(&path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(Some(StageFolder { dir: dir.to_path_buf(), record, modified, done: dir.join(ARTIFACT).is_file() }))
}

fn refuse_newer(path: &Path, file: &Value) -> Result<()> {
    match file.get("format").and_then(Value::as_u64) {
        Some(found) if found > FORMAT => {
            Err(Error::NewerFormat { path: path.to_path_buf(), found, known: FORMAT })
        }
        _ => Ok(()),
    }
}

/// A stage's folder.
pub fn stage_dir(pipeline_dir: &Path, stage: &StageName, key: &StageKey) -> PathBuf {
    pipeline_dir.join(format!("{stage}-{}", key.short()))
}

/// The finished stage in a folder; `None` where there is none, or where what it says cannot be used any more.
///
/// # Errors
/// `NewerFormat` for a folder that a newer program wrote.
pub fn finished(dir: &Path) -> Result<Option<Finished>> {
    let path = dir.join(ARTIFACT);
    let Ok(text) = fs::read(&path) else { return Ok(None) };
    let Ok(value) = serde_json::from_slice::<Value>(&text) else { return Ok(None) };
    refuse_newer(&path, &value)?;
    let Ok(ArtifactFile { artifact, .. }) = serde_json::from_value(value) else { return Ok(None) };
    let Some(folder) = read_folder(dir)? else { return Ok(None) };
    // What later stages read has to be there still.
    let needed = match &artifact {
        Artifact::Dataset(dataset) => Some(&dataset.path),
        Artifact::Network(network) => Some(&network.weights),
        _ => None,
    };
    if needed.is_some_and(|path| !dir.join(path).exists()) {
        return Ok(None);
    }
    Ok(Some(Finished { dir: dir.to_path_buf(), artifact, record: folder.record }))
}

/// Writes `artifact.json`: from now on the stage is done.
///
/// # Errors
/// `Io`.
pub fn write_artifact(dir: &Path, artifact: &Artifact) -> Result<()> {
    let file = ArtifactFile { format: FORMAT, artifact: artifact.clone() };
    write_json(&dir.join(ARTIFACT), &file)
}

/// Writes `stage.json`.
///
/// # Errors
/// `Io`.
pub fn write_record(dir: &Path, record: &Value) -> Result<()> {
    write_json(&dir.join(RECORD), record)
}

/// The newest finished run of a stage of another pipeline.
///
/// # Errors
/// `NewerFormat` for a folder that a newer program wrote.
pub fn newest_finished(runs: &Path, pipeline: &str, stage: &StageName) -> Result<Option<Finished>> {
    let folders = folders_of(&runs.join(pipeline), stage)?;
    folders
        .iter()
        .filter(|folder| folder.done)
        .find_map(|folder| finished(&folder.dir).transpose())
        .transpose()
}

/// Images that an unfinished training has seen at its last checkpoint.
pub fn last_checkpoint(dir: &Path) -> Option<u64> {
    let entries = fs::read_dir(dir).ok()?;
    let nimg = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("checkpoint-")?.parse().ok();
    entries.flatten().filter_map(nimg).max()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Unusable(format!("cannot write `{}`: {error}", terminal::path(path))))?;
    text.push('\n');
    atomic::write(path, text.as_bytes())
}
