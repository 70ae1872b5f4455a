//! `SongUNet`: DDPM++ and NCSN++ (Song et al. 2021), as EDM uses them.

use burn::{module::Module, tensor::Tensor};

use super::{
    denoiser::{Condition, Dropout},
    embedding::Embedding,
    encoded::Encoded,
    layers::{Conv2d, Dense, Resample},
    masks::drop_labels,
    mode::Mode,
    registry::Registry,
    skeleton::{Kind, Layer, Skeleton},
    song_aux::{Input, Output},
    song_unet_config::{EmbeddingType, SongUNetConfig},
    unet_block::{BlockSettings, Style, UNetBlock},
};
use crate::{Result, kernels::silu};

/// The raw network F of DDPM++ and NCSN++.
#[derive(Module, Debug)]
pub(crate) struct SongUNet {
    map_noise: Embedding,
    map_label: Option<Dense>,
    map_augment: Option<Dense>,
    map_layer0: Dense,
    map_layer1: Dense,
    conv_in: Conv2d,
    enc: Vec<EncoderLayer>,
    dec: Vec<DecoderLayer>,
    label_dropout: f64,
}

/// A block of the encoder, with what the image adds behind it.
#[derive(Module, Debug)]
struct EncoderLayer {
    block: UNetBlock,
    input: Option<Input>,
}

/// A block of the decoder, with the image that is made behind it.
#[derive(Module, Debug)]
struct DecoderLayer {
    block: UNetBlock,
    output: Option<Output>,
}

impl SongUNet {
    /// Registers the network within the current path; `out_channels` is twice the image's for improved DDPM.
    pub(crate) fn new(
        registry: &mut Registry,
        config: &SongUNetConfig,
        skeleton: &Skeleton,
        out_channels: usize,
    ) -> Result<Self> {
        let settings = BlockSettings {
            style: Style::Song,
            emb_channels: config.model_channels * config.channel_mult_emb,
            dropout: config.dropout,
            resample_filter: config.resample_filter.clone(),
        };
        let init = Style::Song.init();
        let noise = config.model_channels * config.channel_mult_noise;
        let emb = settings.emb_channels;
        let map_noise = match config.embedding_type {
            EmbeddingType::Positional => Embedding::positional(noise, true, true),
            EmbeddingType::Fourier => registry.within("map_noise", |r| Embedding::fourier(r, noise))?,
        };
        let map_label = registry.optional(config.label_dim > 0, "map_label", |r| {
            Dense::new(r, [config.label_dim, noise], init)
        })?;
        let map_augment = registry.optional(config.augment_dim > 0, "map_augment", |r| {
            Dense::without_bias(r, [config.augment_dim, noise], init)
        })?;
        let map_layer0 = registry.within("map_layer0", |r| Dense::new(r, [noise, emb], init))?;
        let map_layer1 = registry.within("map_layer1", |r| Dense::new(r, [emb, emb], init))?;
        let (conv_in, enc) = registry.within("enc", |r| {
            let channels = [config.img_channels, skeleton.conv_channels];
            let conv_in = r.within(&skeleton.conv, |r| Conv2d::new(r, channels, 3, init, Resample::Keep))?;
            Ok((conv_in, encoder(r, config, skeleton, &settings)?))
        })?;
        Ok(Self {
            map_noise,
            map_label,
            map_augment,
            map_layer0,
            map_layer1,
            conv_in,
            enc,
            dec: registry.within("dec", |r| decoder(r, config, skeleton, &settings, out_channels))?,
            label_dropout: config.label_dropout,
        })
    }

    /// The conditioning vector, as `UNet::embed` says.
    pub(crate) fn embed(&self, c_noise: Tensor<1>, condition: Condition, dropout: &Dropout) -> Tensor<2> {
        let mut emb = self.map_noise.forward(c_noise);
        if let (Some(map), Some(labels)) = (&self.map_label, condition.class_labels) {
            let scale = (labels.dims()[1] as f64).sqrt();
            emb = emb + map.forward(drop_labels(labels, self.label_dropout, dropout) * scale);
        }
        if let (Some(map), Some(labels)) = (&self.map_augment, condition.augment_labels) {
            emb = emb + map.forward(labels);
        }
        silu(self.map_layer1.forward(silu(self.map_layer0.forward(emb))))
    }

    /// x `[n, h, w, c]` => the encoder's activations
    pub(crate) fn encode(&self, x: Tensor<4>, emb: &Tensor<2>, mode: &Mode) -> Encoded {
        let mut image = x.clone();
        Encoded::walk(self.conv_in.forward(x), &self.enc, |layer, x| {
            let x = mode.block(&layer.block, x, emb, UNetBlock::forward);
            match &layer.input {
                Some(input) => input.forward(x, &mut image),
                None => x,
            }
        })
    }

    /// The encoder's activations => F `[n, h, w, out_channels]`
    pub(crate) fn decode(&self, mut encoded: Encoded, emb: &Tensor<2>, mode: &Mode) -> Tensor<4> {
        let mut image = None;
        self.dec.iter().fold(encoded.last(), |x, layer| {
            let x = layer.block.merged(x, &mut encoded);
            let x = mode.block(&layer.block, x, emb, UNetBlock::forward);
            if let Some(output) = &layer.output {
                image = Some(output.forward(x.clone(), image.take()));
            }
            x
        });
        image.expect("an image is made behind the last block")
    }
}

fn encoder(
    r: &mut Registry,
    config: &SongUNetConfig,
    skeleton: &Skeleton,
    settings: &BlockSettings,
) -> Result<Vec<EncoderLayer>> {
    let mut channels = config.img_channels;
    let layer = |layer: &Layer| {
        let block = r.within(&layer.name, |r| UNetBlock::new(r, layer, settings))?;
        let shrinks = layer.kind == Kind::Down;
        let input = if shrinks { Input::new(r, config, layer, &mut channels)? } else { None };
        Ok(EncoderLayer { block, input })
    };
    skeleton.encoder.iter().map(layer).collect()
}

fn decoder(
    r: &mut Registry,
    config: &SongUNetConfig,
    skeleton: &Skeleton,
    settings: &BlockSettings,
    out_channels: usize,
) -> Result<Vec<DecoderLayer>> {
    let layer = |(i, layer): (usize, &Layer)| {
        let block = r.within(&layer.name, |r| UNetBlock::new(r, layer, settings))?;
        let ends_level = skeleton.decoder.get(i + 1).is_none_or(|next| next.level != layer.level);
        let output = if ends_level { Output::new(r, config, layer, out_channels)? } else { None };
        Ok(DecoderLayer { block, output })
    };
    skeleton.decoder.iter().enumerate().map(layer).collect()
}
