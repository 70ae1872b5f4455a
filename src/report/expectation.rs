//! `Expectation`: what a number must be.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    escape::plain,
    verdict::{Compared, Standing, Verdict},
};
use crate::{
    location::Location,
    metrics::{Better, Metric, Score},
};

/// What a number must be; all that is said of it has to be so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The metric's name in tables: `fid50k_full`; `fd_pixels_2000` for `frechet_distance: { detector: pixels, images: 2000 }`.
    pub metric: String,
    /// Upper limit of the mean over the trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Lower limit of the mean over the trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The number near which the mean over the trials has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// A file that `sida run FILE --record BASELINE` wrote. The mean over the trials may be worse than the recorded one by
    /// no more than the spread of both: the root of the sum of the squares of their standard deviations over the trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Location>,
    /// By how much the mean may be worse than the baseline's, even where the spread is smaller. Needed where either was
    /// measured in a single trial, which has no spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tolerance: Option<f64>,
    /// Where the limit comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the baseline says, where it was read.
    #[serde(skip)]
    pub recorded: Option<Score>,
}

/// A number and how far from it another may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Within {
    /// The number.
    pub of: f64,
    /// How far from it the mean over the trials may be, in the metric's own unit.
    #[schemars(range(min = 0))]
    pub tolerance: f64,
}

impl Expectation {
    /// Judges the mean over the trials; a value that is not finite meets nothing. `None` where there is no baseline yet
    /// to compare with.
    pub fn judge(&self, scores: &IndexMap<String, Score>) -> Option<Verdict> {
        if self.baseline.is_some() && self.recorded.is_none() {
            return None;
        }
        let score = scores.get(&self.metric);
        let value = score.map_or(f64::NAN, |score| score.mean);
        let compared =
            self.recorded.as_ref().zip(score).map(|(recorded, score)| self.compare(recorded, score));
        let [least, most] = self.range();
        let pass = value.is_finite()
            && value >= least
            && value <= most
            && compared.is_none_or(|of| matches!(of.standing, Standing::Better | Standing::Same));
        Some(Verdict { expected: self.clone(), value, pass, compared })
    }

    /// The least and the largest value that is written down; infinite where none is.
    pub fn range(&self) -> [f64; 2] {
        let [low, high] =
            self.within.map_or([f64::NEG_INFINITY, f64::INFINITY], |Within { of, tolerance }| {
                [of - tolerance, of + tolerance]
            });
        [self.at_least.map_or(low, |least| least.max(low)), self.at_most.map_or(high, |most| most.min(high))]
    }

    /// Which end of the metric's scale is good.
    pub(super) fn better(&self) -> Option<Better> {
        Metric::column(&self.metric).and_then(|column| column.better)
    }

    fn compare(&self, recorded: &Score, score: &Score) -> Compared {
        let difference = recorded.to(score).tolerating(self.tolerance);
        let standing = match difference.is_beyond_spread() {
            None => Standing::Unknown,
            Some(false) => Standing::Same,
            Some(true) if self.better().is_some_and(|end| end.than(score.mean, recorded.mean)) => {
                Standing::Better
            }
            Some(true) => Standing::Worse,
        };
        Compared { recorded: recorded.mean, margin: difference.spread, standing }
    }

    /// What is asked for, in words that no measurement changes: `at most 0.7`, `no worse than ci/digits.json`.
    pub(super) fn words(&self) -> String {
        let file =
            self.baseline.as_ref().map(|file| format!("{} {}", self.no_worse(), plain(&file.to_string())));
        self.limits(["at least", "at most"], Within::words, file)
    }

