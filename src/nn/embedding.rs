//! How a noise level becomes a vector: positional and Fourier embeddings.

use burn::{module::Module, tensor::Tensor};

use super::{
    constants::Constants,
    registry::{Init, Registry},
};
use crate::Result;

/// Sines and cosines of the noise level at a list of frequencies.
#[derive(Module, Debug)]
pub(crate) struct Embedding {
    /// Angles per unit of the noise level.
    #[module(skip)]
    frequencies: Constants,
    /// Whether the sines come first (DDPM++, NCSN++) or the cosines (ADM).
    sines_first: bool,
}

impl Embedding {
    /// Frequencies fall geometrically from 1 to 1/10000, which is reached (`endpoint`) or just missed.
    pub(crate) fn positional(channels: usize, endpoint: bool, sines_first: bool) -> Self {
        let half = channels / 2;
        let last = (half - usize::from(endpoint)) as f32;
        let frequencies = (0..half).map(|k| 1e-4f32.powf(k as f32 / last)).collect();
        Self { frequencies: Constants::new(frequencies), sines_first }
    }

    /// Random frequencies, registered as the buffer `freqs`: normal with standard deviation 16, in turns.
    pub(crate) fn fourier(registry: &mut Registry, channels: usize) -> Result<Self> {
        let freqs = registry.values("freqs", &[channels / 2], Init::Normal(16.0))?;
        let frequencies = freqs.into_iter().map(|f| 2.0 * std::f32::consts::PI * f).collect();
        Ok(Self { frequencies: Constants::new(frequencies), sines_first: true })
    }

    /// `c_noise` `[n]` => `[n, channels]`
    pub(crate) fn forward(&self, c_noise: Tensor<1>) -> Tensor<2> {
        let frequencies = self.frequencies.on(&c_noise.device());
        let angles = c_noise.unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim::<2>(0);
        let (sines, cosines) = (angles.clone().sin(), angles.cos());
        let halves = if self.sines_first { vec![sines, cosines] } else { vec![cosines, sines] };
        Tensor::cat(halves, 1)
    }
}
