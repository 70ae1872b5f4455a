//! `sida export`: weights under the reference's own names.

use std::path::Path;

use crate::{Error, Result};

/// Writes the weights of a finished stage, or of a file, as safetensors.
///
/// # Errors
/// `Unusable` for a folder without a network.
pub(super) fn export(_from: &Path, _to: &Path) -> Result<()> {
    Err(Error::Unusable("`export` is not implemented".to_owned()))
}
