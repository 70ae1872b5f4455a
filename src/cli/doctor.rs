//! `sida doctor`: devices, versions and memory.

use super::device;
use crate::Result;

/// Shows what this machine offers.
///
/// # Errors
/// `NoDevice` for one that is not there.
pub(super) fn doctor(asked: &str, _json: bool) -> Result<()> {
    let (_, name) = device::choose(asked)?;
    println!("device: {name}");
    Ok(())
}
