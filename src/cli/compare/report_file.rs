//! A run as its `report.json` tells it, with pictures and curves from the stages' folders that it names.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::{named::place, stage_folder, unusable};
use crate::{
    Error, Result,
    formats::{json_words, read_small},
    metrics::Score,
    pipeline::store,
    report::{
        Provenance, StageRun,
        comparison::{ComparedStage, Identity, Side},
    },
};

/// Far more than the report of any pipeline has.
const MOST_BYTES: u64 = 16 << 20;

/// What is compared of a `report.json`.
#[derive(Deserialize)]
struct ReportFile {
    pipeline: String,
    /// By stage and metric.
    scores: IndexMap<String, IndexMap<String, Score>>,
    /// By stage and verb.
    settings: IndexMap<String, IndexMap<String, Value>>,
    provenance: Provenance,
}

/// The run of a report; `named` is what was typed.
///
/// # Errors
/// `Usage` for what is no report; `NewerFormat` for a stage's folder that a newer program wrote.
pub(super) fn read(named: &Path, file: &Path) -> Result<Side> {
    let bytes = read_small(file, "report", MOST_BYTES).map_err(|error| match error {
        Error::BadFile { problem, .. } => unusable(file, problem),
        other => unusable(file, other),
    })?;
    let report: ReportFile = serde_json::from_slice(&bytes)
        .map_err(|error| unusable(file, format!("it is not a report: {}", json_words(&error))))?;
    let ReportFile { pipeline, scores, settings, provenance } = report;
    let home = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));

    let mut stages: IndexMap<String, ComparedStage> = IndexMap::new();
    for run in provenance.stages {
        let stage = of_run(&run, home)?;
        stages.insert(run.stage, stage);
    }
    for (name, of_verb) in settings {
        if let Some((verb, values)) = of_verb.into_iter().next() {
            let stage = stages.entry(name).or_default();
            (stage.verb, stage.values) = (verb, values);
        }
    }
    for (name, of_stage) in scores {
        stages.entry(name).or_default().scores = of_stage;
    }
    let identity = Identity {
        path: named.display().to_string(),
        what: place(home, &pipeline),
        seed: Some(provenance.seed),
        date: provenance.date,
        device: provenance.device,
        commit: provenance.invocation.commit.unwrap_or_default(),
        key: provenance.key,
    };
    Ok(Side { identity, is_stage: false, stages })
}

/// A stage as the report tells it, and what its folder shows, if that is still the same stage's.
fn of_run(run: &StageRun, home: &Path) -> Result<ComparedStage> {
    let mut stage = ComparedStage {
        verb: run.verb.clone(),
        key: run.key.clone(),
        seconds: run.seconds,
        ..ComparedStage::default()
    };
    let dir = run.folder.as_ref().map(|folder| home.join(PathBuf::from(folder)));
    if let Some(dir) = dir.filter(|dir| store::is_stage(dir))
        && let Some(folder) = store::read_folder(&dir)?
        && folder.record.get("key").and_then(Value::as_str) == Some(&run.key)
    {
        stage_folder::look(&folder, &mut stage);
    }
    Ok(stage)
}
