//! `Edm2Block`: the residual block of EDM2's magnitude-preserving UNet, with optional self-attention.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use super::{
    denoiser::Dropout,
    edm2_config::Edm2Config,
    layers::{Resample, cast},
    masks::drop_activations,
    mp_layers::{EPS, MpConv, MpDense, mp_sum, pixel_norm},
    registry::{Init, Registry},
    skeleton::{Kind, Layer},
};
use crate::{Result, kernels};

/// Where a block stands: the encoder normalises its input, the decoder does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    Encoder,
    Decoder,
}

/// A residual block.
#[derive(Module, Debug)]
pub(crate) struct Edm2Block {
    emb_gain: Param<Tensor<1>>,
    conv_res0: MpConv,
    emb_linear: MpDense,
    conv_res1: MpConv,
    conv_skip: Option<MpConv>,
    attn_qkv: Option<MpConv>,
    attn_proj: Option<MpConv>,
    #[module(skip)]
    settings: Settings,
    /// Whether the input is concatenated with an activation of the encoder.
    pub(crate) merges: bool,
}

/// What a block has besides its weights.
#[derive(Clone, Debug)]
struct Settings {
    flavor: Flavor,
    resample: Resample,
    heads: usize,
    res_balance: f64,
    attn_balance: f64,
    clip_act: Option<f64>,
    dropout: f64,
    /// The full name, which is part of the key of its dropout masks.
    name: String,
}

impl Edm2Block {
    /// Registers the block that the skeleton asks for, within the current path.
    pub(crate) fn new(
        registry: &mut Registry,
        layer: &Layer,
        config: &Edm2Config,
        flavor: Flavor,
    ) -> Result<Self> {
        let Layer { c_in, c_out, .. } = *layer;
        let heads = if layer.attention { c_out / config.channels_per_head } else { 0 };
        let c_res = if flavor == Flavor::Encoder { c_out } else { c_in };
        let conv = |channels, kernel| move |r: &mut Registry| MpConv::new(r, channels, kernel);
        Ok(Self {
            emb_gain: registry.scalar("emb_gain", Init::ZERO)?,
            conv_res0: registry.within("conv_res0", conv([c_res, c_out], 3))?,
            emb_linear: registry.within("emb_linear", |r| MpDense::new(r, [config.emb_channels(), c_out]))?,
            conv_res1: registry.within("conv_res1", conv([c_out, c_out], 3))?,
            conv_skip: registry.optional(c_in != c_out, "conv_skip", conv([c_in, c_out], 1))?,
            attn_qkv: registry.optional(heads > 0, "attn_qkv", conv([c_out, 3 * c_out], 1))?,
            attn_proj: registry.optional(heads > 0, "attn_proj", conv([c_out, c_out], 1))?,
            settings: Settings {
                flavor,
                resample: Resample::of(layer.kind, &config.resample_filter),
                heads,
                res_balance: config.res_balance,
                attn_balance: config.attn_balance,
                clip_act: config.clip_act,
                dropout: config.dropout,
                name: registry.module_name().to_owned(),
            },
            merges: layer.kind == Kind::Merge,
        })
    }

    /// x `[n, h, w, c_in]`, emb `[n, emb_channels]` => `[n, h', w', c_out]`
    pub(crate) fn forward(&self, x: Tensor<4>, emb: &Tensor<2>, dropout: &Dropout) -> Tensor<4> {
        let settings = &self.settings;
        let x = settings.resample.apply(x);
        let skipped = |x: Tensor<4>| match &self.conv_skip {
            Some(conv) => conv.forward(x),
            None => x,
        };
        let (x, y) = match settings.flavor {
            Flavor::Encoder => {
                let x = pixel_norm(skipped(x));
                (x.clone(), x)
            }
            Flavor::Decoder => (skipped(x.clone()), x),
        };
        let y = self.conv_res0.forward(kernels::mp_silu(y, None));
        let gain = self.emb_linear.forward_with(emb.clone(), Some(self.emb_gain.val())) + 1.0;
        let y = kernels::mp_silu(y.clone(), Some(cast(gain, y.dtype())));
        let y = drop_activations(y, settings.dropout, &settings.name, dropout);
        let y = self.conv_res1.forward(y);
        match (&self.attn_qkv, &self.attn_proj) {
            (Some(qkv), Some(proj)) => {
                let x = mp_sum(x, y, settings.res_balance, None);
                let y = proj.forward(kernels::attention(qkv.forward(x.clone()), settings.heads, Some(EPS)));
                mp_sum(x, y, settings.attn_balance, settings.clip_act)
            }
            _ => mp_sum(x, y, settings.res_balance, settings.clip_act),
        }
    }
}
