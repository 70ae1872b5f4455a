//! `ReportData`: everything that a report says, as plain values.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    row::Row,
    verdict::{Overall, Verdict},
};
use crate::metrics::Score;

/// One report. A value that is absent is `None`; one that is NaN or infinite is shown as a dash.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportData {
    /// The table's caption, and the page's heading.
    pub caption: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Of a sweep's point, which one: `alpha=1.0 lr=1e-5`.
    pub point: Option<String>,
    /// What the pipeline does, in its own words.
    pub description: String,
    /// `nfe`, or names of metrics such as `fd_pixels_2000`, from left to right.
    pub columns: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<MeasuredRow>,
    /// Every measured value, by `evaluate` stage and metric, whether a row shows it or not.
    pub scores: IndexMap<String, IndexMap<String, Score>>,
    /// What the pipeline expects, with the `evaluate` stages that measured it.
    pub expectations: Vec<(String, Verdict)>,
    /// Curves, by stage.
    pub curves: Vec<StageCurves>,
    /// Images, the real ones first.
    pub grids: Vec<Grid>,
    /// The resolved settings, by stage.
    pub settings: Vec<StageSettings>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

/// One row of the table, with what was found for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredRow {
    /// What the pipeline wants to see.
    pub asked: Row,
    /// Network evaluations per image.
    pub nfe: Option<u32>,
    /// Measured values, by metric.
    pub measured: IndexMap<String, Score>,
    /// The folder of the stage that measured them, seen from the page; `None` where it has not run.
    pub folder: Option<String>,
}

impl MeasuredRow {
    /// Whether values were asked for from a stage that has not run.
    pub fn is_missing(&self) -> bool {
        self.asked.scores.is_some() && self.measured.is_empty()
    }
}

/// The charts of one stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageCurves {
    /// The stage.
    pub stage: String,
    /// What it is, such as `distill, SiDA`.
    pub title: String,
    /// Its charts.
    pub charts: Vec<Chart>,
}

/// One chart over the images that training has seen.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// How to read it, below; may be empty.
    pub note: String,
}

/// A vertical axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Logarithmic where all values are positive and span more than a factor of 30.
    #[default]
    Auto,
    /// Linear.
    Linear,
}

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What the legend says.
    pub label: String,
    /// `[kimg, value]`, in rising order of kimg. A value that is not finite interrupts the line.
    pub points: Vec<[f64; 2]>,
}

/// A moment of training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// When.
    pub kimg: f64,
    /// What happens then.
    pub label: String,
}

/// Many images in one.
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
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
#[serde(default)]
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
    pub invocation: Invocation,
    /// The key of the stage whose pages these are, in hexadecimal: the same key, the same stages and words.
    pub key: String,
}

impl Provenance {
    /// What was asked for and what it was made with, by name; without what is not known.
    pub fn facts(&self) -> Vec<(&str, &str)> {
        let Invocation { file, sha256, command, commit } = &self.invocation;
        let asked = [
            ("pipeline file", file.as_str()),
            ("its SHA-256", sha256),
            ("command", command),
            ("commit", commit.as_deref().unwrap_or_default()),
            ("key of this report", &self.key),
        ];
        let versions = self.versions.iter().map(|(name, version)| (name.as_str(), version.as_str()));
        asked.into_iter().chain(versions).filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// What a run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invocation {
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
#[serde(default)]
pub struct StageRun {
    /// The stage.
    pub stage: String,
    /// Its verb.
    pub verb: String,
    /// Its key, in hexadecimal.
    pub key: String,
    /// Its folder, seen from the page.
    pub folder: Option<String>,
    /// Wall time, in seconds, of the run that made it.
    pub seconds: Option<f64>,
    /// The device of that run.
    pub device: String,
    /// When it was made.
    pub date: String,
}

impl ReportData {
    /// The pipeline's name, with the point's.
    pub(super) fn whole_name(&self) -> String {
        let point = self.point.as_ref().map(|point| format!(" · {point}"));
        self.pipeline.clone() + &point.unwrap_or_default()
    }

    /// Whether all expectations were met.
    pub fn verdict(&self) -> Overall {
        match self.expectations.as_slice() {
            [] => Overall::None,
            all if all.iter().all(|(_, verdict)| verdict.pass) => Overall::Pass,
            _ => Overall::Fail,
        }
    }

    /// `6 of 6 expectations met`.
    pub(super) fn verdict_sentence(&self) -> String {
        let met = self.expectations.iter().filter(|(_, verdict)| verdict.pass).count();
        let measured = self.rows.iter().any(|row| !row.measured.is_empty());
        match self.expectations.len() {
            0 if !measured => "nothing was measured".to_owned(),
            0 => "nothing was expected of the numbers".to_owned(),
            1 => format!("{met} of 1 expectation met"),
            all => format!("{met} of {all} expectations met"),
        }
    }
}
