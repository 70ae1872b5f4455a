//! What a stage cost: images per second and memory, as far as its files say.

use serde_json::Value;

use super::{
    artifact::{Artifact, ImagesArtifact},
    context::Finished,
    report_curves, stats_jsonl,
};

/// Images per second: of a training the median of its statistics, which the first iterations and snapshots do not move;
/// of a stage that makes images, all of them over its wall time.
pub(super) fn images_per_second(finished: &Finished) -> Option<f64> {
    match &finished.artifact {
        Artifact::Network(_) => {
            let statistics = stats_jsonl::read(&finished.dir.join(report_curves::FILES[0]));
            let rate = |line: &serde_json::Map<String, Value>| line.get("images_per_second")?.as_f64();
            median(statistics.iter().filter_map(rate).filter(|rate| rate.is_finite()).collect())
        }
        Artifact::Images(ImagesArtifact { images, .. }) => {
            let seconds = number(finished, "seconds").filter(|seconds| *seconds > 0.0)?;
            Some(*images as f64 / seconds)
        }
        Artifact::Dataset(_) | Artifact::Scores(_) | Artifact::Table(_) => None,
    }
}

/// A number of the stage's record.
pub(super) fn number(finished: &Finished, name: &str) -> Option<f64> {
    finished.record.get(name).and_then(Value::as_f64)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
