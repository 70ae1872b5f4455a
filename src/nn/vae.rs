//! The autoencoder of Stable Diffusion (diffusers' `AutoencoderKL`), in whose latents EDM2 works at 512 pixels.

use burn::tensor::{Device, Tensor};

use super::{
    layers::{Conv2d, GroupNorm},
    registry::{Entry, Registry},
    vae_layers::{Level, LevelSize, MidBlock, Way, conv, norm},
};
use crate::{Result, kernels, state_dict::StateDict};

/// The architecture of a Stable Diffusion autoencoder. The defaults are `stabilityai/sd-vae-ft-mse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaeConfig {
    /// Channels of the images that are encoded.
    pub in_channels: usize,
    /// Channels of the images that are decoded.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Width of every level, from the finest; between two levels the resolution halves.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks per level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every group normalisation.
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
    /// The same with the widths that weights have, so that a narrower autoencoder of the same build needs no settings.
    /// A width that they do not say, or that the groups do not divide, stays; `Vae::load` then says what is wrong.
    #[must_use]
    pub fn with_widths_of(mut self, weights: &StateDict) -> Self {
        let groups = self.norm_num_groups;
        for (i, width) in self.block_out_channels.iter_mut().enumerate() {
            let first = weights.get(&format!("encoder.down_blocks.{i}.resnets.0.conv1.weight"));
            let found = first.and_then(|data| data.shape().first().copied());
            *width = found.filter(|found| *found > 0 && found.is_multiple_of(groups)).unwrap_or(*width);
        }
        self
    }

    /// Names, shapes and order of all tensors.
    pub fn shapes(&self) -> Vec<Entry> {
        let mut registry = Registry::shapes();
        let listed = Vae::build(self, &mut registry).and_then(|_| registry.finish());
        listed.expect("a list of shapes lacks nothing")
    }
}

/// Pixels to moments, or latents to pixels.
#[derive(Clone, Debug)]
struct Half {
    conv_in: Conv2d,
    levels: Vec<Level>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Half {
    /// Asks for the tensors within the current path, from `inputs` channels to `outputs`.
    fn load(r: &mut Registry, config: &VaeConfig, way: Way, [inputs, outputs]: [usize; 2]) -> Result<Self> {
        let groups = config.norm_num_groups;
        let mut widths = config.block_out_channels.clone();
        let deepest = widths[widths.len() - 1];
        let (list, blocks) = match way {
            Way::Down => ("down_blocks", config.layers_per_block),
            Way::Up => {
                widths.reverse();
                ("up_blocks", config.layers_per_block + 1)
            }
        };
        let last = widths[widths.len() - 1];
        let level = |r: &mut Registry, i: usize| {
            let (inputs, outputs) = (widths[i.saturating_sub(1)], widths[i]);
            let size = LevelSize { blocks, groups, inputs, outputs, resamples: i + 1 < widths.len() };
            r.within(&format!("{list}.{i}"), |r| Level::load(r, way, size))
        };
        Ok(Self {
            conv_in: conv(r, "conv_in", [inputs, widths[0]], 3)?,
            levels: (0..widths.len()).map(|i| level(r, i)).collect::<Result<_>>()?,
            mid_block: MidBlock::load(r, "mid_block", groups, deepest)?,
            conv_norm_out: norm(r, "conv_norm_out", groups, last)?,
            conv_out: conv(r, "conv_out", [last, outputs], 3)?,
        })
    }

    fn through_levels(&self, x: Tensor<4>) -> Tensor<4> {
        self.levels.iter().fold(x, |x, level| level.forward(x))
    }
}

/// The autoencoder. Its tensors are public as `[n, c, h, w]`.
#[derive(Clone, Debug)]
pub struct Vae {
    encoder: Half,
    decoder: Half,
    quant_conv: Conv2d,
    post_quant_conv: Conv2d,
    device: Device,
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
        let latents = config.latent_channels;
        let (encoder, decoder) = ([config.in_channels, 2 * latents], [latents, config.out_channels]);
        let encoder = registry.within("encoder", |r| Half::load(r, config, Way::Down, encoder))?;
        let decoder = registry.within("decoder", |r| Half::load(r, config, Way::Up, decoder))?;
        let quant_conv = conv(registry, "quant_conv", [2 * latents, 2 * latents], 1)?;
        let post_quant_conv = conv(registry, "post_quant_conv", [latents, latents], 1)?;
        Ok(Self { encoder, decoder, quant_conv, post_quant_conv, device: registry.device().clone() })
    }

    /// Where its weights are, and what it works on has to be.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Mean and log-variance of the latents, concatenated. pixels in [0, 1] (as EDM2 feeds them),
    /// `[n, 3, h, w]` => `[n, 2 latents, h / 8, w / 8]`
    pub fn moments(&self, pixels: Tensor<4>) -> Tensor<4> {
        let encoder = &self.encoder;
        let x = encoder.through_levels(encoder.conv_in.forward(kernels::to_nhwc(pixels)));
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
        let x = decoder.through_levels(decoder.mid_block.forward(x));
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

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn weights(config: &VaeConfig) -> StateDict {
        let zeros = |entry: Entry| (entry.name, TensorData::zeros::<f32, _>(entry.shape));
        config.shapes().into_iter().map(zeros).collect()
    }

    #[test]
    fn widths_are_those_of_the_weights_and_what_is_no_width_is_left_to_loading() {
        let device = Device::flex();
        let small = VaeConfig { block_out_channels: vec![32, 64, 32, 32], ..VaeConfig::default() };
        let mut dict = weights(&small);
        assert_eq!(VaeConfig::default().with_widths_of(&dict), small);
        assert!(Vae::load(&small, &dict, "a", &device).is_ok());
        let first = "encoder.down_blocks.1.resnets.0.conv1.weight";
        for shape in [vec![40, 32, 3, 3], vec![0], vec![]] {
            dict.insert(first.to_owned(), TensorData::zeros::<f32, _>(shape));
            let config = VaeConfig::default().with_widths_of(&dict);
            assert_eq!(config.block_out_channels, [32, 256, 32, 32]);
            let error = Vae::load(&config, &dict, "a", &device).unwrap_err().to_string();
            assert!(error.contains("down_blocks.1.resnets.0"), "{error}");
        }
    }
}
