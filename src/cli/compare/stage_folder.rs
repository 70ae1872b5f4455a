//! A stage as its folder tells it.

use std::{fs, path::Path};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    formats::read_small,
    pipeline::store::StageFolder,
    report::comparison::{ComparedStage, Picture},
    stages::{Artifact, picture, report_curves},
    terminal,
};

/// Larger than any picture that a stage makes.
const MOST_PICTURE: u64 = 64 << 20;
/// Statistics of some hundred thousand lines.
const MOST_STATISTICS: u64 = 128 << 20;

/// A stage, and what its record says of its run.
pub(super) struct StageRead {
    pub(super) name: String,
    pub(super) pipeline: String,
    pub(super) seed: Option<u64>,
    pub(super) date: String,
    pub(super) device: String,
    pub(super) stage: ComparedStage,
}

/// What is compared of a `stage.json`.
#[derive(Deserialize)]
struct Record {
    stage: String,
    pipeline: String,
    verb: String,
    key: String,
    values: Value,
    seed: Option<u64>,
    seconds: Option<f64>,
    #[serde(default)]
    provenance: Made,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Made {
    date: String,
    device: String,
}

/// Everything that is compared of a stage's folder.
///
/// # Errors
/// What is wrong with its record, in words.
pub(super) fn read(folder: &StageFolder) -> Result<StageRead, String> {
    let record = Record::deserialize(&folder.record)
        .map_err(|error| format!("its `stage.json` is not a stage's: {error}"))?;
    let mut stage = ComparedStage {
        verb: record.verb,
        key: record.key,
        values: record.values,
        seconds: record.seconds,
        ..ComparedStage::default()
    };
    if folder.done {
        match folder.artifact().map_err(|error| error.to_string())? {
            Some(Artifact::Scores(artifact)) => stage.scores = artifact.scores,
            Some(_) => {}
            None => return Err("its `artifact.json` is damaged".to_owned()),
        }
    }
    look(folder, &mut stage);
    let Made { date, device } = record.provenance;
    Ok(StageRead { name: record.stage, pipeline: record.pipeline, seed: record.seed, date, device, stage })
}

/// What only the folder shows: picture, curves, and what the files contained that the stage read.
pub(super) fn look(folder: &StageFolder, stage: &mut ComparedStage) {
    let files = folder.record.get("files").map(IndexMap::<String, Option<String>>::deserialize);
    let known = files.into_iter().flatten().flatten().filter_map(|(field, hash)| Some((field, hash?)));
    stage.contents = known.collect();
    if report_curves::FILES.iter().all(|name| can_be_read(&folder.dir.join(name))) {
        stage.charts = report_curves::charts(&folder.dir);
    }
    let artifact = folder.artifact().ok().flatten();
    if let Some(path) = artifact.and_then(|artifact| picture::of(&folder.dir, &artifact)) {
        match read_small(&path, "picture", MOST_PICTURE) {
            Ok(png) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                stage.picture = Some(Picture { name, png });
            }
            Err(error) => tracing::warn!("a picture is left out: {error}"),
        }
    }
}

/// Whether statistics may be read; those that are absent may.
fn can_be_read(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return true };
    let can = metadata.is_file() && metadata.len() <= MOST_STATISTICS;
    if !can {
        tracing::warn!("curves are left out: `{}` is too large, or no file", terminal::path(path));
    }
    can
}
