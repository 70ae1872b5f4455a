//! `sida compare`: two runs side by side.

use std::path::Path;

use crate::{Error, Result};

/// Shows metrics, settings and images of two runs side by side.
///
/// # Errors
/// `Unusable` for folders that hold no runs.
pub(super) fn compare(_left: &Path, _right: &Path, _json: bool) -> Result<()> {
    Err(Error::Unusable("`compare` is not implemented".to_owned()))
}
