//! `sida run --record`: keeps what a run measured, for later runs to be compared with.

use std::{io::Read as _, path::Path};

use serde_json::Value;

use crate::{
    Error, Result,
    formats::regular_file,
    pipeline::{Plan, Selection, Stages, Status, Summary},
    report::{Baseline, Recorded},
    terminal,
};

/// Whether a run will have something to record, and a place for it: said before it begins.
///
/// # Errors
/// `Usage`.
pub(super) fn may(path: &Path, plan: &Plan, selection: &Selection) -> Result<()> {
    let usage =
        |problem: String| Err(Error::Usage(format!("`--record {}`: {problem}", terminal::path(path))));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return usage(format!("there is no folder `{}`", terminal::path(folder)));
    }
    if path.exists() && !path.is_file() {
        return usage("a file is written, and that is none".to_owned());
    }
    // A baseline is replaced, a damaged one, too; a dataset or a pipeline is not.
    let mut first = [b'{'];
    if regular_file(path).is_ok_and(|mut file| file.read(&mut first).is_ok()) && first != [b'{'] {
        return usage("there is a file of another kind".to_owned());
    }
    let mut measuring =
        plan.stages.iter().enumerate().filter(|(_, stage)| stage.spec.stage().scores().is_some());
    if measuring.clone().next().is_none() {
        return usage(format!("`{}` measures nothing", plan.pipeline));
    }
    let is_left = |i: usize| selection.wanted.as_ref().is_some_and(|wanted| !wanted.contains(&i));
    match measuring.find(|(i, stage)| is_left(*i) && stage.status != Status::Done) {
        Some((_, left)) => usage(format!("all scores are recorded, and `{}` is left out", left.name)),
        None => Ok(()),
    }
}

/// Writes the scores of a run.
///
/// # Errors
/// `Unusable` for a value that is not finite; `Io`.
pub(super) fn write(path: &Path, plan: &Plan, summary: &Summary, executor: &Stages<'_>) -> Result<()> {
    let commit = executor.invocation.commit.clone();
    let mut baseline = Baseline::new(plan.pipeline.clone(), executor.date.clone(), commit);
    for (name, finished) in &summary.finished {
        let Some(scores) = finished.scores() else { continue };
        if let Some((metric, _)) = scores.scores.iter().find(|(_, score)| !score.mean.is_finite()) {
            return Err(Error::Unusable(format!(
                "nothing is recorded in `{}`: `{metric}` of `{name}` is not finite",
                terminal::path(path)
            )));
        }
        let fact = |field: &str| finished.record.get(field).cloned().unwrap_or_default();
        let key = fact("key").as_str().unwrap_or_default().to_owned();
        let provenance: Value = fact("provenance");
        baseline.stages.insert(name.to_string(), Recorded { key, provenance, scores: scores.scores.clone() });
    }
    baseline.write(path)
}
