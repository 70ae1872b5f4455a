//! The pieces of the Stable Diffusion autoencoder. Activations are `[n, h, w, c]`; weights are asked for in the
//! order of registration.

use burn::tensor::Tensor;

use super::{
    layers::{Conv2d, GroupNorm, LayerInit, Resample},
    registry::{Init, Registry},
};
use crate::{Result, kernels};

/// Added to the variance of every group normalisation.
const EPS: f64 = 1e-6;

/// Never drawn, so any distribution will do.
const UNDRAWN: LayerInit = LayerInit::KaimingNormal(0.0);

/// A convolution with a kernel of `side` by `side`.
pub(super) fn conv(r: &mut Registry, name: &str, channels: [usize; 2], side: usize) -> Result<Conv2d> {
    r.within(name, |r| Conv2d::new(r, channels, side, UNDRAWN, Resample::Keep))
}

/// A group normalisation.
pub(super) fn norm(r: &mut Registry, name: &str, groups: usize, channels: usize) -> Result<GroupNorm> {
    r.within(name, |r| GroupNorm::with_groups(r, groups, channels, EPS))
}

/// Every pixel four times. `[n, h, w, c]` => `[n, 2 h, 2 w, c]`
fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let x = x.reshape([n * h, 1, w, c]).repeat_dim(1, 2);
    let x = x.reshape([n * 2 * h * w, 1, 1, c]).repeat_dim(1, 2);
    x.reshape([n, 2 * h, 2 * w, c])
}

/// x + conv2(SiLU(norm2(conv1(SiLU(norm1(x)))))), with a 1x1 convolution of x where the width changes.
#[derive(Clone, Debug)]
pub(super) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl Resnet {
    fn load(r: &mut Registry, name: &str, groups: usize, channels: [usize; 2]) -> Result<Self> {
        let [inputs, outputs] = channels;
        r.within(name, |r| {
            Ok(Self {
                norm1: norm(r, "norm1", groups, inputs)?,
                conv1: conv(r, "conv1", channels, 3)?,
                norm2: norm(r, "norm2", groups, outputs)?,
                conv2: conv(r, "conv2", [outputs, outputs], 3)?,
                conv_shortcut: if inputs == outputs {
                    None
                } else {
                    Some(conv(r, "conv_shortcut", channels, 1)?)
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
    group_norm: GroupNorm,
    /// Channel 3 i + j is component i of query, key, value, as the attention kernel wants it.
    qkv: Conv2d,
    out: Conv2d,
}

impl Attention {
    /// Loads the layers within the current path.
    fn load(registry: &mut Registry, groups: usize, channels: usize) -> Result<Self> {
        let group_norm = norm(registry, "group_norm", groups, channels)?;
        let mut linear = |part: &str| {
            registry.within(part, |r| {
                let weight = r.parameter("weight", [channels, channels], Init::ZERO)?.into_value();
                Ok((weight, r.parameter("bias", [channels], Init::ZERO)?.into_value()))
            })
        };
        let parts = [linear("to_q")?, linear("to_k")?, linear("to_v")?];
        let (filters, biases): (Vec<Tensor<2>>, Vec<Tensor<1>>) = parts.into_iter().unzip();
        let (weight, bias) = linear("to_out.0")?;
        let filters = Tensor::stack::<3>(filters, 1).reshape([3 * channels, channels, 1, 1]);
        let biases = Tensor::stack::<2>(biases, 1).reshape([3 * channels]);
        let out = Conv2d::of(weight.reshape([channels, channels, 1, 1]), bias);
        Ok(Self { group_norm, qkv: Conv2d::of(filters, biases), out })
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
            let mut resnet = |name: &str| Resnet::load(r, name, groups, [channels; 2]);
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
    resample: Option<Conv2d>,
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
            Resnet::load(registry, &format!("resnets.{i}"), groups, [inputs, outputs])
        };
        let resnets = (0..blocks).map(resnet).collect::<Result<_>>()?;
        let resampler = match way {
            Way::Down => "downsamplers.0",
            Way::Up => "upsamplers.0",
        };
        let resample = |r: &mut Registry| conv(r, "conv", [outputs, outputs], 3);
        Ok(Self { resnets, resample: registry.optional(resamples, resampler, resample)?, way })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, resnet| resnet.forward(x));
        match (&self.resample, self.way) {
            // Zeros to the right and below stand in for padding.
            (Some(conv), Way::Down) => conv.convolve(x.pad([(0, 1), (0, 1), (0, 0)], 0.0), 2, 0),
            (Some(conv), Way::Up) => conv.forward(doubled(x)),
            (None, _) => x,
        }
    }
}
