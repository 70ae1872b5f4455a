//! What the page of a sweep says, gathered from its points.

use std::path::Path;

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    execute::Stages,
    home, label,
    plan::Places,
    round::Ended,
    run::Summary,
    source::Source,
    sweep::Point,
    sweep_spec::{Search, Sweep, SweepTable},
};
use crate::{
    location::way,
    metrics::Score,
    report::{
        Provenance,
        sweep::{MeasuredPoint, PointEnd, SweepAxis, SweepData},
    },
    stages::{Artifact, picture, versions},
};

/// A sweep whose points are all open.
pub fn begin(
    sweep: &Sweep,
    points: &[Point],
    source: &Source,
    places: &Places,
    executor: &Stages<'_>,
) -> SweepData {
    let axis = |(name, axis): (&String, &super::sweep_spec::Axis)| SweepAxis {
        name: name.clone(),
        values: axis.values.iter().map(label::of_value).collect(),
        numbers: axis.values.iter().map(Value::as_f64).collect(),
        is_repetition: Sweep::is_repetition(name),
    };
    let home = places.home(&source.name());
    SweepData {
        sweep: source.name(),
        description: sweep.description.trim().to_owned(),
        axes: sweep.axes.iter().map(axis).collect(),
        layout: sweep.layout(),
        cell: sweep.table.as_ref().map(|table| (table.cell.stage.to_string(), table.cell.metric.clone())),
        points: points.iter().enumerate().map(|(i, point)| open(sweep, i, point, &home)).collect(),
        rungs_kimg: match &sweep.search {
            Some(Search::Halving(halving)) => halving.rungs_kimg.iter().map(|rung| rung.0).collect(),
            None => Vec::new(),
        },
        provenance: Provenance {
            date: executor.date.clone(),
            device: executor.device_name.clone(),
            versions: versions(),
            invocation: executor.invocation.clone(),
            ..Provenance::default()
        },
    }
}

fn open(sweep: &Sweep, mut number: usize, point: &Point, home: &Path) -> MeasuredPoint {
    // The last axis runs fastest.
    let mut at = Vec::new();
    for axis in sweep.axes.values().rev() {
        at.insert(0, number % axis.values.len());
        number /= axis.values.len();
    }
    let folder = way(home, &home::of_point(home, &point.label)).unwrap_or_default();
    MeasuredPoint {
        label: point.label.clone(),
        at,
        settings: point.settings(),
        folder: folder.display().to_string(),
        ..MeasuredPoint::default()
    }
}

/// Notes how a point ended.
pub fn note(data: &mut SweepData, number: usize, ended: Ended, table: Option<&SweepTable>, home: &Path) {
    let cell = data.cell.clone();
    let Some(point) = data.points.get_mut(number) else { return };
    match ended {
        Ended::Diverged(message) => point.end = PointEnd::Diverged(message),
        Ended::Badly(message) => point.end = PointEnd::Failed(message),
        Ended::Well(summary) => {
            point.end = PointEnd::Measured;
            point.scores = scores(&summary);
            let verdicts = summary.verdicts().into_iter();
            point.expectations =
                verdicts.map(|(stage, verdict)| (stage.to_string(), verdict.clone())).collect();
            let value = cell.and_then(|(stage, metric)| Some(point.scores.get(&stage)?.get(&metric)?.mean));
            point.rungs.extend(value);
            point.seconds.extend(seconds(&summary));
            point.page = page(&summary, home);
            let shown = table.and_then(|table| picture::of_measured(&summary.finished, &table.cell.stage));
            point.weights_kimg = shown.as_ref().map(|(_, kimg)| kimg.0);
            point.picture = shown.map(|(pixels, _)| pixels.to_png());
        }
    }
}

fn scores(summary: &Summary) -> IndexMap<String, IndexMap<String, Score>> {
    let scores = summary.finished.iter().filter_map(|(name, finished)| match &finished.artifact {
        Artifact::Scores(scores) => Some((name.to_string(), scores.scores.clone())),
        _ => None,
    });
    scores.collect()
}

fn seconds(summary: &Summary) -> impl Iterator<Item = (String, f64)> {
    summary.finished.values().filter_map(|finished| {
        let of = |name: &str| finished.record.get(name);
        Some((of("key")?.as_str()?.to_owned(), of("seconds")?.as_f64()?))
    })
}

/// The point's first page, seen from the sweep's.
fn page(summary: &Summary, home: &Path) -> Option<String> {
    let files = summary.finished.values().find_map(|finished| match &finished.artifact {
        Artifact::Table(table) => {
            table.files.iter().find(|file| file.extension().is_some_and(|e| e == "html"))
        }
        _ => None,
    });
    Some(way(home, files?)?.display().to_string())
}
