//! What a finished run of a pipeline says: its tables, verdicts and pages, to people, to programs and to GitHub.

use std::path::Path;

use super::{github, output, run::Choice, summary};
use crate::{
    pipeline::{Plan, Setting, Source, Summary},
    report::{self, MeasuredRow, ReportData, Row},
    stages::{Artifact, TableArtifact},
    terminal,
};

/// Says what came of a run. `recorded` is the baseline that was written.
pub(super) fn show(
    source: &Source,
    settings: &[Setting],
    plan: &Plan,
    summary: &Summary,
    choice: &Choice,
    recorded: Option<&Path>,
) {
    if choice.json {
        let mut result = summary::as_json(plan, summary);
        result["recorded"] = recorded.map(|path| path.to_string_lossy().into_owned()).into();
        output::json(&result);
    } else {
        print(source, plan, summary);
        if let Some(path) = recorded {
            output::line(format!("recorded: {}", terminal::path(path)));
        }
    }
    if github::is_here() {
        let unmet = source.unmet(settings, plan, summary);
        github::mistakes(&unmet, "expectation not met", choice.json);
        github::summarize(&brief(plan, summary));
    }
}

/// The tables, the verdicts, and what was done.
fn print(source: &Source, plan: &Plan, summary: &Summary) {
    if tables(summary).next().is_none() {
        scores(summary);
    }
    for table in tables(summary) {
        output::line(table.text.trim_end());
    }
    verdicts(source, summary);
    let is_html = |file: &&std::path::PathBuf| file.extension().is_some_and(|extension| extension == "html");
    for page in tables(summary).filter_map(|table| table.files.iter().find(is_html)) {
        output::line(format!("report: {}", terminal::path(page)));
    }
    for path in summary::pictures(plan, summary).values() {
        output::line(format!("pictures: {}", terminal::path(path)));
    }
    if summary.ran.is_empty() {
        output::line(format!("nothing to do: {} stages were done before", summary.skipped.len()));
    } else {
        let (ran, done) = (summary.ran.len(), summary.skipped.len());
        let ran = if ran == 1 { "1 stage".to_owned() } else { format!("{ran} stages") };
        let were = if done == 1 { "was" } else { "were" };
        output::line(format!("{ran} ran, {done} {were} done before, in {}", terminal::path(&plan.home)));
    }
}

fn tables(summary: &Summary) -> impl Iterator<Item = &TableArtifact> {
    summary.finished.values().filter_map(|finished| match &finished.artifact {
        Artifact::Table(table) => Some(table),
        _ => None,
    })
}

fn scores(summary: &Summary) {
    for (name, finished) in &summary.finished {
        for (metric, score) in finished.scores().into_iter().flat_map(|scores| &scores.scores) {
            output::line(format!("{name}: {metric} {:.4} +- {:.4}", score.mean, score.std));
        }
    }
}

/// What was not met, what could be asked for from now on, and what could not be judged.
fn verdicts(source: &Source, summary: &Summary) {
    for (stage, verdict) in summary.verdicts() {
        if !verdict.pass {
            output::line(format!("FAIL {stage}: {}", verdict.said()));
        } else if let (Some(better), Some(file)) = (verdict.improvement(), &verdict.expected.baseline) {
            let again = format!("sida run {} --record {file}", terminal::path(&source.path));
            output::line(format!("BETTER {stage}: {better}: record it with `{again}`"));
        }
    }
    for (stage, finished) in &summary.finished {
        let without =
            |expected: &&report::Expectation| expected.baseline.is_some() && expected.recorded.is_none();
        for expected in finished.expected.iter().filter(without) {
            output::line(format!("NO VERDICT {stage}: {} has no baseline yet", expected.metric));
        }
    }
}

/// The tables and verdicts as Markdown; where the pipeline has no report, of all that was measured.
fn brief(plan: &Plan, summary: &Summary) -> String {
    let briefs: Vec<&str> = tables(summary).map(|table| table.brief.as_str()).collect();
    if !briefs.is_empty() {
        return briefs.join("\n");
    }
    let mut data = ReportData {
        caption: plan.pipeline.clone(),
        pipeline: plan.pipeline.clone(),
        ..ReportData::default()
    };
    for (name, finished) in &summary.finished {
        let Some(scores) = finished.scores() else { continue };
        let new = scores.scores.keys().filter(|metric| !data.columns.contains(metric)).cloned();
        let new: Vec<String> = new.collect();
        data.columns.extend(new);
        data.rows.push(MeasuredRow {
            asked: Row { label: name.to_string(), ..Row::default() },
            nfe: scores.nfe,
            measured: scores.scores.clone(),
            folder: None,
        });
    }
    let verdicts = summary.verdicts().into_iter();
    data.expectations = verdicts.map(|(stage, verdict)| (stage.to_string(), verdict)).collect();
    report::brief(&data)
}
