//! The files of a report.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{csv, data::ReportData, html, json, latex, markdown};
use crate::{Error, Result, checkpoint::atomic, formats::read_at_most};

/// More than any report has, in bytes.
const LARGEST: u64 = 256 << 20;

/// What the name of a file ends in, and what is in it.
pub(super) type Format<T> = (&'static str, fn(&T) -> String);

const FORMATS: [Format<ReportData>; 5] =
    [("html", html), ("md", markdown), ("json", json_text), ("csv", csv), ("tex", latex)];

fn json_text(data: &ReportData) -> String {
    serde_json::to_string_pretty(&json(data)).expect("a value is JSON") + "\n"
}

/// Writes `<name>.html`, `.md`, `.json`, `.csv` and `.tex` into a folder, which is made if need be, each by rename,
/// and gives their paths.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, name: &str, data: &ReportData) -> Result<Vec<PathBuf>> {
    write_all(&FORMATS, folder, name, data)
}

/// The same for any formats.
pub(super) fn write_all<T>(
    formats: &[Format<T>],
    folder: &Path,
    name: &str,
    data: &T,
) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let file = |(ending, text): &Format<T>| {
        let path = path(folder, name, ending);
        atomic::write(&path, text(data).as_bytes()).map(|()| path)
    };
    formats.iter().map(file).collect()
}

/// A file of a report.
pub(super) fn path(folder: &Path, name: &str, ending: &str) -> PathBuf {
    folder.join(format!("{name}.{ending}"))
}

/// The key of the stage whose report lies in a folder; `None` where there is none.
pub fn key(folder: &Path, name: &str) -> Option<String> {
    let json = read_at_most(&folder.join(format!("{name}.json")), LARGEST).ok()?;
    let report: serde_json::Value = serde_json::from_slice(&json).ok()?;
    Some(report.pointer("/provenance/key")?.as_str()?.to_owned())
}

/// Removes the files of a report, so that nobody takes them for those of a run that has not written its own yet.
///
/// # Errors
/// A file cannot be removed.
pub fn remove(folder: &Path, name: &str) -> Result<()> {
    remove_all(&FORMATS, folder, name)
}

/// The same for any formats.
pub(super) fn remove_all<T>(formats: &[Format<T>], folder: &Path, name: &str) -> Result<()> {
    formats.iter().try_for_each(|(ending, _)| atomic::remove_file(&path(folder, name, ending)))
}
