//! Noise levels, samplers, teacher losses, the optimizer, EMA.

pub mod ema_settings;
pub mod encoder;
pub mod precision;
pub mod sampler_settings;

pub use ema_settings::Ema;
pub use encoder::{Encoder, StabilityVae};
pub use precision::Precision;
pub use sampler_settings::{EdmSampler, MultiStep, OneStep, Sampler};
