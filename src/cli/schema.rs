//! `sida schema`: writes the JSON schemas.

use std::{fs, path::Path};

use super::output;
use crate::{Error, Result, pipeline::schema};

/// Writes all schemas into `folder`.
///
/// # Errors
/// `Io` for a folder that cannot be written.
pub(super) fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    for (name, text) in schema::generate() {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        output::line(path.display().to_string());
    }
    Ok(())
}
