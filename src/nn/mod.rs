//! The networks of EDM and EDM2, and nothing that trains.

pub mod activations;
mod adm_config;
mod check;
mod config;
mod constants;
pub mod denoiser;
mod dhariwal_unet;
mod edm2_block;
mod edm2_config;
mod edm2_unet;
mod edm_config;
mod embedding;
mod encoded;
#[cfg(test)]
pub(crate) mod gaussian;
mod inception_blocks;
mod inception_names;
pub mod inception_resize;
mod inception_unit;
pub mod inception_v3;
mod layers;
mod logvar_head;
mod masks;
mod mode;
mod mp_layers;
mod network;
mod preconditioning;
mod reference_config;
mod registry;
mod scalings;
mod size;
mod skeleton;
mod song_aux;
mod song_unet;
mod song_unet_config;
#[cfg(test)]
mod truths;
mod unet;
mod unet_block;
pub mod vae;
mod vae_layers;

pub use adm_config::AdmConfig;
pub use check::Problem;
pub use config::NetworkConfig;
pub use denoiser::{Condition, Denoised, Denoiser, Dropout};
pub use edm2_config::Edm2Config;
pub use inception_resize::InceptionInput;
pub use inception_v3::{InceptionOutputs, InceptionV3};
pub use masks::{Dropped, Masks};
pub use network::{Network, Raw};
pub use preconditioning::{Iddpm, Preconditioning, Vp};
pub use registry::Entry;
pub use scalings::Scaled;
pub use song_unet_config::{DecoderType, EmbeddingType, EncoderType, NcsnppConfig, SongUNetConfig};
pub use vae::{Vae, VaeConfig};
