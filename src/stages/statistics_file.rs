//! Published mean and covariance of real images' features.

use std::path::Path;

use crate::{Result, metrics::Statistics};

/// Reads EDM's `.npz` or EDM2's `.pkl`.
pub(super) fn read(path: &Path) -> Result<Statistics> {
    Statistics::open(path)
}
