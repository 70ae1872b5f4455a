//! Noise levels, samplers, the denoising loss; pixels and latents; post-hoc EMA.

pub mod codec;
pub mod denoising_loss;
pub mod encoder;
pub mod heun;
pub mod noise_level;
pub mod phema;
pub mod precision;
pub mod quantize;
pub mod sample;
pub mod sampler_settings;

pub use codec::{Codec, LatentStatistics};
pub use encoder::{Encoder, StabilityVae};
pub use noise_level::{LogNormal, RhoSchedule};
pub use precision::Precision;
pub use quantize::Rounding;
pub use sampler_settings::{EdmSampler, MultiStep, OneStep, Sampler};
