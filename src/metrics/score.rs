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
