//! How many threads there are, where the environment asks for what cannot be.

use std::env;

use crate::kernels::{THREADS, asked_threads};

/// Says what is wrong with `RAYON_NUM_THREADS`, and takes what is possible instead.
pub(super) fn start() {
    if let (count, Some(wrong)) = asked_threads(env::var_os(THREADS).as_deref()) {
        tracing::warn!("{wrong}");
        // Before anything else begins; a pool that is there already has its threads.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(count).build_global();
    }
}
