//! Running a sweep: one point after another, shared stages once, a failing point does not stop the others, and several
//! processes divide the points among them.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Value, json};

use super::{
    columns::aligned,
    output,
    run::{Choice, plan_and_choose},
};
use crate::{
    Error, Result,
    checkpoint::atomic,
    metrics::Score,
    pipeline::{
        Failed, Pass, Places, Point, Setting, Source, Stages, Summary, Sweep, Walk, home, outcome,
        record::{keep, record},
        wait,
    },
    report::{RunError, RunResult},
    secret,
    stages::Artifact,
};

/// What came of a point.
struct Outcome {
    index: usize,
    point: Point,
    result: std::result::Result<Summary, String>,
}

/// Runs all points and prints the table.
///
/// # Errors
/// `Interrupted` at once; `SweepPointsFailed` and `ExpectationsNotMet` at the end.
pub(super) fn run(
    source: &Source,
    sweep: &Sweep,
    points: &[Point],
    settings: &[Setting],
    choice: &Choice,
    places: &Places,
    executor: &mut Stages<'_>,
) -> Result<()> {
    let (count, dir) = (points.len(), places.home(&source.name()));
    let chosen = choice.points.chosen(points)?;
    // The files of the whole sweep are those of a run of all points.
    let whole = choice.points.are_all();
    if whole {
        outcome::begin(&dir, &source.name())?;
    }
    atomic::remove_leftovers_of_the_dead(&dir);
    let mut failed = Failed::default();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut forced = BTreeSet::new();
    let mut begun: Vec<(usize, Walk)> = Vec::new();
    // In turns: a point that waits for what another process makes lets the next one go on.
    while outcomes.len() < chosen.len() {
        let before = outcomes.len();
        for (index, point) in chosen.iter().map(|place| (*place, &points[*place])) {
            if outcomes.iter().any(|outcome| outcome.index == index) {
                continue;
            }
            let label = point.label();
            let mut walk = match begun.iter().position(|(of, _)| *of == index) {
                Some(at) => begun.swap_remove(at).1,
                None => {
                    tracing::info!("point {} of {count}: {label}", index + 1);
                    let home = home::of_point(&dir, &label);
                    let make = || plan_and_choose(&point.pipeline, &source.name(), &home, places, choice);
                    let (mut plan, mut selection) = make()?;
                    keep(&record(&point.pipeline, source, settings)?, &home)?;
                    if executor.fetch_unknown(&plan, &selection)? {
                        (plan, selection) = make()?;
                    }
                    // Stages that points share run again once.
                    selection.force.retain(|stage| forced.insert(plan.stages[*stage].key.clone()));
                    Walk::begin(plan, selection)?
                }
            };
            let passed = failed.known(walk.plan()).map_or_else(|| walk.pass(executor), Err);
            let ended = match passed {
                Ok(Pass::Waits) => {
                    begun.push((index, walk));
                    continue;
                }
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Ok(Pass::Ended) => walk.end(Ok(())),
                Err(error) => {
                    tracing::error!("point {label}: {error}");
                    // A disk that was full may have room again; a stage that diverged will diverge again.
                    if let Some(stage) = &walk.summary().running
                        && !matches!(error, Error::Io { .. } | Error::Download { .. })
                    {
                        failed.note(walk.plan(), stage, &error);
                    }
                    walk.end(Err(error))
                }
            };
            let at = outcomes.partition_point(|outcome| outcome.index < index);
            let result = ended.map_err(|error| error.to_string());
            outcomes.insert(at, Outcome { index, point: point.clone(), result });
            if !whole {
                continue;
            }
            // Written after every point: a later one may be the last.
            let table = table(sweep, &outcomes);
            atomic::write(&dir.join("sweep.md"), (table + "\n").as_bytes())?;
            atomic::write(&dir.join("sweep.json"), format!("{:#}\n", as_json(source, &outcomes)).as_bytes())?;
        }
        if outcomes.len() == before {
            wait(executor)?;
        }
    }
    if choice.json {
        output::json(&as_json(source, &outcomes));
    } else {
        output::line(table(sweep, &outcomes));
    }
    if whole {
        outcome::write(&dir, &result(&source.name(), &outcomes))?;
    }
    let bad = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    if bad > 0 {
        return Err(Error::SweepPointsFailed { failed: bad, total: chosen.len() });
    }
    let verdicts =
        outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()).flat_map(Summary::verdicts);
    let (mut total, mut unmet) = (0, 0);
    for (_, verdict) in verdicts {
        total += 1;
        unmet += usize::from(!verdict.pass);
    }
    if unmet > 0 { Err(Error::ExpectationsNotMet { failed: unmet, total }) } else { Ok(()) }
}

