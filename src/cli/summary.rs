//! What a run says of itself besides its progress: what it leaves out, and its result as JSON.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::run::Choice;
use crate::{
    pipeline::{Plan, Selection, Summary},
    stage_name::StageName,
    stages::{Artifact, Finished, picture},
    suggestion::listed,
};

/// Says in one line what `--only` and `--until` leave out.
pub(super) fn leaves_out(plan: &Plan, selection: &Selection, choice: &Choice) {
    let (Some(wanted), Some(flag)) = (&selection.wanted, flag(choice)) else { return };
    let left = plan.stages.iter().enumerate().filter(|(i, _)| !wanted.contains(i));
    let left: Vec<&str> = left.map(|(_, stage)| stage.name.as_str()).collect();
    match left.len() {
        0 => tracing::info!("{flag} leaves out nothing"),
        1 => tracing::info!("{flag} leaves out {}", listed(&left)),
        count => tracing::info!("{flag} leaves out {count} stages: {}", listed(&left)),
    }
}

fn flag(choice: &Choice) -> Option<String> {
    let only = choice.only.as_ref().map(|stage| format!("`--only {stage}`"));
    only.or_else(|| choice.until.as_ref().map(|stage| format!("`--until {stage}`")))
}

/// The pictures of what was made: the grids of `generate`, or where there is none what trainings took of their weights; by
/// the links in the pipeline's own folder.
pub(super) fn pictures<'a>(plan: &Plan, summary: &'a Summary) -> IndexMap<&'a StageName, PathBuf> {
    let of = |wanted: fn(&Artifact) -> bool| {
        let of_stage = |(name, finished): (&'a StageName, &Finished)| {
            let picture =
                picture::of(&finished.dir, &finished.artifact).filter(|_| wanted(&finished.artifact))?;
            let link = plan.home.join(finished.dir.file_name()?).join(picture.file_name()?);
            Some((name, if link.is_file() { link } else { picture }))
        };
        summary.finished.iter().filter_map(of_stage).collect::<IndexMap<_, _>>()
    };
    let grids = of(|artifact| matches!(artifact, Artifact::Images(_)));
    if grids.is_empty() { of(|artifact| matches!(artifact, Artifact::Network(_))) } else { grids }
}

/// The result of a run: what ran, what was measured and judged, and where the pages are.
pub(super) fn as_json(plan: &Plan, summary: &Summary) -> Value {
    let mut scores = Map::new();
    let mut pages = Vec::new();
    for (name, finished) in &summary.finished {
        match &finished.artifact {
            Artifact::Scores(of_stage) => drop(scores.insert(name.to_string(), json!(of_stage.scores))),
            Artifact::Table(table) => pages.extend(table.files.iter().map(|file| json!(file))),
            _ => {}
        }
    }
    let verdicts = summary.verdicts().into_iter().map(|(stage, verdict)| {
        let mut verdict = json!(verdict);
        verdict["stage"] = json!(stage);
        verdict
    });
    json!({
        "pipeline": plan.pipeline,
        "folder": plan.home,
        "ran": summary.ran,
        "done_before": summary.skipped,
        "scores": scores,
        "expectations": verdicts.collect::<Vec<_>>(),
        "report": pages,
        "pictures": pictures(plan, summary),
    })
}
