//! `Guard`: when a training counts as run away, as a recipe writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a training counts as run away: rules, or `off`. It changes no number, only whether the training is stopped: a
/// finished stage stays finished whatever its guard says, and one that diverged is tried again when its guard has changed.
/// Losses and weights that are not numbers stop every training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Guard {
    /// No rules.
    Off(Off),
    /// These rules.
    Rules(GuardRules),
}

/// The word for no rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// Only what is not a number stops the training.
    Off,
}

/// The rules: a status is bad where it breaks one of them. They compare with the training's own beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardRules {
    /// So many bad statuses in a row are a divergence; fewer are a spike.
    #[schemars(range(min = 1, max = 1000000))]
    pub patience: u32,
    /// A denoising error, that of a teacher or of the fake score network, is bad above so many times what it was at the
    /// beginning, if it is also above that of a network that outputs nothing. EDM2's is meant without the weight of its
    /// uncertainty.
    #[schemars(range(min = 1.0, max = 1000000.0))]
    pub explosion: f64,
    /// Generated images of one class are bad where they differ by less than this share of how much they did before the
    /// generator learnt: they become one image. 0 for never.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub collapse: f64,
}

impl Guard {
    /// The rules, unless they are off.
    pub fn rules(&self) -> Option<&GuardRules> {
        match self {
            Self::Off(Off::Off) => None,
            Self::Rules(rules) => Some(rules),
        }
    }

    /// Whether it is the one that holds where none is written.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::Rules(GuardRules::default())
    }
}

/// Measured on 8x8 digits with DDPM++, NCSN++, ADM and EDM2 in miniature, each with SiD, SiDA and SiD2A and alpha from
/// -0.25 to 1.5, statuses of 8 iterations. With usual learning rates the error stays below 1.6 times its beginning, and
/// images of a class differ by at least 0.8 of theirs. Where a learning rate of 1e-2 makes one image of each class, that
/// falls to 0.28 - 0.48, but the error is three times its beginning for a status or two only, as it is where EDM2, which
/// bears that rate, recovers (0.94); at 0.1 it is thousands of times.
impl Default for GuardRules {
    fn default() -> Self {
        Self { patience: 3, explosion: 3.0, collapse: 0.6 }
    }
}
