//! `DhariwalUNet`: ADM (Dhariwal and Nichol 2021), as EDM uses it.

use burn::{module::Module, tensor::Tensor};

use super::{
    adm_config::AdmConfig,
    denoiser::{Condition, Dropout},
    embedding::Embedding,
    encoded::Encoded,
    layers::{Conv2d, Dense, GroupNorm, LayerInit, Resample},
    masks::drop_labels,
    mode::Mode,
    registry::Registry,
    skeleton::{Layer, Skeleton, blocks},
    unet_block::{BlockSettings, Style, UNetBlock},
};
use crate::{Result, kernels::silu};

/// The raw network F of ADM.
#[derive(Module, Debug)]
pub(crate) struct DhariwalUNet {
    map_noise: Embedding,
    map_augment: Option<Dense>,
    map_layer0: Dense,
    map_layer1: Dense,
    map_label: Option<Dense>,
    /// The encoder's first layer.
    conv_in: Conv2d,
    /// The encoder's blocks.
    enc: Vec<UNetBlock>,
    dec: Vec<UNetBlock>,
    out_norm: GroupNorm,
    out_conv: Conv2d,
    label_dropout: f64,
}

impl DhariwalUNet {
    /// Registers the network within the current path; `out_channels` is twice the image's for improved DDPM.
    pub(crate) fn new(
        registry: &mut Registry,
        config: &AdmConfig,
        skeleton: &Skeleton,
        out_channels: usize,
    ) -> Result<Self> {
        let (init, init_zero) = (Style::Adm.init(), Style::Adm.init_zero());
        let noise = config.model_channels;
        let emb = config.model_channels * config.channel_mult_emb;
        let settings = BlockSettings {
            style: Style::Adm,
            emb_channels: emb,
            dropout: config.dropout,
            resample_filter: vec![1.0, 1.0],
        };
        let block = |r: &mut Registry, layer: &Layer| UNetBlock::new(r, layer, &settings);
        let map_augment = registry.optional(config.augment_dim > 0, "map_augment", |r| {
            Dense::without_bias(r, [config.augment_dim, noise], init_zero)
        })?;
        let map_layer0 = registry.within("map_layer0", |r| Dense::new(r, [noise, emb], init))?;
        let map_layer1 = registry.within("map_layer1", |r| Dense::new(r, [emb, emb], init))?;
        let label_init = LayerInit::KaimingNormal((config.label_dim as f64).sqrt());
        let map_label = registry.optional(config.label_dim > 0, "map_label", |r| {
            Dense::without_bias(r, [config.label_dim, emb], label_init)
        })?;
        let (conv_in, enc) = registry.within("enc", |r| {
            let channels = [config.img_channels, skeleton.conv_channels];
            let conv_in = r.within(&skeleton.conv, |r| Conv2d::new(r, channels, 3, init, Resample::Keep))?;
            Ok((conv_in, blocks(r, &skeleton.encoder, block)?))
        })?;
        let dec = registry.within("dec", |r| blocks(r, &skeleton.decoder, block))?;
        let width = skeleton.out_channels;
        Ok(Self {
            map_noise: Embedding::positional(noise, false, false),
            map_augment,
            map_layer0,
            map_layer1,
            map_label,
            conv_in,
            enc,
            dec,
            out_norm: registry.within("out_norm", |r| GroupNorm::new(r, width, Style::Adm.eps()))?,
            out_conv: registry.within("out_conv", |r| {
                Conv2d::new(r, [width, out_channels], 3, init_zero, Resample::Keep)
            })?,
            label_dropout: config.label_dropout,
        })
    }

    /// The conditioning vector, as `UNet::embed` says.
    pub(crate) fn embed(&self, c_noise: Tensor<1>, condition: Condition, dropout: &Dropout) -> Tensor<2> {
        let mut emb = self.map_noise.forward(c_noise);
        if let (Some(map), Some(labels)) = (&self.map_augment, condition.augment_labels) {
            emb = emb + map.forward(labels);
        }
        let mut emb = self.map_layer1.forward(silu(self.map_layer0.forward(emb)));
        if let (Some(map), Some(labels)) = (&self.map_label, condition.class_labels) {
            emb = emb + map.forward(drop_labels(labels, self.label_dropout, dropout));
        }
        silu(emb)
    }

    /// x `[n, h, w, c]` => the encoder's activations
    pub(crate) fn encode(&self, x: Tensor<4>, emb: &Tensor<2>, mode: &Mode) -> Encoded {
        Encoded::walk(self.conv_in.forward(x), &self.enc, |block, x| {
            mode.block(block, x, emb, UNetBlock::forward)
        })
    }

    /// The encoder's activations => F `[n, h, w, out_channels]`
    pub(crate) fn decode(&self, mut encoded: Encoded, emb: &Tensor<2>, mode: &Mode) -> Tensor<4> {
        let x = self.dec.iter().fold(encoded.last(), |x, block| {
            mode.block(block, block.merged(x, &mut encoded), emb, UNetBlock::forward)
        });
        self.out_conv.forward(self.out_norm.forward(x, true))
    }
}