/// All points in one: their expectations, each with its point's label, and the first that failed.
fn result(name: &str, outcomes: &[Outcome]) -> RunResult {
    let mut all = RunResult { pipeline: name.to_owned(), ..RunResult::default() };
    for Outcome { point, result, .. } in outcomes {
        let label = point.label();
        match result {
            Ok(summary) => {
                let of_point = outcome::of(name, summary, None);
                all.seconds += of_point.seconds;
                let verdicts = of_point.expectations.into_iter();
                all.expectations
                    .extend(verdicts.map(|(stage, verdict)| (format!("{label} {stage}"), verdict)));
            }
            Err(message) if all.error.is_none() => {
                all.error = Some(RunError { stage: Some(label), message: message.clone() });
            }
            Err(_) => {}
        }
    }
    all
}

/// The grid that the sweep asks for, else a line per point.
fn table(sweep: &Sweep, outcomes: &[Outcome]) -> String {
    if let Some(table) = &sweep.table {
        let rows = axis_values(sweep, &table.rows);
        let columns =
            table.columns.as_ref().map_or_else(|| vec![Value::Null], |name| axis_values(sweep, name));
        let heading = match &table.columns {
            Some(name) => columns.iter().map(|value| format!("{name}={value}")).collect(),
            None => vec![table.cell.metric.clone()],
        };
        let mut text = vec![[vec![table.rows.clone()], heading].concat()];
        for row in &rows {
            let mut line = vec![row.to_string()];
            for column in &columns {
                let here = |outcome: &&Outcome| {
                    let at = |axis: &str, value: &Value| {
                        outcome.point.at.iter().any(|(a, v)| a == axis && v == value)
                    };
                    at(&table.rows, row) && table.columns.as_ref().is_none_or(|axis| at(axis, column))
                };
                // More than one point where the grid has a third axis: all of them are shown.
                let cells: Vec<String> = outcomes
                    .iter()
                    .filter(here)
                    .map(|outcome| cell(outcome, &table.cell.stage, &table.cell.metric))
                    .collect();
                line.push(if cells.is_empty() { "-".to_owned() } else { cells.join(" / ") });
            }
            text.push(line);
        }
        let mut shown = aligned(&text);
        let _ = write!(shown, "\n({} of `{}`)", table.cell.metric, table.cell.stage);
        shown
    } else {
        let line = |outcome: &Outcome| vec![outcome.point.label(), all_scores(outcome)];
        aligned(&outcomes.iter().map(line).collect::<Vec<_>>())
    }
}

fn axis_values(sweep: &Sweep, axis: &str) -> Vec<Value> {
    sweep.axes.get(axis).map(|axis| axis.values.clone()).unwrap_or_default()
}

fn cell(outcome: &Outcome, stage: &crate::stage_name::StageName, metric: &str) -> String {
    match &outcome.result {
        Err(_) => "failed".to_owned(),
        Ok(summary) => match summary.finished.get(stage).map(|finished| &finished.artifact) {
            Some(Artifact::Scores(scores)) => scores.scores.get(metric).map_or_else(|| "-".to_owned(), shown),
            _ => "-".to_owned(),
        },
    }
}

fn all_scores(outcome: &Outcome) -> String {
    let summary = match &outcome.result {
        Ok(summary) => summary,
        Err(why) => return format!("failed: {why}"),
    };
    let mut parts = Vec::new();
    for (name, finished) in &summary.finished {
        if let Artifact::Scores(scores) = &finished.artifact {
            parts.extend(
                scores.scores.iter().map(|(metric, score)| format!("{name}.{metric} {}", shown(score))),
            );
        }
    }
    parts.join(", ")
}

fn shown(score: &Score) -> String {
    if score.trials.len() > 1 {
        format!("{:.4} +- {:.4}", score.mean, score.std)
    } else {
        format!("{:.4}", score.mean)
    }
}

fn as_json(source: &Source, outcomes: &[Outcome]) -> Value {
    let point = |outcome: &Outcome| {
        let shown = |value: &Value| match value {
            Value::String(text) => secret::masked(text).into(),
            other => other.clone(),
        };
        let at = outcome.point.at.iter().map(|(axis, value)| (axis.clone(), shown(value)));
        let at: serde_json::Map<String, Value> = at.collect();
        match &outcome.result {
            Err(why) => json!({ "at": at, "failed": why }),
            Ok(summary) => {
                let scores =
                    summary.finished.iter().filter_map(|(name, finished)| match &finished.artifact {
                        Artifact::Scores(scores) => Some((name.to_string(), json!(scores.scores))),
                        _ => None,
                    });
                json!({ "at": at, "scores": scores.collect::<serde_json::Map<_, _>>() })
            }
        }
    };
    json!({ "sweep": source.name(), "points": outcomes.iter().map(point).collect::<Vec<_>>() })
}
