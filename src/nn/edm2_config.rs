//! `Edm2Config`: the settings of EDM2's magnitude-preserving UNet, as pipeline files write them.
#![expect(clippy::unnecessary_wraps, reason = "a default has its field's type")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use super::check::Problems;

/// The magnitude-preserving UNet of EDM2 (Karras et al. 2024).
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edm2Config {
    /// Side of the square images or latents.
    #[schemars(range(min = 1, max = 4096))]
    pub img_resolution: usize,
    /// Channels of the images (3) or latents (4).
    #[serde_inline_default(4)]
    #[schemars(range(min = 1, max = 65536))]
    pub img_channels: usize,
    /// Number of classes; 0 makes the network unconditional.
    #[serde(default)]
    #[schemars(range(max = 16777216))]
    pub label_dim: usize,
    /// The widths are multiples of this number of channels.
    #[serde_inline_default(192)]
    #[schemars(range(min = 1, max = 1073741824))]
    pub model_channels: usize,
    /// Channels of each level in multiples of `model_channels`; every level halves the resolution.
    #[serde_inline_default(vec![1, 2, 3, 4])]
    #[schemars(length(min = 1), inner(range(min = 1, max = 65536)))]
    pub channel_mult: Vec<usize>,
    /// Width of the noise embedding in multiples of `model_channels`; by default that of the first level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    pub channel_mult_noise: Option<usize>,
    /// Width of the conditioning vector in multiples of `model_channels`; by default that of the widest level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    pub channel_mult_emb: Option<usize>,
    /// Residual blocks per level of the encoder; the decoder has one more.
    #[serde_inline_default(3)]
    #[schemars(range(min = 1, max = 1073741824))]
    pub num_blocks: usize,
    /// Resolutions with self-attention.
    #[serde_inline_default(vec![16, 8])]
    #[schemars(inner(range(max = 4096)))]
    pub attn_resolutions: Vec<usize>,
    /// Balance between the noise embedding (0) and the class embedding (1).
    #[serde_inline_default(0.5)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_balance: f64,
    /// Balance between the main path (0) and skip connections (1).
    #[serde_inline_default(0.5)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub concat_balance: f64,
    /// Balance between the main path (0) and the residual path (1).
    #[serde_inline_default(0.3)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub res_balance: f64,
    /// Balance between the main path (0) and self-attention (1).
    #[serde_inline_default(0.3)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub attn_balance: f64,
    /// Channels per attention head.
    #[serde_inline_default(64)]
    #[schemars(range(min = 1, max = 1073741824))]
    pub channels_per_head: usize,
    /// The separable filter that halves and doubles resolutions.
    #[serde_inline_default(vec![1.0, 1.0])]
    #[schemars(length(min = 2, max = 64), inner(range(min = -1000.0, max = 1000.0)))]
    pub resample_filter: Vec<f32>,
    /// Activations are clipped to plus and minus this value; null means not at all.
    #[serde_inline_default(Some(256.0))]
    #[schemars(range(min = 0.01, max = 1000000.0))]
    pub clip_act: Option<f64>,
    /// Share of activations that training drops in every block.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Whether the network has the head that predicts the uncertainty of its denoising, u(sigma).
    #[serde_inline_default(true)]
    pub logvar: bool,
    /// Width of the Fourier features of the uncertainty head.
    #[serde_inline_default(128)]
    #[schemars(range(min = 1, max = 1048576))]
    pub logvar_channels: usize,
    /// Standard deviation of the images or latents that the network expects.
    #[serde_inline_default(0.5)]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub sigma_data: f64,
}

impl Edm2Config {
    /// Width of the noise embedding.
    pub(crate) fn noise_channels(&self) -> usize {
        self.model_channels * self.channel_mult_noise.unwrap_or(self.channel_mult[0])
    }

    /// Width of the conditioning vector.
    pub(crate) fn emb_channels(&self) -> usize {
        let widest = || self.channel_mult.iter().copied().max().unwrap_or(1);
        self.model_channels * self.channel_mult_emb.unwrap_or_else(widest)
    }

    /// Adds what is wrong with the settings that no other architecture has.
    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.positive("channel_mult_noise", self.channel_mult_noise.unwrap_or(1));
        problems.positive("channel_mult_emb", self.channel_mult_emb.unwrap_or(1));
        problems.positive("channels_per_head", self.channels_per_head);
        problems.positive("logvar_channels", self.logvar_channels);
        problems.share("label_balance", self.label_balance);
        problems.share("concat_balance", self.concat_balance);
        problems.share("res_balance", self.res_balance);
        problems.share("attn_balance", self.attn_balance);
        problems.filter(&self.resample_filter);
        problems.demand(self.clip_act.is_none_or(|clip| clip > 0.0), "clip_act", || {
            "must be positive, or null for no clipping".to_owned()
        });
    }
}
