//! `SweepData`: everything that the page of a sweep says, as plain values.

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::super::{provenance::Provenance, verdict::Verdict};
use crate::metrics::Score;

/// A sweep, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepData {
    /// Its name.
    pub sweep: String,
    /// What it does, in its own words.
    pub description: String,
    /// Its axes; every combination of their values is a point.
    pub axes: Vec<SweepAxis>,
    /// The axes that go down and across, by their places.
    pub layout: [Option<usize>; 2],
    /// What it is about: an `evaluate` stage and one of its metrics.
    pub cell: Option<(String, String)>,
    /// All points, the last axis running fastest.
    pub points: Vec<MeasuredPoint>,
    /// The rungs of its search, in thousands of images; empty where it has none.
    pub rungs_kimg: Vec<f64>,
    /// Where the numbers come from; the stages are the points' own.
    pub provenance: Provenance,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepAxis {
    /// Its name.
    pub name: String,
    /// What its values are called.
    pub values: Vec<String>,
    /// The same as numbers, where all are.
    pub numbers: Option<Vec<f64>>,
    /// Whether its points are repetitions of each other.
    pub is_repetition: bool,
}

/// A point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredPoint {
    /// What it is called.
    pub label: String,
    /// For each axis, which of its values.
    pub at: Vec<usize>,
    /// The values themselves, by axis.
    pub settings: IndexMap<String, Value>,
    /// How it ended.
    pub end: PointEnd,
    /// Every measured value, by `evaluate` stage and metric.
    pub scores: IndexMap<String, IndexMap<String, Score>>,
    /// What was expected of it, with the stages that measured it.
    pub expectations: Vec<(String, Verdict)>,
    /// The measured value of the cell at each rung that it came to.
    pub rungs: Vec<f64>,
    /// How many thousands of images the measured network had seen, where that is known: the best weights of a training
    /// need not be its last.
    pub weights_kimg: Option<f64>,
    /// A PNG with images of the network that the cell is about.
    pub picture: Option<Vec<u8>>,
    /// Wall time of the stages that it is made of, in seconds, by their keys.
    pub seconds: IndexMap<String, f64>,
    /// Its own page, seen from the sweep's; `None` where there is none.
    pub page: Option<String>,
    /// Its folder, seen from the page.
    pub folder: String,
}

/// How a point ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PointEnd {
    /// It has not, yet.
    #[default]
    Open,
    /// Everything was measured.
    Measured,
    /// The search stopped it at this rung.
    Stopped(usize),
    /// Training diverged, in words.
    Diverged(String),
    /// Something else went wrong, in words.
    Failed(String),
}

impl PointEnd {
    /// As files say it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Measured => "measured",
            Self::Stopped(_) => "stopped",
            Self::Diverged(_) => "diverged",
            Self::Failed(_) => "failed",
        }
    }

    /// What went wrong.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Diverged(message) | Self::Failed(message) => Some(message),
            _ => None,
        }
    }
}

impl SweepData {
    /// What the axes that go down and across are called; empty where none does.
    pub(super) fn axis_names(&self) -> [&str; 2] {
        self.layout.map(|axis| axis.map_or("", |axis| self.axes[axis].name.as_str()))
    }

    /// Every stage and metric that any point has a value of.
    pub(super) fn measured(&self) -> IndexSet<(String, String)> {
        let of_stage = |(stage, scores): (&String, &IndexMap<String, Score>)| {
            let stage = stage.clone();
            scores.keys().map(move |metric| (stage.clone(), metric.clone())).collect::<Vec<_>>()
        };
        self.points.iter().flat_map(|point| point.scores.iter().flat_map(of_stage)).collect()
    }

    /// How a point ended, as a reader is told.
    pub(super) fn end(&self, end: &PointEnd) -> String {
        match end {
            PointEnd::Stopped(rung) => format!("stopped at {} kimg", self.rungs_kimg[*rung]),
            other => other.as_str().to_owned(),
        }
    }

    /// Wall time of all stages, in seconds; those that points share count once.
    pub fn seconds(&self) -> f64 {
        let stages = self.points.iter().flat_map(|point| &point.seconds);
        let once: IndexMap<&String, f64> = stages.map(|(key, seconds)| (key, *seconds)).collect();
        // The sum of no numbers is -0.
        once.values().fold(0.0, |sum, seconds| sum + seconds)
    }
}

impl MeasuredPoint {
    /// A measured value.
    pub(super) fn score(&self, (stage, metric): &(String, String)) -> Option<&Score> {
        self.scores.get(stage)?.get(metric)
    }
}
