//! The networks of EDM and EDM2, and nothing that trains.

mod adm_config;
mod check;
mod config;
pub mod denoiser;
mod edm2_config;
mod embedding;
mod inception_blocks;
pub mod inception_resize;
mod inception_unit;
pub mod inception_v3;
mod layers;
mod network;
mod preconditioning;
mod registry;
mod skeleton;
mod song_unet_config;
pub mod vae;
mod vae_layers;
mod weights;

pub use adm_config::AdmConfig;
pub use check::Problem;
pub use config::NetworkConfig;
pub use denoiser::{Condition, Denoised, Denoiser, Dropout};
pub use edm2_config::Edm2Config;
pub use inception_resize::InceptionInput;
pub use inception_v3::{InceptionOutputs, InceptionV3};
pub use network::Network;
pub use preconditioning::{Iddpm, Preconditioning, Vp};
pub use registry::Entry;
pub use song_unet_config::{DecoderType, EmbeddingType, EncoderType, NcsnppConfig, SongUNetConfig};
pub use vae::{Vae, VaeConfig};
