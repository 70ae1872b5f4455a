//! `Edm2UNet`: EDM2's magnitude-preserving UNet (Karras et al. 2024), the raw network F.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use super::{
    edm2_block::{Edm2Block, Flavor},
    edm2_config::Edm2Config,
    encoded::Encoded,
    layers::cast,
    mode::Mode,
    mp_layers::{MpConv, MpDense, MpFourier, mp_cat, mp_silu, mp_sum_embeddings},
    registry::{Init, Registry},
    skeleton::{Layer, Skeleton, blocks},
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

impl Edm2UNet {
    /// Registers the network within the current path.
    pub(crate) fn new(registry: &mut Registry, config: &Edm2Config, skeleton: &Skeleton) -> Result<Self> {
        let (cn, ce) = (config.noise_channels(), config.emb_channels());
        let block = |flavor| move |r: &mut Registry, layer: &Layer| Edm2Block::new(r, layer, config, flavor);
        let out_gain = registry.scalar("out_gain", Init::ZERO)?;
        let emb_fourier = registry.within("emb_fourier", |r| MpFourier::new(r, cn))?;
        let emb_noise = registry.within("emb_noise", |r| MpDense::new(r, [cn, ce]))?;
        let classes = config.label_dim;
        let emb_label = registry.optional(classes > 0, "emb_label", |r| MpDense::new(r, [classes, ce]))?;
        let (enc_conv, enc) = registry.within("enc", |r| {
            // A constant channel stands in for biases.
            let channels = [config.img_channels + 1, skeleton.conv_channels];
            let conv = r.within(&skeleton.conv, |r| MpConv::new(r, channels, 3))?;
            Ok((conv, blocks(r, &skeleton.encoder, block(Flavor::Encoder))?))
        })?;
        let dec = registry.within("dec", |r| blocks(r, &skeleton.decoder, block(Flavor::Decoder)))?;
        let channels = [skeleton.out_channels, config.img_channels];
        let out_conv = registry.within("out_conv", |r| MpConv::new(r, channels, 3))?;
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

    /// The conditioning vector, as `UNet::embed` says.
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

    /// x `[n, h, w, img_channels]` => the encoder's activations
    pub(crate) fn encode(&self, x: Tensor<4>, emb: &Tensor<2>, mode: &Mode) -> Encoded {
        let [n, h, w, _] = x.dims();
        let ones = cast(Tensor::ones([n, h, w, 1], &x.device()), x.dtype());
        let x = self.enc_conv.forward(kernels::concat(x, 1.0, ones, 1.0));
        Encoded::walk(x, &self.enc, |block, x| mode.block(block, x, emb, Edm2Block::forward))
    }

    /// The encoder's activations => F `[n, h, w, img_channels]`
    pub(crate) fn decode(&self, mut encoded: Encoded, emb: &Tensor<2>, mode: &Mode) -> Tensor<4> {
        let x = self.dec.iter().fold(encoded.last(), |x, block| {
            let x = if block.merges { mp_cat(x, encoded.take(), self.concat_balance) } else { x };
            mode.block(block, x, emb, Edm2Block::forward)
        });
        self.out_conv.forward_with(x, Some(self.out_gain.val()))
    }
}
