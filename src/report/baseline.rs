//! `Baseline`: the scores of one run, kept in a file beside the pipeline so that later runs are compared with them.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Result,
    checkpoint::atomic,
    formats::{Unread, json_words, read_at_most},
    metrics::Score,
    suggestion::listed,
};

/// Grows when the same fields come to mean something else.
const FORMAT: u64 = 1;

/// Larger than the scores of any pipeline; a dataset given by mistake is not read as JSON.
const MAX_BYTES: u64 = 1 << 20;

/// The scores of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    format: u64,
    /// The pipeline.
    pub pipeline: String,
    /// When they were recorded, such as `2026-11-22 23:59 UTC`.
    pub date: String,
    /// The commit of the repository that the pipeline's file is in, where it is in one.
    pub commit: Option<String>,
    /// By `evaluate` stage.
    pub stages: IndexMap<String, Recorded>,
}

/// What one stage measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The stage's key, in hexadecimal.
    pub key: String,
    /// What it was measured with, as `stage.json` says it: device, versions, date.
    pub provenance: Value,
    /// By the metric's name.
    pub scores: IndexMap<String, Score>,
}

impl Baseline {
    /// Of no stage yet.
    pub fn new(pipeline: String, date: String, commit: Option<String>) -> Self {
        Self { format: FORMAT, pipeline, date, commit, stages: IndexMap::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Why it is none, in words that follow its name.
    pub fn read(path: &Path) -> std::result::Result<Self, String> {
        let bytes = read_at_most(path, MAX_BYTES).map_err(|why| match why {
            Unread::NoFile => "is no file".to_owned(),
            Unread::TooLarge => format!("has more than the {MAX_BYTES} bytes of the largest baseline"),
            Unread::Io(error) => format!("cannot be read: {error}"),
        })?;
        let damaged = |error: serde_json::Error| format!("is no baseline: {}", json_words(&error));
        let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        match value.get("format").and_then(Value::as_u64) {
            Some(found) if found > FORMAT => {
                Err(format!("was written by a newer sida (format {found}, this one knows {FORMAT})"))
            }
            _ => serde_json::from_value(value).map_err(damaged),
        }
    }

    /// What a stage measured of a metric.
    ///
    /// # Errors
    /// Why there is nothing to compare with, in words that follow the file's name.
    pub fn score(&self, stage: &str, metric: &str) -> std::result::Result<Score, String> {
        let names = |names: Vec<&String>| listed(&names.into_iter().map(String::as_str).collect::<Vec<_>>());
        let recorded = self.stages.get(stage).ok_or_else(|| match self.stages.len() {
            0 => format!("holds no scores of `{stage}`"),
            _ => {
                format!("holds no scores of `{stage}`, but those of {}", names(self.stages.keys().collect()))
            }
        })?;
        let score = recorded.scores.get(metric).ok_or_else(|| match recorded.scores.len() {
            0 => format!("holds no `{metric}` of `{stage}`"),
            _ => format!("holds no `{metric}` of `{stage}`, but {}", names(recorded.scores.keys().collect())),
        })?;
        // Mean and spread both follow from the trials.
        let again = Score::of_trials(score.trials.clone());
        if !again.mean.is_finite() {
            return Err(format!("holds a `{metric}` of `{stage}` that is not finite"));
        }
        let same = (again.mean - score.mean).abs() <= 1e-9 * again.mean.abs();
        if same {
            Ok(again)
        } else {
            Err(format!("holds a mean of `{metric}` that is not that of its trials"))
        }
    }

    /// Writes a file, by rename.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("a baseline is JSON") + "\n";
        atomic::write(path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(trials: &[f64]) -> Baseline {
        let scores = IndexMap::from([("fd_pixels_100".to_owned(), Score::of_trials(trials.to_vec()))]);
        let recorded = Recorded { key: "0".to_owned(), provenance: Value::Null, scores };
        let mut baseline = Baseline::new("p".to_owned(), "today".to_owned(), None);
        baseline.stages.insert("scores".to_owned(), recorded);
        baseline
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.json");
        let written = baseline(&[0.1, 0.3]);
        written.write(&path).unwrap();
        let read = Baseline::read(&path).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.score("scores", "fd_pixels_100").unwrap().trials, [0.1, 0.3]);
        assert!(read.score("others", "fd_pixels_100").unwrap_err().contains("but those of `scores`"));
        assert!(read.score("scores", "is50k").unwrap_err().contains("but `fd_pixels_100`"));
    }

    #[test]
    fn what_is_no_number_or_was_changed_by_hand_is_nothing_to_compare_with() {
        let said = |baseline: &Baseline| baseline.score("scores", "fd_pixels_100").unwrap_err();
        assert!(said(&baseline(&[0.1, f64::NAN])).contains("not finite"));
        assert!(said(&baseline(&[])).contains("not finite"));
        let mut changed = baseline(&[0.1, 0.3]);
        changed.stages["scores"].scores["fd_pixels_100"].mean = 0.9;
        assert!(said(&changed).contains("not that of its trials"));
    }
}
