//! The networks of EDM and EDM2, and nothing that trains.

mod adm_config;
mod check;
mod config;
pub mod denoiser;
mod edm2_config;
mod embedding;
mod layers;
mod network;
mod preconditioning;
mod registry;
mod skeleton;
mod song_unet_config;

pub use adm_config::AdmConfig;
pub use check::Problem;
pub use config::NetworkConfig;
pub use denoiser::{Condition, Denoised, Denoiser, Dropout};
pub use edm2_config::Edm2Config;
pub use network::Network;
pub use preconditioning::{Iddpm, Preconditioning, Vp};
pub use registry::Entry;
pub use song_unet_config::{DecoderType, EmbeddingType, EncoderType, NcsnppConfig, SongUNetConfig};
