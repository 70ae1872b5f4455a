//! The charts of a training, from its `stats.jsonl` and `metrics.jsonl`.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    context::{Context, Finished},
    report_data, report_snapshots, stats_jsonl,
};
use crate::{
    report::{Chart, Line, Mark, Scale, StageCurves},
    stage_name::StageName,
};

/// Nobody tells more lines apart, and a file may say anything.
const MOST_METRICS: usize = 32;

/// The files of a stage's folder that charts are drawn from: statuses, and metrics of snapshots.
pub const FILES: [&str; 2] = ["stats.jsonl", "metrics.jsonl"];

/// A quantity of a status, and what the legend calls it.
type Drawn = (&'static str, &'static str);

/// With E the expectation and D the fake score network's optimum, E of gap * (teacher - image) is E of gap * (teacher - D):
/// the square of the gap, if the network is at D.
const ABOUT_SCORE_IDENTITY: &str = "It need not fall. With a perfect fake score network the score identity loss would be (1 - \
    alpha) times the squared gap between the teacher and that network: positive below alpha = 1, negative above, and 0 where \
    they agree. That the network lags behind the generator makes it lower or higher, so judge images and metrics of snapshots.";

/// What is drawn: title, unit, axis, quantities, and how to read it.
const CHARTS: [(&str, &str, Scale, &[Drawn], &str); 6] = [
    (
        "Loss of denoising",
        "per image",
        Scale::Auto,
        &[("loss", "denoising"), ("fake_score_loss", "denoising")],
        "",
    ),
    (
        "Loss of the generator",
        "per image",
        Scale::Linear,
        &[("generator_loss", "score identity")],
        ABOUT_SCORE_IDENTITY,
    ),
    // Of another scale than the losses that they are added to.
    ("Loss of the discriminator", "per image", Scale::Auto, &[("discriminator_loss", "discriminator")], ""),
    ("Loss, adversarial", "per image", Scale::Auto, &[("adversarial_loss", "generator")], ""),
    (
        "Gradient norm",
        "",
        Scale::Auto,
        &[
            ("gradient_norm", "network"),
            ("fake_score_gradient_norm", "fake score network"),
            ("generator_gradient_norm", "generator"),
        ],
        "",
    ),
    ("Speed", "images/s", Scale::Linear, &[("images_per_second", "training")], ""),
];

/// The charts and snapshots of a finished stage; `None` where it trained nothing.
pub(super) fn of(name: &StageName, finished: &Finished, context: &Context<'_>) -> Option<StageCurves> {
    let charts = charts(&finished.dir);
    let title = report_data::spec(finished).0.replace('_', " ");
    let (snapshots, snapshots_taken) = report_snapshots::of(finished, context);
    let trained = !charts.is_empty() || !snapshots.is_empty();
    trained.then(|| StageCurves { stage: name.to_string(), title, charts, snapshots, snapshots_taken })
}

/// The charts of what was trained in a folder, so far; none where nothing was.
pub fn charts(dir: &Path) -> Vec<Chart> {
    let [statuses, metrics] = FILES.map(|name| stats_jsonl::read(&dir.join(name)));
    let marks = marks(&statuses);
    let mut charts = Vec::new();
    if let Some(chart) = distances(&metrics) {
        charts.push(chart);
    }
    for (title, unit, scale, quantities, note) in CHARTS {
        let lines: Vec<Line> = quantities
            .iter()
            .map(|(field, label)| Line { label: (*label).to_owned(), points: points(&statuses, field) })
            .filter(|line| !line.points.is_empty())
            .collect();
        if !lines.is_empty() {
            let marks = if title.starts_with("Loss") { marks.clone() } else { Vec::new() };
            let [title, unit, note] = [title, unit, note].map(str::to_owned);
            charts.push(Chart { title, unit, scale, lines, marks, note });
        }
    }
    charts
}

/// Metrics of snapshots, if any were measured.
fn distances(metrics: &[Map<String, Value>]) -> Option<Chart> {
    let names = metrics.first()?.keys().filter(|name| !["nimg", "kimg"].contains(&name.as_str()));
    let lines = names
        .take(MOST_METRICS)
        .map(|name| Line { label: name.clone(), points: points(metrics, name) })
        .collect();
    Some(Chart { title: "Metrics of snapshots".to_owned(), lines, ..Chart::default() })
}

fn points(lines: &[Map<String, Value>], field: &str) -> Vec<[f64; 2]> {
    let point = |line: &Map<String, Value>| {
        let value = line.get(field)?;
        Some([line.get("kimg")?.as_f64()?, value.as_f64().unwrap_or(f64::NAN)])
    };
    lines.iter().filter_map(point).collect()
}

/// When the adversarial term began to teach the generator.
fn marks(statuses: &[Map<String, Value>]) -> Vec<Mark> {
    let active =
        |line: &&Map<String, Value>| line.get("adversarial_active").and_then(Value::as_f64) == Some(1.0);
    let kimg = statuses.iter().find(active).and_then(|line| line.get("kimg")?.as_f64());
    kimg.map(|kimg| Mark { kimg, label: "adversarial term".to_owned() }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_other_scales_have_axes_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let line = serde_json::json!({
            "kimg": 1.0, "fake_score_loss": 43.0, "generator_loss": -137.0, "adversarial_active": 1.0,
            "discriminator_loss": 2112.0, "adversarial_loss": 1029.0, "images_per_second": 179.0,
        });
        std::fs::write(dir.path().join(FILES[0]), format!("{line}\n")).unwrap();
        let charts = charts(dir.path());
        let losses: Vec<&Chart> = charts.iter().filter(|chart| chart.title.starts_with("Loss")).collect();
        let drawn: Vec<f64> =
            losses.iter().flat_map(|chart| &chart.lines).map(|line| line.points[0][1]).collect();
        assert_eq!((losses.len(), drawn), (4, vec![43.0, -137.0, 2112.0, 1029.0]));
        assert!(
            losses.iter().all(|chart| chart.marks.len() == 1),
            "each says when the adversarial term began"
        );
    }
}