    pub(super) fn no_worse(&self) -> &'static str {
        if self.better().is_some() { "no worse than" } else { "no other than" }
    }

    /// All limits, joined: with words or signs for the two ends, and as others write what is left.
    pub(super) fn limits(
        &self,
        [least, most]: [&str; 2],
        within: fn(Within) -> String,
        baseline: Option<String>,
    ) -> String {
        let least = self.at_least.map(|limit| format!("{least} {limit}"));
        let most = self.at_most.map(|limit| format!("{most} {limit}"));
        let written = [least, most, self.within.map(within), baseline];
        written.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Within {
    /// `within 0.1 of 0.5`
    pub(super) fn words(self) -> String {
        format!("within {} of {}", self.tolerance, self.of)
    }

    /// `0.5 ± 0.1`
    pub(super) fn signs(self) -> String {
        format!("{} ± {}", self.of, self.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(metric: &str, recorded: &[f64], measured: &[f64], tolerance: Option<f64>) -> Verdict {
        let expectation = Expectation {
            metric: metric.to_owned(),
            baseline: Some(Location::new("b.json")),
            tolerance,
            recorded: Some(Score::of_trials(recorded.to_vec())),
            ..Expectation::default()
        };
        let score = Score::of_trials(measured.to_vec());
        expectation.judge(&IndexMap::from([(metric.to_owned(), score)])).unwrap()
    }

    #[test]
    fn a_baseline_is_judged_by_the_good_end_of_the_scale() {
        let standing = |metric, recorded: &[f64], measured: &[f64]| {
            let verdict = judged(metric, recorded, measured, None);
            let standing = verdict.compared.unwrap().standing;
            assert_eq!(verdict.pass, matches!(standing, Standing::Better | Standing::Same));
            standing
        };
        let (low, high) = ([1.0, 1.1], [2.0, 2.1]);
        assert_eq!(standing("fid50k_full", &low, &high), Standing::Worse);
        assert_eq!(standing("fid50k_full", &high, &low), Standing::Better);
        assert_eq!(standing("is50k", &low, &high), Standing::Better);
        assert_eq!(standing("is50k", &high, &low), Standing::Worse);
        // Where neither end is good, another number is another number.
        assert_eq!(standing("is50k_std", &high, &low), Standing::Worse);
        assert_eq!(standing("is50k_std", &low, &high), Standing::Worse);
        for metric in ["fid50k_full", "is50k", "is50k_std"] {
            assert_eq!(standing(metric, &low, &[1.05, 1.15]), Standing::Same);
            assert_eq!(standing(metric, &low, &low), Standing::Same);
            assert_eq!(standing(metric, &low, &[1.0, f64::NAN]), Standing::Unknown);
            assert_eq!(standing(metric, &[1.0], &[1.0, 1.0]), Standing::Unknown, "one trial has no spread");
        }
    }

    #[test]
    fn a_tolerance_stands_in_for_a_spread() {
        assert!(judged("fid50k_full", &[1.0], &[1.4], Some(0.5)).pass);
        assert!(!judged("fid50k_full", &[1.0], &[1.6], Some(0.5)).pass);
        let verdict = judged("is50k", &[9.0], &[8.4], Some(0.5));
        assert!(!verdict.pass);
        assert_eq!(verdict.said(), "is50k is 8.4, expected no worse than the baseline's 9.000 ± 0.500");
        assert_eq!(verdict.signs(), "≥ 8.500");
        assert_eq!(judged("is50k", &[9.0], &[9.4], Some(0.5)).improvement(), None);
        let better = judged("is50k", &[9.0], &[9.6], Some(0.5)).improvement().unwrap();
        assert_eq!(better, "is50k is 9.600, better than the baseline's 9.000 by more than 0.500");
    }

    #[test]
    fn without_a_baseline_there_is_no_verdict_and_without_a_number_no_success() {
        let scores = |value| IndexMap::from([("is50k".to_owned(), Score::of_trials(vec![value]))]);
        let metric = "is50k".to_owned();
        let baseline = Some(Location::new("b.json"));
        let open = Expectation { metric: metric.clone(), baseline, ..Expectation::default() };
        assert_eq!(open.judge(&scores(1.0)), None);
        let within = Within { of: 1.0, tolerance: 0.5 };
        let near =
            Expectation { metric, within: Some(within), at_least: Some(0.75), ..Expectation::default() };
        let pass = |value| near.judge(&scores(value)).unwrap().pass;
        assert_eq!([0.5, 0.75, 1.5, 1.6, f64::NAN].map(pass), [false, true, true, false, false]);
        assert_eq!(near.range(), [0.75, 1.5]);
        assert_eq!(near.words(), "at least 0.75, within 0.5 of 1");
    }
}
