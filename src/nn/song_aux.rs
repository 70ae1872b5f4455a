//! How DDPM++ and NCSN++ pass images beside their blocks: into the encoder's levels and out of the decoder's.

use burn::{module::Module, tensor::Tensor};

use super::{
    layers::{Conv2d, GroupNorm, Resample},
    registry::Registry,
    skeleton::Layer,
    song_unet_config::{DecoderType, EncoderType, SongUNetConfig},
    unet_block::Style,
};
use crate::{Result, kernels};

/// What the image adds to a level of the encoder, behind the block that halves the resolution.
#[derive(Module, Debug)]
pub(crate) enum Input {
    Skip(Skip),
    Residual(Conv2d),
}

/// A convolution of the shrunken image.
#[derive(Module, Debug)]
pub(crate) struct Skip {
    #[module(skip)]
    down: Resample,
    conv: Conv2d,
}

impl Input {
    /// Registers what the encoder's type asks for, within the encoder's path. `channels` are those of the image,
    /// or of what has become of it.
    pub(crate) fn new(
        r: &mut Registry,
        config: &SongUNetConfig,
        layer: &Layer,
        channels: &mut usize,
    ) -> Result<Option<Self>> {
        let init = Style::Song.init();
        let down = Resample::Down(config.resample_filter.clone());
        let [c_in, c_out] = [*channels, layer.c_out];
        match config.encoder_type {
            EncoderType::Standard => Ok(None),
            EncoderType::Skip => {
                r.within(&name(layer, "down"), |r| down.register(r))?;
                let conv = r.within(&name(layer, "skip"), |r| {
                    Conv2d::new(r, [c_in, c_out], 1, init, Resample::Keep)
                })?;
                Ok(Some(Self::Skip(Skip { down, conv })))
            }
            EncoderType::Residual => {
                *channels = c_out;
                let conv = |r: &mut Registry| Conv2d::new(r, [c_in, c_out], 3, init, down);
                r.within(&name(layer, "residual"), conv).map(Self::Residual).map(Some)
            }
        }
    }

    /// x and the image `[n, h, w, c]` => x with the image, which becomes what the next level sees of it
    pub(crate) fn forward(&self, x: Tensor<4>, image: &mut Tensor<4>) -> Tensor<4> {
        match self {
            Self::Skip(Skip { down, conv }) => {
                *image = down.apply(image.clone());
                x + conv.forward(image.clone())
            }
            Self::Residual(conv) => {
                let half = 0.5f64.sqrt();
                *image = kernels::weighted_sum(x, half, conv.forward_fused_down(image.clone()), half, None);
                image.clone()
            }
        }
    }
}

/// What makes an image of a level of the decoder.
#[derive(Module, Debug)]
pub(crate) struct Output {
    #[module(skip)]
    up: Resample,
    norm: GroupNorm,
    conv: Conv2d,
}

impl Output {
    /// Registers the output behind a level's last block, within the decoder's path, where the decoder's type asks
    /// for one.
    pub(crate) fn new(
        r: &mut Registry,
        config: &SongUNetConfig,
        layer: &Layer,
        out_channels: usize,
    ) -> Result<Option<Self>> {
        let skips = config.decoder_type == DecoderType::Skip;
        if layer.level > 0 && !skips {
            return Ok(None);
        }
        let mut up = Resample::Keep;
        if skips && layer.level + 1 < config.channel_mult.len() {
            up = Resample::Up(config.resample_filter.clone());
            r.within(&name(layer, "up"), |r| up.register(r))?;
        }
        let norm = |r: &mut Registry| GroupNorm::new(r, layer.c_out, Style::Song.eps());
        let norm = r.within(&name(layer, "norm"), norm)?;
        let (channels, init) = ([layer.c_out, out_channels], Style::Song.init_zero());
        let conv = |r: &mut Registry| Conv2d::new(r, channels, 3, init, Resample::Keep);
        let conv = r.within(&name(layer, "conv"), conv)?;
        Ok(Some(Self { up, norm, conv }))
    }

    /// x `[n, h, w, c]` and the image of the levels below => the image `[n, h, w, out_channels]`
    pub(crate) fn forward(&self, x: Tensor<4>, below: Option<Tensor<4>>) -> Tensor<4> {
        let below = below.map(|image| self.up.apply(image));
        let part = self.conv.forward(self.norm.forward(x, true));
        match below {
            Some(below) => part + below,
            None => part,
        }
    }
}

fn name(layer: &Layer, what: &str) -> String {
    format!("{0}x{0}_aux_{what}", layer.resolution)
}
