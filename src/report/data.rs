//! `ReportData`: everything that a report says, as plain values.

use indexmap::IndexMap;

use super::{
    provenance::Provenance,
    row::Row,
    training::StageCurves,
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
    /// Curves and snapshots, by stage.
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

/// Many images in one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// What the images are.
    pub caption: String,
    /// A second, smaller line; may be empty.
    pub note: String,
    /// The stage that made it; empty where no stage is meant.
    pub stage: String,
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
