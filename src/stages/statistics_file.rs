//! Published mean and covariance of real images' features.

use std::path::Path;

use crate::{Error, Result, metrics::Statistics};

/// Reads EDM's `.npz` or EDM2's `.pkl`.
pub(super) fn read(path: &Path) -> Result<Statistics> {
    Err(Error::Unusable(format!("the statistics in `{}` cannot be read yet", path.display())))
}
