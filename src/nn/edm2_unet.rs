//! `Edm2UNet`: EDM2's magnitude-preserving UNet (Karras et al. 2024), the raw network F.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use super::{
    denoiser::Dropout,
    edm2_block::{Edm2Block, Flavor},
    edm2_config::Edm2Config,
    layers::cast,
    mp_layers::{MpConv, MpDense, MpFourier, mp_cat, mp_silu, mp_sum_embeddings},
    registry::{Init, Registry},
    skeleton::Layer,
};
use crate::{Result, kernels};

/// The UNet.
#[derive(Module, Debug)]
pub(crate) struct Edm2UNet {
    out_gain: Param<Tensor<1>>,
    emb_fourier: MpFourier,
    emb_noise: MpDense,
    emb_label: Option<MpDense>,
    enc_conv: MpConv,
    enc: Vec<Edm2Block>,
    dec: Vec<Edm2Block>,
    out_conv: MpConv,
    label_balance: f64,
    concat_balance: f64,
}

/// What the encoder leaves for the decoder.
pub(crate) struct Encoded {
    /// The last activation. `[n, h, w, c]`
    pub x: Tensor<4>,
    skips: Vec<Tensor<4>>,
}

impl Edm2UNet {
    /// Registers the network within the current path.
    pub(crate) fn new(registry: &mut Registry, config: &Edm2Config) -> Result<Self> {
        let (cn, ce) = (config.noise_channels(), config.emb_channels());
        let skeleton = config.skeleton();
        let block = |r: &mut Registry, layer: &Layer, flavor| {
            r.within(&layer.name, |r| Edm2Block::new(r, layer, config, flavor))
        };
        let out_gain = registry.scalar("out_gain", Init::ZERO)?;
        let emb_fourier = registry.within("emb_fourier", |r| MpFourier::new(r, cn))?;
        let emb_noise = registry.within("emb_noise", |r| MpDense::new(r, [cn, ce]))?;
        let emb_label = match config.label_dim {
            0 => None,
            classes => Some(registry.within("emb_label", |r| MpDense::new(r, [classes, ce]))?),
        };
        let (enc_conv, enc) = registry.within("enc", |r| {
            let (first, blocks) = skeleton.encoder.split_first().expect("an encoder has a first layer");
            // A constant channel stands in for biases.
            let conv =
                r.within(&first.name, |r| MpConv::new(r, [config.img_channels + 1, first.c_out], 3))?;
            let blocks: Result<Vec<_>> =
                blocks.iter().map(|layer| block(r, layer, Flavor::Encoder)).collect();
            Ok((conv, blocks?))
        })?;
        let dec = registry.within("dec", |r| {
            skeleton.decoder.iter().map(|layer| block(r, layer, Flavor::Decoder)).collect()
        })?;
        let last = skeleton.decoder.last().map_or(0, |layer| layer.c_out);
        let out_conv = registry.within("out_conv", |r| MpConv::new(r, [last, config.img_channels], 3))?;
        Ok(Self {
            out_gain,
            emb_fourier,
            emb_noise,
            emb_label,
            enc_conv,
            enc,
            dec,
            out_conv,
            label_balance: config.label_balance,
            concat_balance: config.concat_balance,
        })
    }

    /// The conditioning vector. `c_noise` `[n]`, `class_labels` `[n or 1, classes]` => `[n, emb_channels]`
    pub(crate) fn embed(&self, c_noise: Tensor<1>, class_labels: Option<Tensor<2>>) -> Tensor<2> {
        let emb = self.emb_noise.forward(self.emb_fourier.forward(c_noise));
        let emb = match (&self.emb_label, class_labels) {
            (Some(layer), Some(labels)) => {
                let scale = (labels.dims()[1] as f64).sqrt();
                mp_sum_embeddings(emb, layer.forward(labels * scale), self.label_balance)
            }
            _ => emb,
        };
        mp_silu(emb)
    }

    /// x `[n, h, w, img_channels]`
    pub(crate) fn encode(&self, x: Tensor<4>, emb: &Tensor<2>, dropout: Dropout) -> Encoded {
        let [n, h, w, _] = x.dims();
        let ones = cast(Tensor::ones([n, h, w, 1], &x.device()), x.dtype());
        let mut x = self.enc_conv.forward(kernels::concat(x, 1.0, ones, 1.0));
        let mut skips = vec![x.clone()];
        for block in &self.enc {
            x = block.forward(x, emb, dropout);
            skips.push(x.clone());
        }
        Encoded { x, skips }
    }

    /// => F `[n, h, w, img_channels]`
    pub(crate) fn decode(&self, encoded: Encoded, emb: &Tensor<2>, dropout: Dropout) -> Tensor<4> {
        let Encoded { mut x, mut skips } = encoded;
        for block in &self.dec {
            if block.merges {
                let skip = skips.pop().expect("the decoder merges as often as the encoder leaves something");
                x = mp_cat(x, skip, self.concat_balance);
            }
            x = block.forward(x, emb, dropout);
        }
        self.out_conv.forward_with(x, Some(self.out_gain.val()))
    }
}
