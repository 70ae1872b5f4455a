//! The pieces of the Stable Diffusion autoencoder. Activations are `[n, h, w, c]`; weights are asked for in the
//! order of registration.

use burn::tensor::Tensor;

use super::registry::{Init, Registry};
use crate::{Result, kernels};

/// Added to the variance of every group normalisation.
const EPS: f64 = 1e-6;

/// The tensor of this name, in f32.
fn tensor<const D: usize>(registry: &mut Registry, name: &str, shape: [usize; D]) -> Result<Tensor<D>> {
    // Never drawn, so any distribution will do.
    Ok(registry.parameter(name, shape, Init::ZERO)?.into_value())
}

/// A convolution with bias.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    weight: Tensor<4>,
    bias: Tensor<1>,
}

impl Conv {
    /// `{name}.weight` `[outputs, inputs, side, side]` and `{name}.bias` `[outputs]`.
    pub(super) fn load(
        registry: &mut Registry,
        name: &str,
        inputs: usize,
        outputs: usize,
        side: usize,
    ) -> Result<Self> {
        Ok(Self {
            weight: tensor(registry, &format!("{name}.weight"), [outputs, inputs, side, side])?,
            bias: tensor(registry, &format!("{name}.bias"), [outputs])?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::conv2d(x, self.weight.clone(), Some(self.bias.clone()))
    }

    /// Halves the resolution: zeros to the right and below, then a stride of two without padding.
    fn forward_halving(&self, x: Tensor<4>) -> Tensor<4> {
        let x = x.pad([(0, 1), (0, 1), (0, 0)], 0.0);
        kernels::conv2d_with(x, self.weight.clone(), Some(self.bias.clone()), 2, [0, 0])
    }

    /// Doubles the resolution first, by repeating every pixel.
    fn forward_doubling(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let x = x.reshape([n * h, 1, w, c]).repeat_dim(1, 2);
        let x = x.reshape([n * 2 * h * w, 1, 1, c]).repeat_dim(1, 2);
        self.forward(x.reshape([n, 2 * h, 2 * w, c]))
    }
}

/// A group normalisation.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    groups: usize,
    weight: Tensor<1>,
    bias: Tensor<1>,
}

impl Norm {
    pub(super) fn load(registry: &mut Registry, name: &str, groups: usize, channels: usize) -> Result<Self> {
        Ok(Self {
            groups,
            weight: tensor(registry, &format!("{name}.weight"), [channels])?,
            bias: tensor(registry, &format!("{name}.bias"), [channels])?,
        })
    }

