//! `Verdict`: whether a number is what it must be, and what follows for the whole report.

use serde::Serialize;

use super::{
    escape::plain,
    expectation::{Expectation, Within},
    number::{DASH, Digits},
};
use crate::metrics::Better;

/// Whether a measured value is what the pipeline expects.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// What is expected.
    #[serde(flatten)]
    pub expected: Expectation,
    /// The mean over the trials; `null` in a file where it is not finite.
    pub value: f64,
    /// Whether it is what is expected.
    pub pass: bool,
    /// How it compares with the baseline, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
}

/// A measured value beside a recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The recorded mean.
    pub recorded: f64,
    /// Differences up to this say nothing; `None` where that is not known.
    pub margin: Option<f64>,
    /// What the difference says.
    pub standing: Standing,
}

/// Whether a value is as good as a recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Better by more than the spread.
    Better,
    /// The difference is within the spread.
    Same,
    /// Worse by more than the spread, or other than it where neither end of the scale is good.
    Worse,
    /// It cannot be said: one of the values is not finite, or there is no spread.
    Unknown,
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

impl Verdict {
    /// As a table shows it.
    pub(super) fn written(&self) -> String {
        Digits::Decimals(4).write(self.value)
    }

    /// `at least 0.5, at most 0.7, no worse than the baseline's 0.640 ± 0.012`
    pub(super) fn limits(&self) -> String {
        let expected = &self.expected;
        let baseline = self.compared.as_ref().map(|of| {
            let digits = of.digits();
            let margin = of.margin.map(|margin| format!(" ± {}", digits.write(margin))).unwrap_or_default();
            format!("{} the baseline's {}{margin}", expected.no_worse(), digits.write(of.recorded))
        });
        expected.limits(["at least", "at most"], Within::words, baseline)
    }

    /// The same in signs: `≥ 0.5, ≤ 0.7`.
    pub(super) fn signs(&self) -> String {
        let expected = &self.expected;
        let baseline = self.compared.as_ref().map(|of| {
            let (digits, margin) = (of.digits(), of.margin.unwrap_or(0.0));
            match expected.better() {
                Some(Better::Lower) => format!("≤ {}", digits.write(of.recorded + margin)),
                Some(Better::Higher) => format!("≥ {}", digits.write(of.recorded - margin)),
                None => format!("{} ± {}", digits.write(of.recorded), digits.write(margin)),
            }
        });
        expected.limits(["≥", "≤"], Within::signs, baseline)
    }

    /// `fd_pixels_2000 is 0.8, expected at most 0.7`; the value is written by the caller.
    pub(super) fn sentence(&self, value: &str) -> String {
        format!("{} is {value}, expected {}", plain(&self.expected.metric), self.limits())
    }

    /// The same with all digits of the value.
    pub fn said(&self) -> String {
        self.sentence(&if self.value.is_finite() { self.value.to_string() } else { DASH.to_owned() })
    }

    /// `fd_pixels_2000 is 0.602, better than the baseline's 0.640 by more than 0.012`, where it is.
    pub fn improvement(&self) -> Option<String> {
        let of = self.compared.as_ref().filter(|of| of.standing == Standing::Better)?;
        let digits = of.digits();
        let [value, recorded, margin] =
            [self.value, of.recorded, of.margin?].map(|number| digits.write(number));
        let metric = plain(&self.expected.metric);
        Some(format!("{metric} is {value}, better than the baseline's {recorded} by more than {margin}"))
    }

    /// Where the limits come from, in brackets after a space; empty where nothing is known of it.
    pub(super) fn source(&self) -> String {
        self.expected.source.as_deref().map(|s| format!(" ({})", plain(s))).unwrap_or_default()
    }
}

impl Compared {
    fn digits(&self) -> Digits {
        Digits::of([self.recorded].into_iter().chain(self.margin))
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
