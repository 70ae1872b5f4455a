//! What a GPU's kernels are chosen by, where a build tries them.

use std::path::Path;

/// Keeps the choices that are made for a card in a folder, and takes those that are there; in builds that make none, and
/// for the CPU, nothing happens. The device has to be open.
pub fn keep_choices(folder: &Path, card: &str) {
    #[cfg(all(feature = "autotune", any(feature = "cuda", feature = "wgpu")))]
    super::gpu::tuning::keep(folder, card);
    #[cfg(not(all(feature = "autotune", any(feature = "cuda", feature = "wgpu"))))]
    let _ = (folder, card);
}
