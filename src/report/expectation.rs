//! What a number must be, whether it is, and what follows for the whole report.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{escape::plain, number::Digits};
use crate::metrics::{Score, number_or_null};

/// What a number must be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The metric's name in tables: `fid50k_full`, `fd_pixels_2000`.
    pub metric: String,
    /// Upper limit of the mean over the trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Lower limit of the mean over the trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// Where the limit comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Whether a measured value is what the pipeline expects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What is expected.
    #[serde(flatten)]
    pub expected: Expectation,
    /// The mean over the trials; `null` in a file where it is not finite.
    #[serde(deserialize_with = "number_or_null")]
    pub value: f64,
    /// Whether it is within the limits.
    pub pass: bool,
}

/// Whether all expectations were met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overall {
    /// Every one.
    Pass,
    /// Not every one.
    Fail,
    /// Nothing was expected: there is nothing to judge.
    None,
}

impl Expectation {
    /// Compares the mean over the trials; a value that is not finite meets nothing.
    pub fn judge(&self, scores: &IndexMap<String, Score>) -> Verdict {
        let value = scores.get(&self.metric).map_or(f64::NAN, |score| score.mean);
        let pass = value.is_finite()
            && self.at_most.is_none_or(|limit| value <= limit)
            && self.at_least.is_none_or(|limit| value >= limit);
        Verdict { expected: self.clone(), value, pass }
    }

    /// `at most 0.7`; `at least 0.5, at most 0.7`: with other words for the two, or signs.
    pub(super) fn limits(&self, [at_least, at_most]: [&str; 2]) -> String {
        let limits = [(at_least, self.at_least), (at_most, self.at_most)];
        let written = limits.iter().filter_map(|(words, limit)| Some(format!("{words} {}", (*limit)?)));
        written.collect::<Vec<_>>().join(", ")
    }
}

impl Verdict {
    /// As a table shows it.
    pub(super) fn written(&self) -> String {
        Digits::Decimals(4).write(self.value)
    }

    /// `at least 0.5, at most 0.7`
    pub(super) fn limits(&self) -> String {
        self.expected.limits(["at least", "at most"])
    }

    /// `fd_pixels_2000 is 0.8, expected at most 0.7`; the value is written by the caller.
    pub(super) fn sentence(&self, value: &str) -> String {
        format!("{} is {value}, expected {}", plain(&self.expected.metric), self.limits())
    }

    /// Where the limits come from, in brackets after a space; empty where nothing is known of it.
    pub(super) fn source(&self) -> String {
        self.expected.source.as_deref().map(|s| format!(" ({})", plain(s))).unwrap_or_default()
    }
}

impl Overall {
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
