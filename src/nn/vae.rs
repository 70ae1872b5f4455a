//! The autoencoder of Stable Diffusion (diffusers' `AutoencoderKL`), in whose latents EDM2 works at 512 pixels.

use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    registry::{Entry, Registry},
    vae_layers::{Conv, Level, LevelSize, MidBlock, Norm},
};
use crate::{Result, kernels, state_dict::StateDict};

/// The architecture of a Stable Diffusion autoencoder. The defaults are `stabilityai/sd-vae-ft-mse`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VaeConfig {
    /// Channels of the images that are encoded.
    #[schemars(range(min = 1))]
    pub in_channels: usize,
    /// Channels of the images that are decoded.
    #[schemars(range(min = 1))]
    pub out_channels: usize,
    /// Channels of the latents.
    #[schemars(range(min = 1))]
    pub latent_channels: usize,
    /// Width of every level, from the finest; between two levels the resolution halves.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks per level of the encoder; the decoder has one more.
    #[schemars(range(min = 1))]
    pub layers_per_block: usize,
    /// Groups of every group normalisation.
    #[schemars(range(min = 1))]
    pub norm_num_groups: usize,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            norm_num_groups: 32,
        }
    }
}

impl VaeConfig {
    /// Widths of encoder level `i` and the one before it.
    fn widths(&self, i: usize) -> (usize, usize) {
        (self.block_out_channels[i.saturating_sub(1)], self.block_out_channels[i])
    }

    fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    fn first(&self) -> usize {
        self.block_out_channels[0]
    }

    fn last(&self) -> usize {
        self.block_out_channels[self.levels() - 1]
    }

    /// How many pixels one latent covers along each axis.
    pub fn downscale(&self) -> usize {
        1 << (self.levels() - 1)
    }

    /// Names, shapes and order of all tensors.
    pub fn shapes(&self) -> Vec<Entry> {
        let mut registry = Registry::shapes();
        let listed = Vae::build(self, &mut registry).and_then(|_| registry.finish());
        listed.expect("a list of shapes lacks nothing")
    }

    /// Encoder level i, from the finest.
    fn down(&self, i: usize) -> LevelSize {
        let (inputs, outputs) = self.widths(i);
        let (blocks, groups) = (self.layers_per_block, self.norm_num_groups);
        LevelSize { blocks, groups, inputs, outputs, resamples: i + 1 < self.levels() }
    }

    /// Decoder level i, from the coarsest.
    fn up(&self, i: usize) -> LevelSize {
        let width = |i: usize| self.block_out_channels[self.levels() - 1 - i];
        let (blocks, groups) = (self.layers_per_block + 1, self.norm_num_groups);
        let (inputs, outputs) = (width(i.saturating_sub(1)), width(i));
        LevelSize { blocks, groups, inputs, outputs, resamples: i + 1 < self.levels() }
    }
}

/// Pixels to moments.
#[derive(Clone, Debug)]
struct Encoder {
    conv_in: Conv,
    down_blocks: Vec<Level>,
    mid_block: MidBlock,
    conv_norm_out: Norm,
    conv_out: Conv,
}

/// Latents to pixels.
#[derive(Clone, Debug)]
struct Decoder {
    conv_in: Conv,
    up_blocks: Vec<Level>,
    mid_block: MidBlock,
    conv_norm_out: Norm,
    conv_out: Conv,
}

/// The autoencoder. Its tensors are public as `[n, c, h, w]`.
#[derive(Clone, Debug)]
pub struct Vae {
    encoder: Encoder,
    decoder: Decoder,
    quant_conv: Conv,
    post_quant_conv: Conv,
}

impl Vae {
    /// Loads weights under diffusers' names; old checkpoints' names of the attention layers are known too.
    ///
    /// # Errors
    ///
    /// Tensors that are missing, unexpected or of another shape.
    pub fn load(config: &VaeConfig, dict: &StateDict, origin: &str, device: &Device) -> Result<Self> {
        let dict = dict.iter().map(|(name, data)| (current_name(name), data.clone())).collect();
        let mut registry = Registry::weights(&dict, origin, device);
        let vae = Self::build(config, &mut registry)?;
        registry.finish()?;
        Ok(vae)
    }

