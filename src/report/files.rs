//! The files of a report.

use std::path::{Path, PathBuf};

use super::{csv, data::ReportData, html, json, junit, latex, markdown};
use crate::{Result, checkpoint::atomic};

/// Writes `report.html`, `report.md`, `report.json`, `junit.xml`, `report.csv` and `report.tex` into a folder, each
/// by rename, and gives their names.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, data: &ReportData) -> Result<Vec<PathBuf>> {
    let json = serde_json::to_string_pretty(&json(data)).expect("a value is JSON") + "\n";
    let files = [
        ("report.html", html(data)),
        ("report.md", markdown(data)),
        ("report.json", json),
        ("junit.xml", junit(data)),
        ("report.csv", csv(data)),
        ("report.tex", latex(data)),
    ];
    for (name, text) in &files {
        atomic::write(&folder.join(name), text.as_bytes())?;
    }
    Ok(files.into_iter().map(|(name, _)| PathBuf::from(name)).collect())
}
