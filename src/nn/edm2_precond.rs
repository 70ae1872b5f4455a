//! `Edm2Precond`: EDM2's UNet as a denoiser, with the head that predicts its uncertainty.

use burn::{
    module::Module,
    tensor::{DType, Tensor},
};

use super::{
    denoiser::{Condition, Denoised, Dropout},
    edm_precond::{Scaled, Scalings, logits, per_sample},
    edm2_config::Edm2Config,
    edm2_unet::{Edm2UNet, Encoded},
    layers::cast,
    mp_layers::{MpDense, MpFourier},
    network::Raw,
    registry::Registry,
};
use crate::{Result, kernels};

/// The raw network F with EDM's scalings.
#[derive(Module, Debug)]
pub(crate) struct Edm2Precond {
    unet: Edm2UNet,
    logvar: Option<LogvarHead>,
    #[module(skip)]
    scalings: Scalings,
    label_dim: usize,
}

/// u(sigma), the logarithm of the variance of the denoiser's error.
#[derive(Module, Debug)]
struct LogvarHead {
    fourier: MpFourier,
    linear: MpDense,
}

impl LogvarHead {
    fn new(registry: &mut Registry, channels: usize) -> Result<Self> {
        Ok(Self {
            fourier: registry.within("logvar_fourier", |r| MpFourier::new(r, channels))?,
            linear: registry.within("logvar_linear", |r| MpDense::new(r, [channels, 1]))?,
        })
    }

    /// `c_noise` `[n]` => `[n, 1, 1, 1]`
    fn forward(&self, c_noise: Tensor<1>) -> Tensor<4> {
        let [n] = c_noise.dims();
        self.linear.forward(self.fourier.forward(c_noise)).reshape([n, 1, 1, 1])
    }
}

impl Edm2Precond {
    /// Registers the network.
    pub(crate) fn new(registry: &mut Registry, config: &Edm2Config) -> Result<Self> {
        let unet = registry.within("unet", |r| Edm2UNet::new(r, config))?;
        let logvar =
            if config.logvar { Some(LogvarHead::new(registry, config.logvar_channels)?) } else { None };
        Ok(Self { unet, logvar, scalings: Scalings::edm(config.sigma_data), label_dim: config.label_dim })
    }

    pub(crate) fn denoise(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
        dtype: DType,
    ) -> Denoised {
        let scaled = self.scalings.at(per_sample(sigma, &noisy));
        let (emb, encoded) = self.encoded(&noisy, &scaled, condition, dropout, dtype);
        let logits = logits(&encoded.x);
        let logvar = self.logvar.as_ref().map(|head| head.forward(scaled.c_noise.clone()));
        let f_x = self.decode(encoded, &emb, dropout);
        Denoised { images: scaled.output(noisy, f_x), logits, logvar }
    }

    pub(crate) fn encode(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
        dtype: DType,
    ) -> Tensor<4> {
        let scaled = self.scalings.at(per_sample(sigma, &noisy));
        let (_, encoded) = self.encoded(&noisy, &scaled, condition, dropout, dtype);
        logits(&encoded.x)
    }

    pub(crate) fn raw(&self, noisy: Tensor<4>, sigma: Tensor<4>, condition: &Condition, dtype: DType) -> Raw {
        let scaled = self.scalings.at(per_sample(sigma, &noisy));
        let (emb, encoded) = self.encoded(&noisy, &scaled, condition, Dropout::Off, dtype);
        Raw { f_x: self.decode(encoded, &emb, Dropout::Off), c_noise: scaled.c_noise }
    }

    fn encoded(
        &self,
        noisy: &Tensor<4>,
        scaled: &Scaled,
        condition: &Condition,
        dropout: Dropout,
        dtype: DType,
    ) -> (Tensor<2>, Encoded) {
        let class_labels = (self.label_dim > 0).then(|| {
            let none = || Tensor::zeros([1, self.label_dim], &noisy.device());
            condition.class_labels.clone().unwrap_or_else(none)
        });
        let emb = self.unet.embed(scaled.c_noise.clone(), class_labels);
        let x = kernels::to_nhwc(cast(scaled.input(noisy.clone()), dtype));
        let encoded = self.unet.encode(x, &emb, dropout);
        (emb, encoded)
    }

    /// F in float32. `[n, c, h, w]`
    fn decode(&self, encoded: Encoded, emb: &Tensor<2>, dropout: Dropout) -> Tensor<4> {
        cast(kernels::to_nchw(self.unet.decode(encoded, emb, dropout)), DType::F32)
    }
}
