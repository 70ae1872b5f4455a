//! The autoencoder of Stable Diffusion (diffusers' `AutoencoderKL`), in whose latents EDM2 works at 512 pixels.

use burn::tensor::{Device, Tensor};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    vae_layers::{Conv, Level, LevelSize, MidBlock, Norm},
    weights::Weights,
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

    /// Names and shapes of all tensors, in the order of registration.
    pub fn tensors(&self) -> IndexMap<String, Vec<usize>> {
        let device = Device::flex();
        let weights = Weights::nowhere(&device);
        Vae::build(self, &weights).expect("nothing is missing where nothing is read");
        weights.into_taken()
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
        let weights = Weights::new(&dict, origin, device);
        let vae = Self::build(config, &weights)?;
        weights.finish(|_| false)?;
        Ok(vae)
    }

    fn build(config: &VaeConfig, weights: &Weights<'_>) -> Result<Self> {
        let conv = |name: &str, inputs: usize, outputs: usize, side: usize| {
            Conv::load(weights, name, inputs, outputs, side)
        };
        let norm = |name: &str, channels| Norm::load(weights, name, config.norm_num_groups, channels);
        let mid = |name: &str| MidBlock::load(weights, name, config.norm_num_groups, config.last());
        let down = |i| Level::load_down(weights, &format!("encoder.down_blocks.{i}"), config.down(i));
        let up = |i| Level::load_up(weights, &format!("decoder.up_blocks.{i}"), config.up(i));
        let latents = config.latent_channels;
        Ok(Self {
            encoder: Encoder {
                conv_in: conv("encoder.conv_in", config.in_channels, config.first(), 3)?,
                down_blocks: (0..config.levels()).map(down).collect::<Result<_>>()?,
                mid_block: mid("encoder.mid_block")?,
                conv_norm_out: norm("encoder.conv_norm_out", config.last())?,
                conv_out: conv("encoder.conv_out", config.last(), 2 * latents, 3)?,
            },
            decoder: Decoder {
                conv_in: conv("decoder.conv_in", latents, config.last(), 3)?,
                up_blocks: (0..config.levels()).map(up).collect::<Result<_>>()?,
                mid_block: mid("decoder.mid_block")?,
                conv_norm_out: norm("decoder.conv_norm_out", config.first())?,
                conv_out: conv("decoder.conv_out", config.first(), config.out_channels, 3)?,
            },
            quant_conv: conv("quant_conv", 2 * latents, 2 * latents, 1)?,
            post_quant_conv: conv("post_quant_conv", latents, latents, 1)?,
        })
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
