//! The files of a report.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{csv, data::ReportData, html, json, latex, markdown};
use crate::{Error, Result, checkpoint::atomic};

/// What the name of a file ends in, and what is in it.
type Format = (&'static str, fn(&ReportData) -> String);

const FORMATS: [Format; 5] =
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
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let file = |(extension, text): Format| {
        let path = folder.join(format!("{name}.{extension}"));
        atomic::write(&path, text(data).as_bytes()).map(|()| path)
    };
    FORMATS.into_iter().map(file).collect()
}

/// The key of the stage whose report lies in a folder; `None` where there is none.
pub fn key(folder: &Path, name: &str) -> Option<String> {
    let json = fs::read(folder.join(format!("{name}.json"))).ok()?;
    let report: serde_json::Value = serde_json::from_slice(&json).ok()?;
    Some(report.pointer("/provenance/key")?.as_str()?.to_owned())
}

/// Removes the files of a report, so that nobody takes them for those of a run that has not written its own yet.
///
/// # Errors
/// A file cannot be removed.
pub fn remove(folder: &Path, name: &str) -> Result<()> {
    FORMATS.iter().try_for_each(|(ext, _)| atomic::remove_file(&folder.join(format!("{name}.{ext}"))))
}
