//! The files of a sweep.

use std::path::{Path, PathBuf};

use super::{csv::csv, data::SweepData, html::html, json::json, latex::latex, markdown::markdown};
use crate::{Result, checkpoint::atomic};

/// What the name of a file ends in, and what is in it.
type Format = (&'static str, fn(&SweepData) -> String);

const FORMATS: [Format; 5] =
    [("html", html), ("md", markdown), ("json", json_text), ("csv", csv), ("tex", latex)];

fn json_text(data: &SweepData) -> String {
    format!("{:#}\n", json(data))
}

fn path(folder: &Path, ending: &str) -> PathBuf {
    folder.join(format!("sweep.{ending}"))
}

/// The page in a sweep's folder.
pub fn page(folder: &Path) -> PathBuf {
    path(folder, FORMATS[0].0)
}

/// Writes `sweep.html`, `.md`, `.json`, `.csv` and `.tex` into a folder, each by rename.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, data: &SweepData) -> Result<()> {
    FORMATS.iter().try_for_each(|(ending, text)| atomic::write(&path(folder, ending), text(data).as_bytes()))
}

/// Removes these files, so that nobody takes them for those of a run that has not written its own yet.
///
/// # Errors
/// A file cannot be removed.
pub fn remove(folder: &Path) -> Result<()> {
    FORMATS.iter().try_for_each(|(ending, _)| atomic::remove_file(&path(folder, ending)))
}
