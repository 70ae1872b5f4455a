//! `Sampler`: how noise becomes images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use crate::nn::NetworkConfig;

/// How noise becomes images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// EDM's second-order sampler (Heun), deterministic or stochastic; 2 `num_steps` - 1 network evaluations.
    Edm(EdmSampler),
    /// EDM2's sampler: the same in fp32, without rounding of noise levels.
    Edm2(EdmSampler),
    /// One evaluation of a distilled generator.
    OneStep(OneStep),
    /// A distilled generator, each step from the last image with fresh noise.
    MultiStep(MultiStep),
}

/// Heun's method over the rho schedule, with optional churn (Karras et al., 2022, Algorithm 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EdmSampler {
    /// Number of steps.
    #[schemars(range(min = 1, max = 10000))]
    pub num_steps: u32,
    /// Lowest noise level.
    #[schemars(range(min = 0.000001, max = 10000.0))]
    pub sigma_min: f64,
    /// Highest noise level.
    // From less noise comes hardly more than gray.
    #[schemars(range(min = 0.1, max = 10000.0))]
    pub sigma_max: f64,
    /// Exponent of the schedule.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub rho: f64,
    /// Strength of the stochasticity; 0 is deterministic.
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub s_churn: f64,
    /// Lowest noise level at which noise is added.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub s_min: f64,
    /// Highest noise level at which noise is added. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub s_max: Option<f64>,
    /// Standard deviation of the added noise.
    #[schemars(range(min = 0.0, max = 2.0))]
    pub s_noise: f64,
}

impl Default for EdmSampler {
    fn default() -> Self {
        Self {
            num_steps: 18,
            sigma_min: 0.002,
            sigma_max: 80.0,
            rho: 7.0,
            s_churn: 0.0,
            s_min: 0.0,
            s_max: None,
            s_noise: 1.0,
        }
    }
}

/// One evaluation of a distilled generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OneStep {
    /// Standard deviation of the initial noise, and the noise level that the network is told.
    // From less noise comes hardly more than gray.
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub init_sigma: f64,
}

impl Default for OneStep {
    fn default() -> Self {
        Self { init_sigma: 2.5 }
    }
}

/// Several evaluations of a distilled generator; step k of n is at noise level `init_sigma` (n - k) / n.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultiStep {
    /// Standard deviation of the initial noise.
    #[serde_inline_default(OneStep::default().init_sigma)]
    // From less noise comes hardly more than gray.
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub init_sigma: f64,
    /// Number of steps.
    #[schemars(range(min = 1, max = 64))]
    pub num_steps: u32,
}

impl Sampler {
    /// How a teacher makes images unless a pipeline says otherwise: EDM's 18 steps, EDM2's 32.
    pub fn of_teacher(network: &NetworkConfig) -> Self {
        if network.is_edm2() {
            Self::Edm2(EdmSampler { num_steps: 32, ..EdmSampler::default() })
        } else {
            Self::Edm(EdmSampler::default())
        }
    }

    /// What is wrong between two settings, each a field and a sentence; with a network that knows the noise levels from
    /// `low` to `high`.
    pub fn problems(&self, [low, high]: [f64; 2]) -> Vec<(String, String)> {
        let (name, edm) = match self {
            Self::Edm(edm) => ("edm", edm),
            Self::Edm2(edm) => ("edm2", edm),
            Self::OneStep(_) | Self::MultiStep(_) => return Vec::new(),
        };
        let mut problems = Vec::new();
        let EdmSampler { sigma_min, sigma_max, s_min, s_max, s_churn, .. } = edm;
        if sigma_min >= sigma_max {
            let problem = format!(
                "noise levels go down from `sigma_max` to `sigma_min`, but {sigma_max} is not above {sigma_min}"
            );
            problems.push((format!("{name}/sigma_max"), problem));
        } else if name == "edm" && sigma_min.max(low) >= sigma_max.min(high) {
            let problem = format!(
                "the network knows noise levels from {low} to {high}, and none from {sigma_min} to {sigma_max}"
            );
            problems.push((format!("{name}/sigma_max"), problem));
        }
        if let Some(most) = s_max.filter(|most| most <= s_min && *s_churn > 0.0) {
            let problem = format!("noise is added from `s_min` to `s_max`, but {most} is not above {s_min}");
            problems.push((format!("{name}/s_max"), problem));
        }
        problems
    }

    /// Network evaluations per image.
    pub fn nfe(&self) -> u32 {
        match self {
            Self::Edm(edm) | Self::Edm2(edm) => 2 * edm.num_steps - 1,
            Self::OneStep(_) => 1,
            Self::MultiStep(steps) => steps.num_steps,
        }
    }
}
