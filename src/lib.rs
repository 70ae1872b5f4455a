//! One-step generators from pretrained EDM and EDM2 diffusion models: SiD, SiDA and SiD2A on Burn.
//!
//! The crate is a house of floors. A file may import its own folder and any floor below it; folders on
//! one floor do not know each other. `tests/floors.rs` enforces it.
//!
//! ```text
//! 8  main.rs  cli/                      words of the command line
//! 7  pipeline/                          what was written -> what will run -> running it
//! 6  stages/                            one file per verb of the language
//! 5  distill/   teach/     report/      SiD, SiDA, SiD2A; training a teacher; pages about what was measured
//! 4  training/                          what both trainings share: students, averages, batches, replicas
//! 3  diffusion/ checkpoint/ metrics/    noise levels, samplers; what lies on disk; FID and its kin
//! 2  nn/        data/                   networks; images
//! 1  kernels/   formats/   rng/  ranks/  tensor operations; file formats; the reference's random streams; other processes
//! 0  error.rs  terminal.rs  secret.rs  location.rs  stage_name.rs  seed.rs  kimg.rs  ...     for everyone
//! ```
//!
//! In the cellar are two crates of their own, which know nothing of this house: `kernels/cpu/`, for slices of numbers, where
//! `unsafe` code is, which is forbidden here; and `kernels/gpu/`, kernels in CubeCL for every make of GPU.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod diffusion;
pub mod distill;
pub mod error;
pub mod formats;
pub mod host_memory;
pub mod kernels;
pub mod kimg;
pub mod location;
pub mod metrics;
pub mod nn;
pub mod peak_memory;
pub mod pipeline;
pub mod pipeline_name;
pub mod process;
pub mod ranks;
pub mod report;
pub mod rng;
pub mod secret;
pub mod seed;
pub mod stage_name;
pub mod stages;
pub mod state_dict;
pub mod stop;
pub mod suggestion;
pub mod teach;
pub mod terminal;
pub mod training;

pub use error::{Error, Result};

/// The version of Burn that this program stands on; `Cargo.toml` pins it.
pub const BURN_VERSION: &str = "0.22.1";

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_burn_is_the_pinned_one() {
        let pinned = format!("burn = {{ version = \"={}\"", super::BURN_VERSION);
        assert!(include_str!("../Cargo.toml").contains(&pinned));
    }
}
