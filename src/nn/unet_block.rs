//! `UNetBlock`: the residual block of DDPM++, NCSN++ and ADM, with optional self-attention.

use burn::{module::Module, tensor::Tensor};

use super::{
    adm_config::CHANNELS_PER_HEAD,
    denoiser::Dropout,
    encoded::Encoded,
    layers::{Conv2d, Dense, GroupNorm, LayerInit, Resample},
    masks::drop_activations,
    registry::Registry,
    skeleton::{Kind, Layer},
};
use crate::{Result, kernels};

/// Which family a block belongs to; they differ in five details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// DDPM++ and NCSN++: sums are scaled by sqrt(1/2), the embedding is added, one head.
    Song,
    /// ADM: sums are plain, the embedding scales and shifts, a head per 64 channels.
    Adm,
}

impl Style {
    /// The initial distribution of most layers.
    pub(crate) fn init(self) -> LayerInit {
        match self {
            Self::Song => LayerInit::XavierUniform(1.0),
            Self::Adm => LayerInit::KaimingUniform((1f64 / 3.0).sqrt()),
        }
    }

    /// The initial distribution of layers that end a residual path: nearly or exactly zero.
    pub(crate) fn init_zero(self) -> LayerInit {
        match self {
            Self::Song => LayerInit::XavierUniform(1e-5),
            Self::Adm => LayerInit::KaimingUniform(0.0),
        }
    }

    fn init_attention(self) -> LayerInit {
        match self {
            Self::Song => LayerInit::XavierUniform(0.2f64.sqrt()),
            Self::Adm => self.init(),
        }
    }

    /// Added to the variance in normalisations.
    pub(crate) fn eps(self) -> f64 {
        match self {
            Self::Song => 1e-6,
            Self::Adm => 1e-5,
        }
    }

    fn heads(self, channels: usize) -> usize {
        match self {
            Self::Song => 1,
            Self::Adm => channels / CHANNELS_PER_HEAD,
        }
    }
}

/// What all blocks of one network have in common.
#[derive(Clone, Debug)]
pub(crate) struct BlockSettings {
    pub style: Style,
    /// Width of the conditioning vector.
    pub emb_channels: usize,
    /// Share of activations that training drops.
    pub dropout: f64,
    /// The filter of blocks that change the resolution.
    pub resample_filter: Vec<f32>,
}

/// A residual block.
#[derive(Module, Debug)]
pub(crate) struct UNetBlock {
    norm0: GroupNorm,
    conv0: Conv2d,
    affine: Dense,
    norm1: GroupNorm,
    conv1: Conv2d,
    skip: Option<Conv2d>,
    norm2: Option<GroupNorm>,
    qkv: Option<Conv2d>,
    proj: Option<Conv2d>,
    /// What happens to the input on its way to the sum where there is no `skip` convolution.
    #[module(skip)]
    resample: Resample,
    #[module(skip)]
    style: Style,
    heads: usize,
    dropout: f64,
    /// The full name, which is part of the key of its dropout masks.
    name: String,
    /// Whether the input is concatenated with an activation of the encoder.
    pub(crate) merges: bool,
}

impl UNetBlock {
    /// Registers the block that the skeleton asks for, within the current path.
    pub(crate) fn new(registry: &mut Registry, layer: &Layer, settings: &BlockSettings) -> Result<Self> {
        let Layer { c_in, c_out, .. } = *layer;
        let style = settings.style;
        let (init, eps) = (style.init(), style.eps());
        let resample = Resample::of(layer.kind, &settings.resample_filter);
        let affine_outputs = if style == Style::Adm { 2 * c_out } else { c_out };
        let heads = if layer.attention { style.heads(c_out) } else { 0 };
        let conv =
            |r: &mut Registry, channels, kernel, init| Conv2d::new(r, channels, kernel, init, Resample::Keep);

        let norm0 = registry.within("norm0", |r| GroupNorm::new(r, c_in, eps))?;
        let conv0 = registry.within("conv0", |r| Conv2d::new(r, [c_in, c_out], 3, init, resample.clone()))?;
        let affine =
            registry.within("affine", |r| Dense::new(r, [settings.emb_channels, affine_outputs], init))?;
        let norm1 = registry.within("norm1", |r| GroupNorm::new(r, c_out, eps))?;
        let conv1 = registry.within("conv1", |r| conv(r, [c_out, c_out], 3, style.init_zero()))?;
        let resamples = resample != Resample::Keep;
        let skip = registry.within("skip", |r| {
            if c_in != c_out || resamples && style == Style::Song {
                Conv2d::new(r, [c_in, c_out], 1, init, resample.clone()).map(Some)
            } else {
                resample.register(r)?;
                Ok(None)
            }
        })?;
        Ok(Self {
            norm0,
            conv0,
            affine,
            norm1,
            conv1,
            skip,
            norm2: registry.optional(heads > 0, "norm2", |r| GroupNorm::new(r, c_out, eps))?,
            qkv: registry
                .optional(heads > 0, "qkv", |r| conv(r, [c_out, 3 * c_out], 1, style.init_attention()))?,
            proj: registry.optional(heads > 0, "proj", |r| conv(r, [c_out, c_out], 1, style.init_zero()))?,
            resample,
            style,
            heads,
            dropout: settings.dropout,
            name: registry.module_name().to_owned(),
            merges: layer.kind == Kind::Merge,
        })
    }

    /// Where a block of the decoder begins: at what came before, x, with an activation of the encoder behind it
    /// where the block merges. `[n, h, w, c_in]`
    pub(crate) fn merged(&self, x: Tensor<4>, encoded: &mut Encoded) -> Tensor<4> {
        if self.merges { kernels::concat(x, 1.0, encoded.take(), 1.0) } else { x }
    }

    /// x `[n, h, w, c_in]`, emb `[n, emb_channels]` => `[n, h', w', c_out]`
    pub(crate) fn forward(&self, x: Tensor<4>, emb: &Tensor<2>, dropout: &Dropout) -> Tensor<4> {
        let scale = match self.style {
            Style::Song => 0.5f64.sqrt(),
            Style::Adm => 1.0,
        };
        let h = self.conv0.forward(self.norm0.forward(x.clone(), true));
        let condition = self.affine.forward(emb.clone());
        let norm1 = kernels::GroupNorm { silu: true, ..self.norm1.settings() };
        let norm1 = match self.style {
            Style::Song => kernels::GroupNorm { shift_before: Some(condition), ..norm1 },
            Style::Adm => kernels::GroupNorm { scale_shift: Some(condition), ..norm1 },
        };
        let h = kernels::group_norm(h, norm1);
        let h = self.conv1.forward(drop_activations(h, self.dropout, &self.name, dropout));
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => self.resample.apply(x),
        };
        let x = kernels::weighted_sum(x, scale, h, scale, None);
        let (Some(norm2), Some(qkv), Some(proj)) = (&self.norm2, &self.qkv, &self.proj) else { return x };
        let attended = kernels::attention(qkv.forward(norm2.forward(x.clone(), false)), self.heads, None);
        kernels::weighted_sum(x, scale, proj.forward(attended), scale, None)
    }
}
