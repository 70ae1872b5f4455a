//! `SongUNet`: DDPM++ and NCSN++ (Song et al. 2021), as EDM uses them.

use burn::{module::Module, tensor::Tensor};

use super::{
    denoiser::Dropout,
    embedding::Embedding,
    layers::{Conv2d, Dense, GroupNorm, Resample},
    masks::drop_labels,
    registry::Registry,
    skeleton::{Kind, Layer},
    song_unet_config::{DecoderType, EmbeddingType, EncoderType, SongUNetConfig},
    unet_block::{BlockSettings, Style, UNetBlock},
};
use crate::{
    Result,
    kernels::{self, silu},
};

/// The raw network F of DDPM++ and NCSN++.
#[derive(Module, Debug)]
pub(crate) struct SongUNet {
    map_noise: Embedding,
    map_label: Option<Dense>,
    map_augment: Option<Dense>,
    map_layer0: Dense,
    map_layer1: Dense,
    enc: Vec<EncoderLayer>,
    dec: Vec<DecoderLayer>,
    label_dim: usize,
    label_dropout: f64,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "most layers are blocks")]
enum EncoderLayer {
    Conv(Conv2d),
    Block(UNetBlock),
    AuxDown(Resampler),
    AuxSkip(Conv2d),
    AuxResidual(Conv2d),
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "most layers are blocks")]
enum DecoderLayer {
    Block(UNetBlock),
    AuxUp(Resampler),
    AuxNorm(GroupNorm),
    AuxConv(Conv2d),
}

/// A change of resolution without weights.
#[derive(Module, Debug)]
struct Resampler {
    #[module(skip)]
    resample: Resample,
}

/// What an encoder leaves behind.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    /// The last activation. `[n, h, w, c]`
    pub x: Tensor<4>,
    /// What the decoder concatenates, last first.
    pub skips: Vec<Tensor<4>>,
}

