//! The same metric on both sides.

use super::{NAMES, pairs::Pair};
use crate::{
    metrics::{Difference, Metric, Score},
    report::number::{DASH, Digits},
};

/// The same metric on both sides.
#[derive(Debug)]
pub(super) struct ScorePair<'a> {
    /// The stage; `None` where two with two names are compared.
    pub(super) stage: Option<&'a str>,
    /// `sid_scores.fd_pixels_2000`
    pub(super) name: String,
    /// `fd_pixels_2000`
    pub(super) metric: &'a str,
    /// In A, and in B.
    pub(super) of: [Option<&'a Score>; 2],
}

/// All metrics of a pair of stages.
pub(super) fn of<'a>(pair: &Pair<'a>) -> Vec<ScorePair<'a>> {
    let [a, b] = pair.of.map(|stage| stage.map(|(_, stage)| &stage.scores));
    let new = b.into_iter().flatten().filter(|(name, _)| a.is_none_or(|a| !a.contains_key(*name)));
    let names = a.into_iter().flatten().chain(new).map(|(name, _)| name);
    let of = |metric: &'a String| ScorePair {
        stage: pair.name(),
        name: pair.path(metric),
        metric,
        of: [a, b].map(|scores| scores.and_then(|scores| scores.get(metric))),
    };
    names.map(of).collect()
}

impl ScorePair<'_> {
    fn both(&self) -> Option<[&Score; 2]> {
        let [a, b] = self.of;
        Some([a?, b?])
    }

    /// How B differs from A.
    pub(super) fn difference(&self) -> Option<Difference> {
        self.both().map(|[a, b]| a.to(b))
    }

    /// The difference in percent of A; `None` where there is none.
    pub(super) fn change(&self) -> Option<f64> {
        let [a, _] = self.both()?;
        let change = 100.0 * self.difference()?.value / a.mean.abs();
        change.is_finite().then_some(change)
    }

    /// Which side's mean is better: 0 is A; `None` where neither is, or where nobody knows which end is good.
    pub(super) fn better(&self) -> Option<usize> {
        let better = Metric::column(self.metric)?.better?;
        let [a, b] = self.both()?.map(|score| score.mean);
        if better.than(a, b) { Some(0) } else { better.than(b, a).then_some(1) }
    }

    /// Whether all trials gave the same.
    pub(super) fn is_same(&self) -> bool {
        let bits = |score: &Score| -> Vec<u64> {
            [score.mean].iter().chain(&score.trials).map(|value| value.to_bits()).collect()
        };
        self.both().is_some_and(|[a, b]| bits(a) == bits(b))
    }

    /// `larger than the spread, B is better`; within the spread nobody is.
    pub(super) fn words(&self) -> String {
        let Some(difference) = self.difference() else {
            let side = NAMES[usize::from(self.of[0].is_none())];
            return format!("only in {side}");
        };
        if self.is_same() {
            return "the same".to_owned();
        }
        let words = difference.words();
        match self.better() {
            Some(side) if difference.is_beyond_spread() != Some(false) => {
                format!("{words}, {} is better", NAMES[side])
            }
            _ => words.to_owned(),
        }
    }

    /// The numbers as a reader wants them: both values with their standard deviations, the difference, the change.
    pub(super) fn written(&self) -> [String; 4] {
        let means = || self.of.iter().flatten().map(|score| score.mean);
        let difference = self.difference().map_or(f64::NAN, |difference| difference.value);
        let digits = Digits::of(means()).showing(difference);
        let value = |score: Option<&Score>| match score {
            None => DASH.to_owned(),
            // As in reports: a number has one spelling.
            Some(score) if score.spread().is_some() => {
                format!("{} ± {}", digits.write(score.mean), digits.write(score.std))
            }
            Some(score) => digits.write(score.mean),
        };
        let change =
            self.change().map_or(DASH.to_owned(), |change| Digits::Decimals(1).difference(change) + " %");
        [value(self.of[0]), value(self.of[1]), digits.difference(difference), change]
    }
}
