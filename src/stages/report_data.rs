//! What a report says, gathered from finished stages.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    artifact::{Artifact, ImagesArtifact, NetworkArtifact},
    context::{Context, Finished},
    picture,
    report::Report,
    report_curves, report_speed,
    stage::Elsewhere,
};
use crate::{
    data::LARGEST_PICTURE,
    formats::read_at_most,
    kimg::Kimg,
    location::way,
    report::{Grid, MeasuredRow, Provenance, ReportData, Row, ScoresOf, StageRun, StageSettings},
    stage_name::StageName,
};

/// Everything that the report of `context` says.
pub(super) fn gather(report: &Report, context: &Context<'_>) -> ReportData {
    let mut data = ReportData {
        caption: report.caption.clone(),
        pipeline: context.pipeline.to_owned(),
        point: context.point.map(str::to_owned),
        description: context.description.to_owned(),
        columns: report.columns.clone(),
        ..ReportData::default()
    };
    for (name, finished) in context.finished {
        data.scores.extend(finished.scores().map(|scores| (name.to_string(), scores.scores.clone())));
        data.expectations.extend(finished.verdicts().map(|verdict| (name.to_string(), verdict)));
        data.curves.extend(report_curves::of(name, finished, context));
        let (verb, values) = spec(finished);
        data.settings.push(StageSettings { stage: name.to_string(), verb, values });
    }
    for row in &report.rows {
        data.rows.push(self::row(row, context));
    }
    data.grids = grids(report, context);
    data.provenance = provenance(context);
    data
}

fn row(row: &Row, context: &Context<'_>) -> MeasuredRow {
    let found = match &row.scores {
        None => None,
        Some(ScoresOf { stage, pipeline: None }) => context.finished.get(stage),
        Some(ScoresOf { stage, pipeline: Some(pipeline) }) => {
            context.elsewhere.get(&Elsewhere { pipeline: pipeline.clone(), stage: stage.clone() })
        }
    };
    let mut measured = MeasuredRow { asked: row.clone(), ..MeasuredRow::default() };
    measured.folder = found.and_then(|finished| folder(context, finished));
    if let Some(artifact) = found.and_then(Finished::scores) {
        measured.nfe = artifact.nfe;
        measured.measured.clone_from(&artifact.scores);
    }
    measured
}

/// The real images first, then those of each row: of its `generate` stage, else the picture that its training took. One that
/// several rows show is there once.
fn grids(report: &Report, context: &Context<'_>) -> Vec<Grid> {
    let real = report.real_images.as_ref().or_else(|| {
        let is_dataset = |(_, finished): &(&StageName, &Finished)| {
            matches!(&finished.artifact, Artifact::Dataset(dataset) if dataset.has_images)
        };
        context.finished.iter().find(is_dataset).map(|(name, _)| name)
    });
    let grid = |stage: Option<&StageName>, caption: &str, real: bool| {
        let (stage, finished) = context.finished.get_key_value(stage?)?;
        let (file, note) = picture_of(finished)?;
        let png = read_at_most(&finished.dir.join(&file), LARGEST_PICTURE).ok()?;
        let path = way(context.home, &context.linked(&finished.dir).join(file));
        let path = path.map(|path| path.display().to_string());
        Some(Grid { caption: caption.to_owned(), note, stage: stage.to_string(), real, png, path })
    };
    let mut grids: Vec<Grid> = grid(real, "Real images", true).into_iter().collect();
    for row in &report.rows {
        let Some(next) = grid(pictured(row, context.finished), &row.label, false) else { continue };
        match grids.iter_mut().find(|grid| grid.stage == next.stage) {
            Some(same) => same.caption = format!("{} · {}", same.caption, next.caption),
            None => grids.push(next),
        }
    }
    grids
}

/// The picture in a stage's folder, and what is to be said of it.
fn picture_of(finished: &Finished) -> Option<(PathBuf, String)> {
    Some(match &finished.artifact {
        Artifact::Dataset(_) => (PathBuf::from(picture::REALS), String::new()),
        Artifact::Images(ImagesArtifact { grid, nfe: 1, .. }) => {
            (grid.clone(), "one network evaluation per image".to_owned())
        }
        Artifact::Images(ImagesArtifact { grid, nfe, .. }) => {
            (grid.clone(), format!("{nfe} network evaluations per image"))
        }
        // Of the weights that are handed on, which need not be the last.
        Artifact::Network(NetworkArtifact { nimg, .. }) => {
            (picture::of_training(Path::new(""), *nimg), format!("weights after {}", Kimg::from_nimg(*nimg)))
        }
        Artifact::Scores(_) => (PathBuf::from(picture::GRID), "measured as they are".to_owned()),
        Artifact::Table(_) => return None,
    })
}

/// The stage whose pictures a row shows.
fn pictured<'a>(row: &'a Row, finished: &'a IndexMap<StageName, Finished>) -> Option<&'a StageName> {
    match (&row.images, &row.scores) {
        (Some(images), _) => Some(images),
        (None, Some(ScoresOf { stage, pipeline: None })) => {
            Some(finished.get(stage)?.scores()?.network.as_ref().unwrap_or(stage))
        }
        _ => None,
    }
}

/// The stage whose network a stage measured; the stage itself, where that measured pictures.
pub(super) fn measured<'a>(
    finished: &'a IndexMap<StageName, Finished>,
    stage: &StageName,
) -> Option<&'a Finished> {
    let measuring = finished.get(stage)?;
    match &measuring.scores()?.network {
        Some(network) => finished.get(network),
        None => Some(measuring),
    }
}

/// The folder of a stage, seen from the page.
fn folder(context: &Context<'_>, finished: &Finished) -> Option<String> {
    Some(way(context.home, &context.linked(&finished.dir))?.display().to_string())
}

fn provenance(context: &Context<'_>) -> Provenance {
    let stages = context.finished.iter().map(|(name, finished)| StageRun {
        stage: name.to_string(),
        verb: spec(finished).0,
        key: text(&finished.record, "/key"),
        folder: folder(context, finished),
        seconds: report_speed::number(finished, "seconds"),
        images_per_second: report_speed::images_per_second(finished),
        peak_memory_mib: report_speed::number(finished, "peak_memory_mib"),
        device: text(&finished.record, "/provenance/device"),
        date: text(&finished.record, "/provenance/date"),
    });
    let stages: Vec<StageRun> = stages.collect();
    // Where the numbers were made, which need not be where the page is.
    let devices: BTreeSet<&str> =
        stages.iter().map(|s| s.device.as_str()).filter(|d| !d.is_empty()).collect();
    let devices: Vec<&str> = devices.into_iter().collect();
    let device = if devices.is_empty() { context.device_name.to_owned() } else { devices.join("; ") };
    Provenance {
        date: context.date.to_owned(),
        seed: context.pipeline_seed,
        device,
        versions: versions(),
        stages,
        invocation: context.invocation.clone(),
        key: context.key.to_owned(),
    }
}

/// This program, what it stands on, and what it was built with.
pub fn versions() -> IndexMap<String, String> {
    let cuda = if cfg!(feature = "cuda") { "on" } else { "off" };
    [("sida", env!("CARGO_PKG_VERSION")), ("burn", crate::BURN_VERSION), ("cuda feature", cuda)]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into()
}

fn text(record: &Value, pointer: &str) -> String {
    record.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The verb of a stage and its values, from its record.
pub(super) fn spec(finished: &Finished) -> (String, Value) {
    let values = finished.record.get("values").cloned().unwrap_or_default();
    (text(&finished.record, "/verb"), values)
}
