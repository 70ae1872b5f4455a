//! `Scalings`: what makes a denoiser D of a raw network F at given noise levels.

use burn::tensor::{Int, Tensor};

use super::{constants::Constants, preconditioning::Preconditioning, registry::Registry};
use crate::{Result, kernels};

/// The constants of the scalings.
#[derive(Clone, Debug)]
pub(crate) struct Scalings {
    preconditioning: Preconditioning,
    sigma_data: f64,
    /// Improved DDPM's noise levels; empty elsewhere.
    table: Constants,
}

/// The scalings at given noise levels, each `[n, 1, 1, 1]` but `c_noise` `[n]`.
#[derive(Clone, Debug)]
pub struct Scaled {
    /// `None` stands for 1.
    c_skip: Option<Tensor<4>>,
    c_out: Tensor<4>,
    /// `None` stands for 1.
    c_in: Option<Tensor<4>>,
    /// What the network is told of the noise. `[n]`
    pub c_noise: Tensor<1>,
}

impl Scaled {
    /// The network's input. `[n, c, h, w]`
    pub(crate) fn input(&self, noisy: Tensor<4>) -> Tensor<4> {
        match &self.c_in {
            Some(c_in) => kernels::scale(noisy, c_in),
            None => noisy,
        }
    }

    /// The denoised images. `[n, c, h, w]`
    pub(crate) fn output(self, noisy: Tensor<4>, f_x: Tensor<4>) -> Tensor<4> {
        kernels::blend(noisy, self.c_skip.as_ref(), f_x, &self.c_out)
    }
}

impl Scalings {
    /// Registers the table of noise levels where there is one.
    pub(crate) fn new(
        registry: &mut Registry,
        preconditioning: Preconditioning,
        sigma_data: f64,
    ) -> Result<Self> {
        let mut table = Vec::new();
        if let Preconditioning::Iddpm(iddpm) = preconditioning {
            table = iddpm.table();
            registry.derived("u", &[table.len()], table.clone())?;
        }
        Ok(Self { preconditioning, sigma_data, table: Constants::new(table) })
    }

    /// The noise level that the network really knows: the nearest of improved DDPM's, any elsewhere.
    pub(crate) fn round_sigma(&self, sigma: f64) -> f64 {
        let distance = |u: f32| (sigma as f32 - u).abs();
        let nearest =
            self.table.values().iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        nearest.map_or(sigma, f64::from)
    }

    /// The scalings of n images. sigma `[n, 1, 1, 1]`, or one for all
    pub(crate) fn at(&self, sigma: Tensor<4>, n: usize) -> Scaled {
        let sigma = if sigma.dims()[0] == n { sigma } else { sigma.expand([n, 1, 1, 1]) };
        let level = sigma.clone().reshape([n]);
        match &self.preconditioning {
            Preconditioning::Edm => {
                let sd = self.sigma_data;
                let total = sigma.clone().square() + sd * sd;
                Scaled {
                    c_skip: Some(total.clone().recip() * (sd * sd)),
                    c_out: sigma * sd / total.clone().sqrt(),
                    c_in: Some(total.sqrt().recip()),
                    c_noise: level.log() / 4.0,
                }
            }
            Preconditioning::Vp(vp) => {
                let t = (level.square() + 1.0).log() * (2.0 * vp.beta_d) + vp.beta_min * vp.beta_min;
                let t = (t.sqrt() - vp.beta_min) / vp.beta_d;
                Scaled {
                    c_skip: None,
                    c_in: Some((sigma.clone().square() + 1.0).sqrt().recip()),
                    c_out: -sigma,
                    c_noise: t * (vp.timesteps - 1) as f64,
                }
            }
            Preconditioning::Ve => {
                Scaled { c_skip: None, c_in: None, c_out: sigma, c_noise: (level * 0.5).log() }
            }
            Preconditioning::Iddpm(iddpm) => {
                let table = self.table.on(&sigma.device());
                let distance = (level.unsqueeze_dim::<2>(1) - table.unsqueeze_dim::<2>(0)).abs();
                let index: Tensor<1, Int> = distance.argmin(1).reshape([n]);
                Scaled {
                    c_skip: None,
                    c_in: Some((sigma.clone().square() + 1.0).sqrt().recip()),
                    c_out: -sigma,
                    c_noise: -index.float() + (iddpm.timesteps - 1) as f64,
                }
            }
        }
    }
}
