//! `LogvarHead`: EDM2's estimate of how uncertain the denoising is.

use burn::{module::Module, tensor::Tensor};

use super::{
    mp_layers::{MpDense, MpFourier},
    registry::Registry,
};
use crate::Result;

/// u(sigma), the logarithm of the variance of the denoiser's error.
#[derive(Module, Debug)]
pub(crate) struct LogvarHead {
    fourier: MpFourier,
    linear: MpDense,
}

impl LogvarHead {
    /// Registers the head.
    pub(crate) fn new(registry: &mut Registry, channels: usize) -> Result<Self> {
        Ok(Self {
            fourier: registry.within("logvar_fourier", |r| MpFourier::new(r, channels))?,
            linear: registry.within("logvar_linear", |r| MpDense::new(r, [channels, 1]))?,
        })
    }

    /// `c_noise` `[n]` => `[n, 1, 1, 1]`
    pub(crate) fn forward(&self, c_noise: Tensor<1>) -> Tensor<4> {
        let [n] = c_noise.dims();
        self.linear.forward(self.fourier.forward(c_noise)).reshape([n, 1, 1, 1])
    }
}
