//! Results, on standard output.

use std::path::Path;

use crate::{Error, Result, terminal};

/// Writes a line. A reader that has gone away, such as `head`, is no error; anything else is said.
pub(super) fn line(text: impl AsRef<str>) {
    if let Err(error) = terminal::result(text.as_ref()) {
        terminal::note(&format!("cannot write to standard output: {error}"));
    }
}

/// Writes a result as JSON.
pub(super) fn json(value: &serde_json::Value) {
    line(format!("{value:#}"));
}

/// A path in a result. JSON is UTF-8: of what is not, as much as can be shown.
pub(super) fn path(path: &Path) -> serde_json::Value {
    path.to_string_lossy().into()
}

/// Whether a file that was typed can be written where it is to be.
///
/// # Errors
/// `Usage` where there is no such folder: the command is wrong.
pub(super) fn can_hold(file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    let Some(folder) = folder else { return Ok(()) };
    let (file, folder) = (terminal::path(file), terminal::path(folder));
    Err(Error::Usage(format!("cannot write `{file}`: there is no folder `{folder}`")))
}

/// Whether there is anything at a path that was typed.
///
/// # Errors
/// `Usage` where there is not: the command is wrong.
pub(super) fn exists(path: &Path) -> Result<()> {
    let nothing = || format!("cannot read `{}`: there is no such file or folder", terminal::path(path));
    if path.exists() { Ok(()) } else { Err(Error::Usage(nothing())) }
}
