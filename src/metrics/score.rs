//! `Score`: a value that was measured more than once.

use serde::{Deserialize, Deserializer, Serialize};

/// One quantity over its trials, or over parts of a set. What is not finite is `null` in a file, and NaN when it
/// comes back.
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

    /// Sample standard deviation over the trials; `None` where fewer than two, or what is not finite, say nothing of it.
    pub fn spread(&self) -> Option<f64> {
        let n = self.trials.len() as f64;
        let spread =
            (self.trials.iter().map(|t| (t - self.mean) * (t - self.mean)).sum::<f64>() / (n - 1.0)).sqrt();
        (n > 1.0 && spread.is_finite()).then_some(spread)
    }

    /// How another score differs from this one.
    pub fn to(&self, other: &Self) -> Difference {
        let spread = self.spread().zip(other.spread()).map(|(a, b)| a.hypot(b));
        Difference { value: other.mean - self.mean, spread }
    }
}

/// The difference of two means, and how far apart two measurements lie by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Of the means; NaN where one is not finite.
    pub value: f64,
    /// Of both together: the root of the sum of the squares of their spreads; `None` where one has none.
    pub spread: Option<f64>,
}

impl Difference {
    /// Whether it is larger than the spread; `None` where that cannot be said.
    pub fn is_beyond_spread(&self) -> Option<bool> {
        self.spread.filter(|_| self.value.is_finite()).map(|spread| self.value.abs() > spread)
    }

    /// The same, where a difference of up to `tolerance` says nothing, either: the larger of the two counts.
    #[must_use]
    pub fn tolerating(self, tolerance: Option<f64>) -> Self {
        Self { spread: self.spread.into_iter().chain(tolerance).reduce(f64::max), ..self }
    }

    /// The same in words.
    pub fn words(&self) -> &'static str {
        match self.is_beyond_spread() {
            Some(true) => "larger than the spread",
            Some(false) => "within the spread",
            None => "of unknown spread",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_judged_by_the_spread_of_both() {
        let score = |trials: &[f64]| Score::of_trials(trials.to_vec());
        let (a, b) = (score(&[1.0, 1.2]), score(&[1.3, 1.7]));
        let difference = a.to(&b);
        assert!((difference.value - 0.4).abs() < 1e-12);
        // Sample deviations of 0.02 and 0.08 under the root.
        assert!((difference.spread.unwrap() - 0.1f64.sqrt()).abs() < 1e-12);
        assert_eq!(difference.words(), "larger than the spread");
        assert_eq!(b.to(&score(&[1.4, 1.9])).words(), "within the spread");
        for unknown in [score(&[7.0]), score(&[]), score(&[1.0, f64::NAN])] {
            assert_eq!(a.to(&unknown).is_beyond_spread(), None);
        }
    }

    #[test]
    fn a_tolerance_counts_where_it_is_larger_than_the_spread_or_there_is_none() {
        let difference = |spread| Difference { value: -0.4, spread };
        let beyond = |spread, tolerance| difference(spread).tolerating(tolerance).is_beyond_spread();
        assert_eq!(beyond(Some(0.1), Some(0.5)), Some(false));
        assert_eq!(beyond(Some(0.5), Some(0.1)), Some(false));
        assert_eq!(beyond(Some(0.1), None), Some(true));
        assert_eq!(beyond(None, Some(0.3)), Some(true));
        assert_eq!(beyond(None, None), None);
    }
}
