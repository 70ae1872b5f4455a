//! `Preconditioning`: how images, noise and a raw network F make a denoiser D (Karras et al. 2022, Table 1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// D(x; sigma) = `c_skip` x + `c_out` F(`c_in` x; `c_noise`), in four parameterisations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preconditioning {
    /// EDM's own (Karras et al. 2022).
    #[default]
    Edm,
    /// Variance preserving (Song et al. 2021).
    Vp(Vp),
    /// Variance exploding (Song et al. 2021).
    Ve,
    /// Improved DDPM (Nichol and Dhariwal 2021); the network has twice the image's channels.
    Iddpm(Iddpm),
}

/// The constants of the variance-preserving process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vp {
    /// Extent of the noise schedule.
    #[schemars(range(min = 0.001, max = 100.0))]
    pub beta_d: f64,
    /// Initial slope of the noise schedule.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub beta_min: f64,
    /// Number of timesteps that the network was trained with.
    #[schemars(range(min = 2, max = 100000))]
    pub timesteps: usize,
    /// Lowest time that samplers may use.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub epsilon_t: f64,
}

/// The constants of improved DDPM's noise levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Iddpm {
    /// Lowest ratio of neighbouring noise levels.
    #[schemars(range(min = 0.000001, max = 0.99))]
    pub c_1: f64,
    /// Offset of the cosine schedule.
    #[schemars(range(min = 0.000001, max = 10.0))]
    pub c_2: f64,
    /// Number of timesteps that the network was trained with.
    #[schemars(range(min = 2, max = 100000))]
    pub timesteps: usize,
}

impl Default for Vp {
    fn default() -> Self {
        Self { beta_d: 19.9, beta_min: 0.1, timesteps: 1000, epsilon_t: 1e-5 }
    }
}

impl Default for Iddpm {
    fn default() -> Self {
        Self { c_1: 0.001, c_2: 0.008, timesteps: 1000 }
    }
}

/// No noise level beyond this one is of use: images are long gone, and f32 runs out of digits.
const HIGHEST: f64 = 1e6;

impl Vp {
    /// Noise level at time t.
    pub(crate) fn sigma(&self, t: f64) -> f64 {
        (0.5 * self.beta_d * t * t + self.beta_min * t).exp_m1().sqrt()
    }
}

impl Iddpm {
    /// The noise levels from the highest down to 0, in float32 as the reference computes them: `timesteps + 1`
    /// entries. Its recursion loses digits at the low end, and released networks were used with that loss.
    pub(crate) fn table(&self) -> Vec<f32> {
        let m = self.timesteps;
        let alpha_bar = |j: usize| {
            let angle = std::f32::consts::FRAC_PI_2 * j as f32 / m as f32 / (self.c_2 + 1.0) as f32;
            angle.sin().powi(2)
        };
        let mut table = vec![0f32; m + 1];
        for j in (1..=m).rev() {
            let ratio = (alpha_bar(j - 1) / alpha_bar(j)).max(self.c_1 as f32);
            table[j - 1] = ((table[j].powi(2) + 1.0) / ratio - 1.0).sqrt();
        }
        table
    }
}

impl Preconditioning {
    /// Channels of F for each channel of the image.
    pub(crate) fn outputs_per_channel(&self) -> usize {
        if matches!(self, Self::Iddpm(_)) { 2 } else { 1 }
    }

    /// The lowest and highest noise level that samplers may use, where nothing else is said.
    pub(crate) fn sigma_range(&self) -> (f64, f64) {
        match self {
            Self::Edm => (0.0, f64::INFINITY),
            Self::Vp(vp) => (vp.sigma(vp.epsilon_t), vp.sigma(1.0)),
            Self::Ve => (0.02, 100.0),
            Self::Iddpm(iddpm) => {
                let table = iddpm.table();
                (f64::from(table[iddpm.timesteps - 1]), f64::from(table[0]))
            }
        }
    }

    /// What is wrong with the constants.
    pub(crate) fn problem(&self) -> Option<String> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        match self {
            Self::Vp(vp) if vp.timesteps == 0 => Some("`timesteps` must be at least 1".to_owned()),
            Self::Vp(vp) if !positive(vp.beta_d) || vp.beta_min < 0.0 => {
                Some("`beta_d` must be positive and `beta_min` at least 0".to_owned())
            }
            Self::Vp(vp) if !(0.0..1.0).contains(&vp.epsilon_t) => {
                Some("`epsilon_t` must be between 0 and 1".to_owned())
            }
            Self::Iddpm(iddpm) if iddpm.timesteps == 0 => Some("`timesteps` must be at least 1".to_owned()),
            Self::Iddpm(iddpm) if !positive(iddpm.c_1) || !positive(iddpm.c_2) => {
                Some("`c_1` and `c_2` must be positive".to_owned())
            }
            Self::Edm | Self::Ve => None,
            Self::Vp(_) | Self::Iddpm(_) => {
                let (low, high) = self.sigma_range();
                let makes_sense = low >= 0.0 && low < high && high <= HIGHEST;
                (!makes_sense).then(|| {
                    format!("its constants give noise levels from {low:.3e} to {high:.3e}, between which nothing can be learnt")
                })
            }
        }
    }
}