    /// Asks for all tensors in the order of registration.
    fn build(config: &VaeConfig, registry: &mut Registry) -> Result<Self> {
        let (first, last) = (config.first(), config.last());
        let (latents, groups) = (config.latent_channels, config.norm_num_groups);
        let encoder = Encoder {
            conv_in: Conv::load(registry, "encoder.conv_in", config.in_channels, first, 3)?,
            down_blocks: (0..config.levels())
                .map(|i| Level::load_down(registry, &format!("encoder.down_blocks.{i}"), config.down(i)))
                .collect::<Result<_>>()?,
            mid_block: MidBlock::load(registry, "encoder.mid_block", groups, last)?,
            conv_norm_out: Norm::load(registry, "encoder.conv_norm_out", groups, last)?,
            conv_out: Conv::load(registry, "encoder.conv_out", last, 2 * latents, 3)?,
        };
        let decoder = Decoder {
            conv_in: Conv::load(registry, "decoder.conv_in", latents, last, 3)?,
            up_blocks: (0..config.levels())
                .map(|i| Level::load_up(registry, &format!("decoder.up_blocks.{i}"), config.up(i)))
                .collect::<Result<_>>()?,
            mid_block: MidBlock::load(registry, "decoder.mid_block", groups, last)?,
            conv_norm_out: Norm::load(registry, "decoder.conv_norm_out", groups, first)?,
            conv_out: Conv::load(registry, "decoder.conv_out", first, config.out_channels, 3)?,
        };
        let quant_conv = Conv::load(registry, "quant_conv", 2 * latents, 2 * latents, 1)?;
        let post_quant_conv = Conv::load(registry, "post_quant_conv", latents, latents, 1)?;
        Ok(Self { encoder, decoder, quant_conv, post_quant_conv })
    }

    /// Mean and log-variance of the latents, concatenated. pixels in [0, 1] (as EDM2 feeds them),
    /// `[n, 3, h, w]` => `[n, 2 latents, h / 8, w / 8]`
    pub fn moments(&self, pixels: Tensor<4>) -> Tensor<4> {
        let encoder = &self.encoder;
        let x = encoder.conv_in.forward(kernels::to_nhwc(pixels));
        let x = encoder.down_blocks.iter().fold(x, |x, level| level.forward(x));
        let x = encoder.conv_norm_out.forward(encoder.mid_block.forward(x), true);
        kernels::to_nchw(self.quant_conv.forward(encoder.conv_out.forward(x)))
    }

    /// The distribution of the latents, as (mean, log-variance); the latter is kept within [-30, 20].
    /// pixels in [0, 1], `[n, 3, h, w]` => each `[n, latents, h / 8, w / 8]`
    pub fn encode(&self, pixels: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let moments = self.moments(pixels);
        let latents = moments.dims()[1] / 2;
        let mean = moments.clone().narrow(1, 0, latents);
        (mean, moments.narrow(1, latents, latents).clamp(-30.0, 20.0))
    }

    /// Pixels, about [0, 1]. latents `[n, latents, h, w]` => `[n, 3, 8 h, 8 w]`
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let decoder = &self.decoder;
        let x = decoder.conv_in.forward(self.post_quant_conv.forward(kernels::to_nhwc(latents)));
        let x = decoder.up_blocks.iter().fold(decoder.mid_block.forward(x), |x, level| level.forward(x));
        kernels::to_nchw(decoder.conv_out.forward(decoder.conv_norm_out.forward(x, true)))
    }
}

/// Today's name of a tensor that old checkpoints call differently.
fn current_name(name: &str) -> String {
    let Some((block, part)) = name.split_once(".attentions.0.") else { return name.to_owned() };
    let part = match part.split_once('.') {
        Some(("query", rest)) => format!("to_q.{rest}"),
        Some(("key", rest)) => format!("to_k.{rest}"),
        Some(("value", rest)) => format!("to_v.{rest}"),
        Some(("proj_attn", rest)) => format!("to_out.0.{rest}"),
        _ => part.to_owned(),
    };
    format!("{block}.attentions.0.{part}")
}
