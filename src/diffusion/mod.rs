//! Noise levels, samplers, teacher losses, the optimizer, EMA.

pub mod adam;
pub mod codec;
pub mod denoising_loss;
pub mod ema;
pub mod ema_settings;
pub mod encoder;
pub mod gradients;
pub mod heun;
pub mod noise_level;
pub mod parameters;
pub mod phema;
pub mod precision;
pub mod quantize;
pub mod sample;
pub mod sampler_settings;
pub mod teacher_batch;
pub mod teacher_trainer;
pub mod training_state;

pub use adam::{Adam, AdamSettings};
pub use codec::{Codec, LatentStatistics};
pub use ema_settings::Ema;
pub use encoder::{Encoder, StabilityVae};
pub use gradients::{Gradients, Sanitized};
pub use noise_level::{LogNormal, RhoSchedule};
pub use precision::Precision;
pub use quantize::Rounding;
pub use sampler_settings::{EdmSampler, MultiStep, OneStep, Sampler};
pub use teacher_batch::{TeacherBatch, TeacherDraws};
pub use teacher_trainer::{TeacherIteration, TeacherSettings, TeacherTrainer};