    /// With a SiLU behind it where asked for.
    pub(super) fn forward(&self, x: Tensor<4>, silu: bool) -> Tensor<4> {
        let norm = kernels::GroupNorm {
            groups: self.groups,
            eps: EPS,
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            shift_before: None,
            scale_shift: None,
            silu,
        };
        kernels::group_norm(x, norm)
    }
}

/// x + conv2(SiLU(norm2(conv1(SiLU(norm1(x)))))), with a 1x1 convolution of x where the width changes.
#[derive(Clone, Debug)]
pub(super) struct Resnet {
    norm1: Norm,
    conv1: Conv,
    norm2: Norm,
    conv2: Conv,
    conv_shortcut: Option<Conv>,
}

impl Resnet {
    fn load(
        registry: &mut Registry,
        name: &str,
        groups: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        Ok(Self {
            norm1: Norm::load(registry, &format!("{name}.norm1"), groups, inputs)?,
            conv1: Conv::load(registry, &format!("{name}.conv1"), inputs, outputs, 3)?,
            norm2: Norm::load(registry, &format!("{name}.norm2"), groups, outputs)?,
            conv2: Conv::load(registry, &format!("{name}.conv2"), outputs, outputs, 3)?,
            conv_shortcut: if inputs == outputs {
                None
            } else {
                Some(Conv::load(registry, &format!("{name}.conv_shortcut"), inputs, outputs, 1)?)
            },
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = self.conv1.forward(self.norm1.forward(x.clone(), true));
        let h = self.conv2.forward(self.norm2.forward(h, true));
        let x = match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        kernels::weighted_sum(x, 1.0, h, 1.0, None)
    }
}

/// Self-attention with one head over all channels.
#[derive(Clone, Debug)]
struct Attention {
    group_norm: Norm,
    /// Channel 3 i + j is component i of query, key, value, as the attention kernel wants it.
    qkv: Conv,
    out: Conv,
}

impl Attention {
    fn load(registry: &mut Registry, name: &str, groups: usize, channels: usize) -> Result<Self> {
        let group_norm = Norm::load(registry, &format!("{name}.group_norm"), groups, channels)?;
        let mut linear = |part: &str| -> Result<(Tensor<2>, Tensor<1>)> {
            let weight = tensor(registry, &format!("{name}.{part}.weight"), [channels, channels])?;
            Ok((weight, tensor(registry, &format!("{name}.{part}.bias"), [channels])?))
        };
        let (mut filters, mut biases) = (Vec::new(), Vec::new());
        for part in ["to_q", "to_k", "to_v"] {
            let (weight, bias) = linear(part)?;
            filters.push(weight);
            biases.push(bias);
        }
        let (weight, bias) = linear("to_out.0")?;
        Ok(Self {
            group_norm,
            qkv: Conv {
                weight: Tensor::stack::<3>(filters, 1).reshape([3 * channels, channels, 1, 1]),
                bias: Tensor::stack::<2>(biases, 1).reshape([3 * channels]),
            },
            out: Conv { weight: weight.reshape([channels, channels, 1, 1]), bias },
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let qkv = self.qkv.forward(self.group_norm.forward(x.clone(), false));
        let h = self.out.forward(kernels::attention(qkv, 1, None));
        kernels::weighted_sum(x, 1.0, h, 1.0, None)
    }
}

/// The middle of encoder and decoder.
#[derive(Clone, Debug)]
pub(super) struct MidBlock {
    attention: Attention,
    resnets: [Resnet; 2],
}

impl MidBlock {
    pub(super) fn load(registry: &mut Registry, name: &str, groups: usize, channels: usize) -> Result<Self> {
        let attention = Attention::load(registry, &format!("{name}.attentions.0"), groups, channels)?;
        let mut resnet =
            |i: usize| Resnet::load(registry, &format!("{name}.resnets.{i}"), groups, channels, channels);
        Ok(Self { attention, resnets: [resnet(0)?, resnet(1)?] })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [first, last] = &self.resnets;
        last.forward(self.attention.forward(first.forward(x)))
    }
}

/// Residual blocks of one resolution, and what changes the resolution behind them.
#[derive(Clone, Debug)]
pub(super) struct Level {
    resnets: Vec<Resnet>,
    resample: Option<Resample>,
}

/// Half or double the resolution.
#[derive(Clone, Debug)]
enum Resample {
    Down(Conv),
    Up(Conv),
}

/// The sizes of a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelSize {
    /// Number of residual blocks.
    pub(super) blocks: usize,
    /// Groups of every normalisation.
    pub(super) groups: usize,
    /// Channels in.
    pub(super) inputs: usize,
    /// Channels out.
    pub(super) outputs: usize,
    /// Whether the resolution changes behind the blocks.
    pub(super) resamples: bool,
}

impl Level {
    /// A level of the encoder.
    pub(super) fn load_down(registry: &mut Registry, name: &str, size: LevelSize) -> Result<Self> {
        let resnets = Self::resnets(registry, name, size)?;
        let name = format!("{name}.downsamplers.0.conv");
        let mut conv = || Conv::load(registry, &name, size.outputs, size.outputs, 3).map(Resample::Down);
        let resample = if size.resamples { Some(conv()?) } else { None };
        Ok(Self { resnets, resample })
    }

    /// A level of the decoder.
    pub(super) fn load_up(registry: &mut Registry, name: &str, size: LevelSize) -> Result<Self> {
        let resnets = Self::resnets(registry, name, size)?;
        let name = format!("{name}.upsamplers.0.conv");
        let mut conv = || Conv::load(registry, &name, size.outputs, size.outputs, 3).map(Resample::Up);
        let resample = if size.resamples { Some(conv()?) } else { None };
        Ok(Self { resnets, resample })
    }

    fn resnets(registry: &mut Registry, name: &str, size: LevelSize) -> Result<Vec<Resnet>> {
        let resnet = |i: usize| {
            let inputs = if i == 0 { size.inputs } else { size.outputs };
            Resnet::load(registry, &format!("{name}.resnets.{i}"), size.groups, inputs, size.outputs)
        };
        (0..size.blocks).map(resnet).collect()
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, resnet| resnet.forward(x));
        match &self.resample {
            Some(Resample::Down(conv)) => conv.forward_halving(x),
            Some(Resample::Up(conv)) => conv.forward_doubling(x),
            None => x,
        }
    }
}
