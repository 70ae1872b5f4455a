//! `sida inspect`: what a file holds.

use std::path::Path;

use crate::{Error, Result};

/// Shows what a file holds; nothing in it is executed.
///
/// # Errors
/// `BadFile` for one that cannot be read.
pub(super) fn inspect(_file: &Path, _json: bool) -> Result<()> {
    Err(Error::Unusable("`inspect` is not implemented".to_owned()))
}
