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
        registry.within(name, |r| {
            Ok(Self {
                weight: tensor(r, "weight", [outputs, inputs, side, side])?,
                bias: tensor(r, "bias", [outputs])?,
            })
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
        registry.within(name, |r| {
            Ok(Self {
                groups,
                weight: tensor(r, "weight", [channels])?,
                bias: tensor(r, "bias", [channels])?,
            })
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
        registry.within(name, |r| {
            Ok(Self {
                norm1: Norm::load(r, "norm1", groups, inputs)?,
                conv1: Conv::load(r, "conv1", inputs, outputs, 3)?,
                norm2: Norm::load(r, "norm2", groups, outputs)?,
                conv2: Conv::load(r, "conv2", outputs, outputs, 3)?,
                conv_shortcut: if inputs == outputs {
                    None
                } else {
                    Some(Conv::load(r, "conv_shortcut", inputs, outputs, 1)?)
                },
            })
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
    /// Loads the layers within the current path.
    fn load(registry: &mut Registry, groups: usize, channels: usize) -> Result<Self> {
        let group_norm = Norm::load(registry, "group_norm", groups, channels)?;
        let mut linear = |part: &str| {
            registry.within(part, |r| {
                Ok((tensor(r, "weight", [channels, channels])?, tensor(r, "bias", [channels])?))
            })
        };
        let parts = [linear("to_q")?, linear("to_k")?, linear("to_v")?];
        let (filters, biases): (Vec<Tensor<2>>, Vec<Tensor<1>>) = parts.into_iter().unzip();
        let (weight, bias): (Tensor<2>, _) = linear("to_out.0")?;
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
        registry.within(name, |r| {
            let attention = r.within("attentions.0", |r| Attention::load(r, groups, channels))?;
            let mut resnet = |name: &str| Resnet::load(r, name, groups, channels, channels);
            Ok(Self { attention, resnets: [resnet("resnets.0")?, resnet("resnets.1")?] })
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [first, last] = &self.resnets;
        last.forward(self.attention.forward(first.forward(x)))
    }
}

/// Where levels lead.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// To half the resolution each.
    Down,
    /// To double the resolution each.
    Up,
}

/// Residual blocks of one resolution, and what changes the resolution behind them.
#[derive(Clone, Debug)]
pub(super) struct Level {
    resnets: Vec<Resnet>,
    resample: Option<Conv>,
    way: Way,
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
    /// Loads the level within the current path.
    pub(super) fn load(registry: &mut Registry, way: Way, size: LevelSize) -> Result<Self> {
        let LevelSize { blocks, groups, inputs, outputs, resamples } = size;
        let resnet = |i: usize| {
            let inputs = if i == 0 { inputs } else { outputs };
            Resnet::load(registry, &format!("resnets.{i}"), groups, inputs, outputs)
        };
        let resnets = (0..blocks).map(resnet).collect::<Result<_>>()?;
        let resampler = match way {
            Way::Down => "downsamplers.0",
            Way::Up => "upsamplers.0",
        };
        let conv = |r: &mut Registry| Conv::load(r, "conv", outputs, outputs, 3);
        Ok(Self { resnets, resample: registry.optional(resamples, resampler, conv)?, way })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, resnet| resnet.forward(x));
        match (&self.resample, self.way) {
            (Some(conv), Way::Down) => conv.forward_halving(x),
            (Some(conv), Way::Up) => conv.forward_doubling(x),
            (None, _) => x,
        }
    }
}
