//! The networks of EDM and EDM2, and nothing that trains.

pub mod denoiser;

pub use denoiser::{Condition, Denoised, Denoiser, Dropout};
