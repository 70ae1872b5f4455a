//! `sida schema`: writes the JSON schemas.

use std::{fs, path::Path};

use serde_json::json;

use super::output;
use crate::{Error, Result, checkpoint::atomic, pipeline::schema};

/// Writes all schemas into `folder`.
///
/// # Errors
/// `Io` for a folder that cannot be written.
pub(super) fn write(folder: &Path, json: bool) -> Result<()> {
    let mut written = Vec::new();
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    for (name, text) in schema::generate() {
        let path = folder.join(name);
        atomic::write(&path, text.as_bytes())?;
        written.push(path.display().to_string());
    }
    if json {
        output::json(&json!({ "files": written }));
    } else {
        written.iter().for_each(output::line);
    }
    Ok(())
}
