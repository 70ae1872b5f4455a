//! `Network`: a preconditioned network of any architecture, its settings and its names.

use std::{collections::HashSet, sync::Arc};

use burn::{
    module::Module,
    tensor::{DType, Tensor},
};

use super::{
    config::NetworkConfig,
    denoiser::{Condition, Denoised, Denoiser, Dropout},
    encoded::{Encoded, logits},
    layers::cast,
    logvar_head::LogvarHead,
    mode::Mode,
    mp_layers::ForcedNormalization,
    registry::{Entry, Registry, state_dict},
    scalings::{Scaled, Scalings},
    unet::UNet,
};
use crate::{Result, kernels, state_dict::StateDict};

/// A network that is ready to denoise.
#[derive(Module, Debug)]
pub struct Network {
    net: UNet,
    logvar: Option<LogvarHead>,
    #[module(skip)]
    scalings: Scalings,
    #[module(skip)]
    config: NetworkConfig,
    #[module(skip)]
    entries: Arc<Vec<Entry>>,
    #[module(skip)]
    compute: DType,
    #[module(skip)]
    recompute: bool,
}

/// What a pass yields before the scalings make images of it.
#[derive(Clone, Debug)]
pub struct Raw {
    /// F, in float32; improved DDPM's has its variances behind the images. `[n, out_channels, h, w]`
    pub f_x: Tensor<4>,
    /// The last encoder activation. `[n, h', w', c']`
    pub encoding: Tensor<4>,
    /// The scalings at the noise levels of the pass.
    pub scaled: Scaled,
}

impl Network {
    /// Takes the network that the settings ask for from the registry.
    pub(crate) fn new(mut registry: Registry, config: &NetworkConfig) -> Result<Self> {
        let scalings = Scalings::new(&mut registry, config.preconditioning(), config.sigma_data())?;
        let net = UNet::new(&mut registry, config)?;
        let logvar = match config {
            NetworkConfig::Edm2(c) if c.logvar => Some(LogvarHead::new(&mut registry, c.logvar_channels)?),
            _ => None,
        };
        let entries = Arc::new(registry.finish()?);
        Ok(Self {
            net,
            logvar,
            scalings,
            config: config.clone(),
            entries,
            compute: DType::F32,
            recompute: false,
        })
    }

    /// Computes activations in this type (`F32`, `BF16` or `F16`); weights, embeddings and results stay float32.
    #[must_use]
    pub fn with_compute(self, compute: DType) -> Self {
        Self { compute, ..self }
    }

    /// Keeps no activations within blocks for the backward pass, which makes them again: less memory, more time, the same
    /// gradients bit for bit.
    #[must_use]
    pub fn with_recompute(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// The same without the head that estimates how large the error is: EDM2's generators have none.
    ///
    /// # Errors
    /// The settings ask for no network, which those of a network do not.
    pub fn without_logvar(self) -> Result<Self> {
        let config = self.config.without_logvar();
        let kept: HashSet<String> = config.shapes()?.into_iter().map(|entry| entry.name).collect();
        let entries = self.entries.iter().filter(|entry| kept.contains(&entry.name)).cloned().collect();
        let entries = Arc::new(entries);
        Ok(Self { logvar: None, config, entries, ..self })
    }

    /// The settings.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Side of the square images or latents.
    pub fn img_resolution(&self) -> usize {
        self.config.img_resolution()
    }

    /// Channels of the images or latents.
    pub fn img_channels(&self) -> usize {
        self.config.img_channels()
    }

    /// Number of classes; 0 where the network is unconditional.
    pub fn label_dim(&self) -> usize {
        self.config.label_dim()
    }

    /// The noise level that the network really knows; samplers pass theirs through it.
    pub fn round_sigma(&self, sigma: f64) -> f64 {
        self.scalings.round_sigma(sigma)
    }

    /// All weights and buffers on the host, under the reference's names and in its order.
    pub fn state_dict(&self) -> StateDict {
        state_dict(self, &self.entries)
    }

    /// Names, shapes and order of all tensors.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A whole pass of the raw network, which `denoise` makes images of.
    /// noisy `[n, c, h, w]`, sigma `[n, 1, 1, 1]` or one for all
    pub fn raw(&self, noisy: &Tensor<4>, sigma: Tensor<4>, condition: &Condition, dropout: Dropout) -> Raw {
        let mode = Mode { dropout, recompute: self.recompute };
        let (scaled, emb, encoded) = self.encoded(noisy, sigma, condition, &mode);
        let encoding = encoded.last();
        let f_x = kernels::to_nchw(self.net.decode(encoded, &emb, &mode));
        Raw { f_x: cast(f_x, DType::F32), encoding, scaled }
    }

    /// The scalings, the conditioning vector and the encoder's activations.
    fn encoded(
        &self,
        noisy: &Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        mode: &Mode,
    ) -> (Scaled, Tensor<2>, Encoded) {
        let scaled = self.scalings.at(sigma, noisy.dims()[0]);
        let unlabelled = || Tensor::zeros([1, self.label_dim()], &noisy.device());
        let class_labels =
            (self.label_dim() > 0).then(|| condition.class_labels.clone().unwrap_or_else(unlabelled));
        let condition = Condition { class_labels, augment_labels: condition.augment_labels.clone() };
        let emb = self.net.embed(scaled.c_noise.clone(), condition, &mode.dropout);
        let x = kernels::to_nhwc(cast(scaled.input(noisy.clone()), self.compute));
        let encoded = self.net.encode(x, &emb, mode);
        (scaled, emb, encoded)
    }
}

impl Denoiser for Network {
    fn denoise(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
    ) -> Denoised {
        let Raw { f_x, encoding, scaled } = self.raw(&noisy, sigma, condition, dropout);
        let c = noisy.dims()[1];
        let f_x = if f_x.dims()[1] > c { f_x.narrow(1, 0, c) } else { f_x };
        let logvar = self.logvar.as_ref().map(|head| head.forward(scaled.c_noise.clone()));
        Denoised { images: scaled.output(noisy, f_x), encoding, logvar }
    }

    fn encode(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
    ) -> Tensor<4> {
        let mode = Mode { dropout, recompute: self.recompute };
        let (_, _, encoded) = self.encoded(&noisy, sigma, condition, &mode);
        logits(encoded.last())
    }

    fn force_weight_normalization(self) -> Self {
        if self.config.is_edm2() { self.map(&mut ForcedNormalization) } else { self }
    }

    fn parameter_names(&self) -> Vec<String> {
        self.entries.iter().filter(|e| e.is_parameter()).map(|e| e.name.clone()).collect()
    }
}
