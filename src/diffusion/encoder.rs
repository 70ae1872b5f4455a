//! `Encoder`: what the network's images are: pixels, or latents of an autoencoder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::location::Location;

/// What a network's images are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoder {
    /// Pixels in [-1, 1].
    #[default]
    Rgb,
    /// Latents of the Stability autoencoder, standardised per channel.
    StabilityVae(StabilityVae),
}

/// Latents of the Stability autoencoder (EDM2's ImageNet-512).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StabilityVae {
    /// The autoencoder's weights, a safetensors file with the names of diffusers.
    #[serde(default = "weights")]
    pub weights: Location,
    /// Mean of the raw latents, per channel.
    #[serde(default = "raw_mean")]
    pub raw_mean: [f64; 4],
    /// Standard deviation of the raw latents, per channel.
    #[serde(default = "raw_std")]
    pub raw_std: [f64; 4],
    /// Standard deviation of the latents that the network sees.
    #[serde(default = "final_std")]
    pub final_std: f64,
}

impl Default for StabilityVae {
    fn default() -> Self {
        Self { weights: weights(), raw_mean: raw_mean(), raw_std: raw_std(), final_std: final_std() }
    }
}

fn weights() -> Location {
    Location::new(
        "https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/diffusion_pytorch_model.safetensors",
    )
}

fn raw_mean() -> [f64; 4] {
    [5.81, 3.25, 0.12, -2.15]
}

fn raw_std() -> [f64; 4] {
    [4.17, 4.62, 3.71, 3.28]
}

fn final_std() -> f64 {
    0.5
}