impl SongUNet {
    /// Registers the network within the current path; `out_channels` is twice the image's for improved DDPM.
    pub(crate) fn new(registry: &mut Registry, config: &SongUNetConfig, out_channels: usize) -> Result<Self> {
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
        let map_label = (config.label_dim > 0)
            .then(|| registry.within("map_label", |r| Dense::new(r, [config.label_dim, noise], init)));
        let map_label = map_label.transpose()?;
        let map_augment = (config.augment_dim > 0).then(|| {
            registry.within("map_augment", |r| Dense::without_bias(r, [config.augment_dim, noise], init))
        });
        Ok(Self {
            map_noise,
            map_label,
            map_augment: map_augment.transpose()?,
            map_layer0: registry.within("map_layer0", |r| Dense::new(r, [noise, emb], init))?,
            map_layer1: registry.within("map_layer1", |r| Dense::new(r, [emb, emb], init))?,
            enc: registry.within("enc", |r| encoder(r, config, &settings))?,
            dec: registry.within("dec", |r| decoder(r, config, &settings, out_channels))?,
            label_dim: config.label_dim,
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
        if let (Some(map), Some(labels)) = (&self.map_label, class_labels) {
            let labels = drop_labels(labels, self.label_dropout, dropout);
            emb = emb + map.forward(labels * (self.label_dim as f64).sqrt());
        }
        if let (Some(map), Some(labels)) = (&self.map_augment, augment_labels) {
            emb = emb + map.forward(labels);
        }
        silu(self.map_layer1.forward(silu(self.map_layer0.forward(emb))))
    }

    /// x `[n, h, w, c]` => the encoder's activations
    pub(crate) fn encode(&self, x: Tensor<4>, emb: &Tensor<2>, dropout: Dropout) -> Encoded {
        let mut aux = x.clone();
        let mut x = x;
        let mut skips: Vec<Tensor<4>> = Vec::with_capacity(self.enc.len());
        for layer in &self.enc {
            match layer {
                EncoderLayer::Conv(conv) => {
                    x = conv.forward(x);
                    skips.push(x.clone());
                }
                EncoderLayer::Block(block) => {
                    x = block.forward(x, emb, dropout);
                    skips.push(x.clone());
                }
                EncoderLayer::AuxDown(down) => aux = down.resample.apply(aux),
                EncoderLayer::AuxSkip(conv) => {
                    x = x + conv.forward(aux.clone());
                    replace_last(&mut skips, &x);
                }
                EncoderLayer::AuxResidual(conv) => {
                    let half = 0.5f64.sqrt();
                    x = kernels::weighted_sum(x, half, conv.forward_fused_down(aux), half, None);
                    aux = x.clone();
                    replace_last(&mut skips, &x);
                }
            }
        }
        Encoded { x, skips }
    }

    /// The encoder's activations => F `[n, h, w, out_channels]`
    pub(crate) fn decode(&self, encoded: Encoded, emb: &Tensor<2>, dropout: Dropout) -> Tensor<4> {
        let Encoded { mut x, mut skips } = encoded;
        let mut normalised: Option<Tensor<4>> = None;
        let mut image: Option<Tensor<4>> = None;
        for layer in &self.dec {
            match layer {
                DecoderLayer::Block(block) => {
                    if block.merges {
                        let skip = skips.pop().expect("one activation of the encoder per merging block");
                        x = kernels::concat(x, 1.0, skip, 1.0);
                    }
                    x = block.forward(x, emb, dropout);
                }
                DecoderLayer::AuxUp(up) => image = image.map(|image| up.resample.apply(image)),
                DecoderLayer::AuxNorm(norm) => normalised = Some(norm.forward(x.clone(), true)),
                DecoderLayer::AuxConv(conv) => {
                    let part = conv.forward(normalised.take().expect("a norm stands before the convolution"));
                    image = Some(match image {
                        Some(image) => part + image,
                        None => part,
                    });
                }
            }
        }
        image.expect("the decoder ends with an output convolution")
    }
}

fn replace_last(skips: &mut [Tensor<4>], x: &Tensor<4>) {
    *skips.last_mut().expect("auxiliary layers stand behind a block") = x.clone();
}

fn encoder(r: &mut Registry, config: &SongUNetConfig, settings: &BlockSettings) -> Result<Vec<EncoderLayer>> {
    let init = Style::Song.init();
    let down = || Resample::Down(config.resample_filter.clone());
    let mut layers = Vec::new();
    let mut aux_channels = config.img_channels;
    for layer in &config.skeleton().encoder {
        let Layer { name, kind, resolution, c_out, .. } = layer;
        if *kind == Kind::Conv {
            let channels = [config.img_channels, *c_out];
            let conv = r.within(name, |r| Conv2d::new(r, channels, 3, init, Resample::Keep))?;
            layers.push(EncoderLayer::Conv(conv));
            continue;
        }
        layers.push(EncoderLayer::Block(r.within(name, |r| UNetBlock::new(r, layer, settings))?));
        if *kind != Kind::Down {
            continue;
        }
        let aux = |what: &str| format!("{resolution}x{resolution}_aux_{what}");
        match config.encoder_type {
            EncoderType::Standard => {}
            EncoderType::Skip => {
                layers.push(EncoderLayer::AuxDown(Resampler::new(r, &aux("down"), down())?));
                let channels = [aux_channels, *c_out];
                let conv = r.within(&aux("skip"), |r| Conv2d::new(r, channels, 1, init, Resample::Keep))?;
                layers.push(EncoderLayer::AuxSkip(conv));
            }
            EncoderType::Residual => {
                let channels = [aux_channels, *c_out];
                let conv = r.within(&aux("residual"), |r| Conv2d::new(r, channels, 3, init, down()))?;
                layers.push(EncoderLayer::AuxResidual(conv));
                aux_channels = *c_out;
            }
        }
    }
    Ok(layers)
}

fn decoder(
    r: &mut Registry,
    config: &SongUNetConfig,
    settings: &BlockSettings,
    out_channels: usize,
) -> Result<Vec<DecoderLayer>> {
    let skeleton = config.skeleton();
    let lowest = config.channel_mult.len() - 1;
    let mut layers = Vec::new();
    for (i, layer) in skeleton.decoder.iter().enumerate() {
        layers.push(DecoderLayer::Block(r.within(&layer.name, |r| UNetBlock::new(r, layer, settings))?));
        let ends_level = skeleton.decoder.get(i + 1).is_none_or(|next| next.level != layer.level);
        if !ends_level || config.decoder_type == DecoderType::Standard && layer.level > 0 {
            continue;
        }
        let aux = |what: &str| format!("{0}x{0}_aux_{what}", layer.resolution);
        if config.decoder_type == DecoderType::Skip && layer.level < lowest {
            let up = Resample::Up(config.resample_filter.clone());
            layers.push(DecoderLayer::AuxUp(Resampler::new(r, &aux("up"), up)?));
        }
        let norm = r.within(&aux("norm"), |r| GroupNorm::new(r, layer.c_out, Style::Song.eps()))?;
        layers.push(DecoderLayer::AuxNorm(norm));
        let channels = [layer.c_out, out_channels];
        let init = Style::Song.init_zero();
        let conv = r.within(&aux("conv"), |r| Conv2d::new(r, channels, 3, init, Resample::Keep))?;
        layers.push(DecoderLayer::AuxConv(conv));
    }
    Ok(layers)
}

impl Resampler {
    fn new(registry: &mut Registry, name: &str, resample: Resample) -> Result<Self> {
        registry.within(name, |r| resample.register(r))?;
        Ok(Self { resample })
    }
}
