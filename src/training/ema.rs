//! The exponential moving average that is kept of the weights of a network in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{flat::Flat, state::part};
use crate::{Result, kernels, kimg::Kimg, nn::Denoiser, state_dict::StateDict};

/// The moving average of a network's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// After this many thousand images a weight's old value counts half.
    pub half_life_kimg: Kimg,
    /// The half-life is at most this share of the images seen so far; `null` switches the ramp-up off.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rampup_ratio: Option<f64>,
}

impl Default for Ema {
    fn default() -> Self {
        Self { half_life_kimg: Kimg(500.0), rampup_ratio: Some(0.05) }
    }
}

impl Ema {
    /// What is kept of the old average in one update; `nimg` is the count of images before it.
    pub fn beta(&self, nimg: u64, batch_size: u64) -> f64 {
        let half_life = self.half_life_kimg.0 * 1000.0;
        let half_life = self.rampup_ratio.map_or(half_life, |ratio| half_life.min(nimg as f64 * ratio));
        0.5f64.powf(batch_size as f64 / half_life.max(1e-8))
    }
}

/// The moving average of a student: what a training hands on. Rests without a tape.
#[derive(Debug)]
pub struct Average<D> {
    name: &'static str,
    flat: Flat<D>,
    settings: Ema,
}

impl<D: Denoiser> Average<D> {
    /// The average that begins as `network`; `name` is what it is called in a training's state.
    pub fn new(name: &'static str, network: D, settings: Ema) -> Self {
        Self { name, flat: Flat::new(network), settings }
    }

    /// The average, as it is now.
    pub fn network(&self) -> &D {
        self.flat.network()
    }

    /// Follows `network` after a batch; `nimg` is the count of images before it. Returns what was kept of the old average.
    pub fn follow(&mut self, network: &Flat<D>, nimg: u64, batch_size: u32) -> f64 {
        let beta = self.settings.beta(nimg, u64::from(batch_size));
        self.flat.update(|average| kernels::lerp(average, network.values().clone(), 1.0 - beta));
        beta
    }

    /// The average with its name.
    pub fn state(&self) -> (&'static str, StateDict) {
        (self.name, self.flat.state())
    }

    /// The average as a training's state knows it; `origin` names the file in errors.
    ///
    /// # Errors
    /// The state lacks something, or belongs to another network.
    pub fn restored(&self, state: &StateDict, origin: &str) -> Result<Self> {
        let flat = self.flat.restored(&part(state, self.name), origin)?;
        Ok(Self { name: self.name, flat, settings: self.settings.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gaussian::Gaussian;

    #[test]
    fn after_one_half_life_half_is_left() {
        let settings = Ema { half_life_kimg: Kimg(0.64), rampup_ratio: None };
        let mut average = Average::new("ema", Gaussian::new(1.0, 2.0), settings);
        let network = Flat::new(Gaussian::new(0.0, 4.0));
        for _ in 0..10 {
            average.follow(&network, 0, 64);
        }
        assert!((average.network().mean() - 0.5).abs() < 1e-6);
        assert!((average.network().std() - 3.0).abs() < 1e-6);
    }

    #[test]
    fn the_first_update_forgets_everything_under_ramp_up() {
        let half_life = Ema::default();
        assert_eq!(half_life.beta(0, 256).to_bits(), 0f64.to_bits());
        // 0.05 of 200 images is a half-life of 10.
        assert!((half_life.beta(200, 10) - 0.5).abs() < 1e-15);
        assert!(half_life.beta(1_000_000_000, 256) > 0.999);
    }
}
