//! `ReportData`: everything that a report says, as plain values.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

/// One report. A value that is absent is `None`; one that is NaN or infinite is shown as a dash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportData {
    /// The table's caption, and the page's heading.
    pub caption: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// What the pipeline does, in its own words.
    pub description: String,
    /// `nfe`, or names of metrics such as `fd_pixels_2000`, from left to right.
    pub columns: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// Every measured value, by `evaluate` stage and metric, whether a row shows it or not.
    pub scores: IndexMap<String, IndexMap<String, Score>>,
    /// What the pipeline expects.
    pub expectations: Vec<Expectation>,
    /// Curves, by stage.
    pub curves: Vec<StageCurves>,
    /// Images, the real ones first.
    pub grids: Vec<Grid>,
    /// The resolved settings, by stage.
    pub settings: Vec<StageSettings>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What the first column says.
    pub label: String,
    /// The `evaluate` stage of the measured values.
    pub stage: Option<String>,
    /// The pipeline of that stage, where it is another one.
    pub pipeline: Option<String>,
    /// Network evaluations per image.
    pub nfe: Option<u32>,
    /// Measured values, by metric.
    pub measured: IndexMap<String, Score>,
    /// Published values, by column.
    pub published: IndexMap<String, f64>,
}

/// One metric over its trials. What is not finite is `null` in a file, and NaN when it comes back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean over the trials.
    #[serde(deserialize_with = "number_or_null")]
    pub mean: f64,
    /// Population standard deviation over the trials.
    #[serde(deserialize_with = "number_or_null")]
    pub std: f64,
    /// Least value; NaN where a trial has none.
    #[serde(deserialize_with = "number_or_null")]
    pub min: f64,
    /// One value per trial.
    #[serde(deserialize_with = "numbers_or_null")]
    pub trials: Vec<f64>,
}

/// A number, or NaN for `null`: JSON knows no NaN.
///
/// # Errors
/// Neither a number nor `null`.
pub fn number_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn numbers_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// What a number must be, and whether it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// The `evaluate` stage.
    pub stage: String,
    /// The metric's name.
    pub metric: String,
    /// Upper limit.
    pub at_most: Option<f64>,
    /// Lower limit.
    pub at_least: Option<f64>,
    /// The mean over the trials.
    pub value: Option<f64>,
    /// Whether it is within the limits.
    pub pass: bool,
    /// Where the limits come from.
    pub source: Option<String>,
}

/// Whether all expectations were met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every one.
    Pass,
    /// Not every one.
    Fail,
    /// Nothing was expected: there is nothing to judge.
    None,
}

/// The charts of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageCurves {
    /// The stage.
    pub stage: String,
    /// What it is, such as `distill, SiDA`.
    pub title: String,
    /// Its charts.
    pub charts: Vec<Chart>,
}

/// One chart over the images that training has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// What is drawn.
    pub title: String,
    /// The unit of the vertical axis; empty for pure numbers.
    pub unit: String,
    /// The vertical axis.
    pub scale: Scale,
    /// The lines, at most eight.
    pub lines: Vec<Line>,
    /// Moments worth knowing, such as the start of the adversarial term.
    pub marks: Vec<Mark>,
}

/// A vertical axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Logarithmic where all values are positive and span more than a factor of 30.
    #[default]
    Auto,
    /// Linear.
    Linear,
    /// Logarithmic; values that are not positive are left out.
    Log,
}

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What the legend says.
    pub label: String,
    /// `[kimg, value]`, in rising order of kimg. A value that is not finite interrupts the line.
    pub points: Vec<[f64; 2]>,
}

/// A moment of training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub kimg: f64,
    /// What happens then.
    pub label: String,
}

/// Many images in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// What the images are.
    pub caption: String,
    /// A second, smaller line; may be empty.
    pub note: String,
    /// Whether they are real.
    pub real: bool,
    /// A PNG file's bytes.
    pub png: Vec<u8>,
    /// The same file beside the report, for formats that cannot hold images.
    pub path: Option<String>,
}

/// The settings of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSettings {
    /// The stage.
    pub stage: String,
    /// Its verb.
    pub verb: String,
    /// Every value, also the defaults.
    pub values: serde_json::Value,
}

/// Where the numbers come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// When the report was written, such as `2026-11-22 23:59 UTC`.
    pub date: String,
    /// The pipeline's seed.
    pub seed: u64,
    /// The device, in words.
    pub device: String,
    /// Programs and libraries with their versions, by name.
    pub versions: IndexMap<String, String>,
    /// The stages in the order in which they ran.
    pub stages: Vec<StageRun>,
    /// What was asked for.
    pub origin: Origin,
    /// The key of the stage whose pages these are, in hexadecimal: the same key, the same stages and words.
    pub key: String,
}

/// What a run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The pipeline's file.
    pub file: String,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// The command line, without credentials.
    pub command: String,
    /// The commit of the repository that the file is in, where it is in one; `-dirty` where files differ from it.
    pub commit: Option<String>,
}

/// How a stage came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageRun {
    /// The stage.
    pub stage: String,
    /// Its verb.
    pub verb: String,
    /// Its key, in hexadecimal.
    pub key: String,
    /// Wall time, in seconds, of the run that made it.
    pub seconds: Option<f64>,
    /// The device of that run.
    pub device: String,
    /// When it was made.
    pub date: String,
}

impl Score {
    /// Of the values of all trials.
    pub fn of_trials(trials: Vec<f64>) -> Self {
        let n = trials.len() as f64;
        let mean = trials.iter().sum::<f64>() / n;
        let std = (trials.iter().map(|t| (t - mean) * (t - mean)).sum::<f64>() / n).sqrt();
        // `f64::min` would pass over a NaN.
        let least = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) };
        let min = trials.iter().copied().reduce(least).unwrap_or(f64::NAN);
        Self { mean, std, min, trials }
    }
}

impl Expectation {
    /// `at most 0.7`, `at least 0.5, at most 0.7`.
    pub(super) fn limits(&self) -> String {
        let limit = |words: &str, value: Option<f64>| value.map(|v| format!("{words} {v}"));
        let limits = [limit("at least", self.at_least), limit("at most", self.at_most)];
        limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl ReportData {
    /// Whether all expectations were met.
    pub fn verdict(&self) -> Verdict {
        match self.expectations.as_slice() {
            [] => Verdict::None,
            all if all.iter().all(|e| e.pass) => Verdict::Pass,
            _ => Verdict::Fail,
        }
    }

    /// `6 of 6 expectations met`.
    pub(super) fn verdict_sentence(&self) -> String {
        let met = self.expectations.iter().filter(|e| e.pass).count();
        let measured = self.rows.iter().any(|row| !row.measured.is_empty());
        match self.expectations.len() {
            0 if !measured => "nothing was measured".to_owned(),
            0 => "nothing was expected of the numbers".to_owned(),
            1 => format!("{met} of 1 expectation met"),
            all => format!("{met} of {all} expectations met"),
        }
    }
}

impl Verdict {
    /// `pass`, `fail` or `none`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::None => "none",
        }
    }

    /// As a table shows it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::None => "NO VERDICT",
        }
    }
}
