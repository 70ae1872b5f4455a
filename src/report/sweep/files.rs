//! The files of a sweep.

use std::path::{Path, PathBuf};

use super::{
    super::files::{self, Format},
    csv::csv,
    data::SweepData,
    html::html,
    json::json,
    latex::latex,
    markdown::markdown,
};
use crate::Result;

/// What they are called, without their endings.
const NAME: &str = "sweep";

const FORMATS: [Format<SweepData>; 5] =
    [("html", html), ("md", markdown), ("json", json_text), ("csv", csv), ("tex", latex)];

fn json_text(data: &SweepData) -> String {
    format!("{:#}\n", json(data))
}

/// The page in a sweep's folder.
pub fn page(folder: &Path) -> PathBuf {
    files::path(folder, NAME, FORMATS[0].0)
}

/// Writes `sweep.html`, `.md`, `.json`, `.csv` and `.tex` into a folder, each by rename.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, data: &SweepData) -> Result<()> {
    files::write_all(&FORMATS, folder, NAME, data).map(drop)
}

/// Removes these files, so that nobody takes them for those of a run that has not written its own yet.
///
/// # Errors
/// A file cannot be removed.
pub fn remove(folder: &Path) -> Result<()> {
    files::remove_all(&FORMATS, folder, NAME)
}
