//! Where the choices of kernels are kept that a build with autotune makes by trying them.

use std::path::Path;

use cubecl::{
    config::{CubeClRuntimeConfig, RuntimeConfig},
    environment,
    records::{self, RecordLevel, RecordsConfig},
};

/// Keeps choices in a file of `folder` that is named after `card`, from now on, and takes those that are there. `CubeCL`
/// itself tells devices apart by their numbers, so that those of one card would be taken for another's. A folder that
/// cannot be written to costs trying anew. Compiled kernels are not kept: only `CubeCL`'s version is part of their names.
pub fn keep(folder: &Path, card: &str) {
    // What it reads names a folder too, when it is first asked for.
    let _ = CubeClRuntimeConfig::get();
    records::configure(RecordsConfig { level: RecordLevel::Off, ..RecordsConfig::default() });
    environment::set_root(folder);
    environment::activate(card);
}
