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
#[serde(default, deny_unknown_fields)]
pub struct StabilityVae {
    /// The autoencoder's weights, a safetensors file with the names of diffusers.
    pub weights: Location,
    /// Mean of the raw latents, per channel.
    #[schemars(inner(range(min = -1000.0, max = 1000.0)))]
    pub raw_mean: [f64; 4],
    /// Standard deviation of the raw latents, per channel.
    #[schemars(inner(range(min = 0.001, max = 1000.0)))]
    pub raw_std: [f64; 4],
    /// Standard deviation of the latents that the network sees.
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub final_std: f64,
}

impl Default for StabilityVae {
    fn default() -> Self {
        let weights = "https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/diffusion_pytorch_model.safetensors";
        Self {
            weights: Location::new(weights),
            raw_mean: [5.81, 3.25, 0.12, -2.15],
            raw_std: [4.17, 4.62, 3.71, 3.28],
            final_std: 0.5,
        }
    }
}
