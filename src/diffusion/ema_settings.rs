//! `Ema`: the moving average of weights, by half-life.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kimg::Kimg;

/// The moving average of a network's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ema {
    /// After this many thousand images a weight's old value counts half.
    #[serde(default = "half_life_kimg")]
    pub half_life_kimg: Kimg,
    /// The half-life is at most this share of the images seen so far; `null` switches the ramp-up off.
    #[serde(default = "rampup_ratio")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rampup_ratio: Option<f64>,
}

impl Default for Ema {
    fn default() -> Self {
        Self { half_life_kimg: half_life_kimg(), rampup_ratio: rampup_ratio() }
    }
}

fn half_life_kimg() -> Kimg {
    Kimg(500.0)
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn rampup_ratio() -> Option<f64> {
    Some(0.05)
}
