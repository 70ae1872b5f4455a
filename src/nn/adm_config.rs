//! `AdmConfig`: the settings of ADM (Dhariwal and Nichol), as pipeline files write them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::Problems,
    preconditioning::Preconditioning,
    song_unet_config::{channel_mult_emb, dropout, img_channels, sigma_data},
};

/// Channels per attention head.
pub(crate) const CHANNELS_PER_HEAD: usize = 64;

/// ADM (Dhariwal and Nichol 2021), as EDM uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmConfig {
    /// Side of the square images, in pixels.
    #[schemars(range(min = 1))]
    pub img_resolution: usize,
    /// Colour channels of the images.
    #[serde(default = "img_channels")]
    #[schemars(range(min = 1))]
    pub img_channels: usize,
    /// Number of classes; 0 makes the network unconditional.
    #[serde(default)]
    pub label_dim: usize,
    /// Width of the augmentation labels; 9 for networks trained with augmentation, else 0.
    #[serde(default)]
    pub augment_dim: usize,
    /// The widths are multiples of this number of channels.
    #[serde(default = "model_channels")]
    #[schemars(range(min = 4))]
    pub model_channels: usize,
    /// Channels of each level in multiples of `model_channels`; every level halves the resolution.
    #[serde(default = "channel_mult")]
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub channel_mult: Vec<usize>,
    /// Width of the conditioning vector in multiples of `model_channels`.
    #[serde(default = "channel_mult_emb")]
    #[schemars(range(min = 1))]
    pub channel_mult_emb: usize,
    /// Residual blocks per level of the encoder; the decoder has one more.
    #[serde(default = "num_blocks")]
    #[schemars(range(min = 1))]
    pub num_blocks: usize,
    /// Resolutions with self-attention, one head per 64 channels.
    #[serde(default = "attn_resolutions")]
    pub attn_resolutions: Vec<usize>,
    /// Share of activations that training drops in every block.
    #[serde(default = "dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Share of samples whose class labels training drops.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_dropout: f64,
    /// How images, noise and the raw network make a denoiser.
    #[serde(default)]
    pub preconditioning: Preconditioning,
    /// Standard deviation of the images in [-1, 1] that the network expects (`edm` only).
    #[serde(default = "sigma_data")]
    #[schemars(range(min = 0.001))]
    pub sigma_data: f64,
    /// Lowest noise level that samplers may use; by default the preconditioning's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma_min: Option<f64>,
    /// Highest noise level that samplers may use; by default the preconditioning's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
}

impl AdmConfig {
    /// Adds what is wrong with the settings that no other architecture has.
    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.demand(self.model_channels.is_multiple_of(2), "model_channels", || {
            format!("the noise embedding is {} numbers wide, but must be an even number", self.model_channels)
        });
    }
}

fn model_channels() -> usize {
    192
}
fn channel_mult() -> Vec<usize> {
    vec![1, 2, 3, 4]
}
fn num_blocks() -> usize {
    3
}
fn attn_resolutions() -> Vec<usize> {
    vec![32, 16, 8]
}
