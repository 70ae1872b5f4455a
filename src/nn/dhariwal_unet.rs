//! `DhariwalUNet`: ADM (Dhariwal and Nichol 2021), as EDM uses it.

use burn::{module::Module, tensor::Tensor};

use super::{
    adm_config::AdmConfig,
    denoiser::Dropout,
    embedding::Embedding,
    layers::{Conv2d, Dense, GroupNorm, LayerInit, Resample},
    masks::drop_labels,
    registry::Registry,
    song_unet::Encoded,
    unet_block::{BlockSettings, Style, UNetBlock},
};
use crate::{
    Result,
    kernels::{self, silu},
};

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
    pub(crate) fn new(registry: &mut Registry, config: &AdmConfig, out_channels: usize) -> Result<Self> {
        let (init, init_zero) = (Style::Adm.init(), Style::Adm.init_zero());
        let noise = config.model_channels;
        let emb = config.model_channels * config.channel_mult_emb;
        let settings = BlockSettings {
            style: Style::Adm,
            emb_channels: emb,
            dropout: config.dropout,
            resample_filter: vec![1.0, 1.0],
        };
        let skeleton = config.skeleton();
        let map_augment = (config.augment_dim > 0).then(|| {
            registry.within("map_augment", |r| Dense::without_bias(r, [config.augment_dim, noise], init_zero))
        });
        let map_augment = map_augment.transpose()?;
        let map_layer0 = registry.within("map_layer0", |r| Dense::new(r, [noise, emb], init))?;
        let map_layer1 = registry.within("map_layer1", |r| Dense::new(r, [emb, emb], init))?;
        let label_init = LayerInit::KaimingNormal((config.label_dim as f64).sqrt());
        let map_label = (config.label_dim > 0).then(|| {
            registry.within("map_label", |r| Dense::without_bias(r, [config.label_dim, emb], label_init))
        });
        let map_label = map_label.transpose()?;
        let (conv_in, enc) = registry.within("enc", |r| {
            let (first, blocks) =
                skeleton.encoder.split_first().expect("the encoder begins with a convolution");
            let channels = [config.img_channels, first.c_out];
            let conv_in = r.within(&first.name, |r| Conv2d::new(r, channels, 3, init, Resample::Keep))?;
            let blocks = blocks.iter().map(|l| r.within(&l.name, |r| UNetBlock::new(r, l, &settings)));
            Ok((conv_in, blocks.collect::<Result<Vec<_>>>()?))
        })?;
        let dec = registry.within("dec", |r| {
            let blocks = skeleton.decoder.iter();
            blocks.map(|l| r.within(&l.name, |r| UNetBlock::new(r, l, &settings))).collect::<Result<Vec<_>>>()
        })?;
        let width = skeleton.decoder.last().expect("the decoder has blocks").c_out;
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

    /// The conditioning vector. `c_noise` `[n]`, labels `[n, classes]` or one row, augment `[n, 9]`
    pub(crate) fn embed(
        &self,
        c_noise: Tensor<1>,
        class_labels: Option<Tensor<2>>,
        augment_labels: Option<Tensor<2>>,
        dropout: Dropout,
    ) -> Tensor<2> {
        let mut emb = self.map_noise.forward(c_noise);
        if let (Some(map), Some(labels)) = (&self.map_augment, augment_labels) {
            emb = emb + map.forward(labels);
        }
        let mut emb = self.map_layer1.forward(silu(self.map_layer0.forward(emb)));
        if let (Some(map), Some(labels)) = (&self.map_label, class_labels) {
            emb = emb + map.forward(drop_labels(labels, self.label_dropout, dropout));
        }
        silu(emb)
    }

    /// x `[n, h, w, c]` => the encoder's activations
    pub(crate) fn encode(&self, x: Tensor<4>, emb: &Tensor<2>, dropout: Dropout) -> Encoded {
        let mut x = self.conv_in.forward(x);
        let mut skips = vec![x.clone()];
        for block in &self.enc {
            x = block.forward(x, emb, dropout);
            skips.push(x.clone());
        }
        Encoded { x, skips }
    }

    /// The encoder's activations => F `[n, h, w, out_channels]`
    pub(crate) fn decode(&self, encoded: Encoded, emb: &Tensor<2>, dropout: Dropout) -> Tensor<4> {
        let Encoded { mut x, mut skips } = encoded;
        for block in &self.dec {
            if block.merges {
                let skip = skips.pop().expect("one activation of the encoder per merging block");
                x = kernels::concat(x, 1.0, skip, 1.0);
            }
            x = block.forward(x, emb, dropout);
        }
        self.out_conv.forward(self.out_norm.forward(x, true))
    }
}
