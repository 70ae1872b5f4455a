//! The files of a report.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{csv, data::ReportData, html, json, latex, markdown};
use crate::{Error, Result, checkpoint::atomic};

/// What the files of a report end in.
const EXTENSIONS: [&str; 5] = ["html", "md", "json", "csv", "tex"];

/// Writes `<name>.html`, `.md`, `.json`, `.csv` and `.tex` into a folder, which is made if need be, each by rename,
/// and gives their names.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, name: &str, data: &ReportData) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let json = serde_json::to_string_pretty(&json(data)).expect("a value is JSON") + "\n";
    let texts = [html(data), markdown(data), json, csv(data), latex(data)];
    let files: Vec<PathBuf> = EXTENSIONS.iter().map(|ext| PathBuf::from(format!("{name}.{ext}"))).collect();
    for (file, text) in files.iter().zip(texts) {
        atomic::write(&folder.join(file), text.as_bytes())?;
    }
    Ok(files)
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
    for path in EXTENSIONS.iter().map(|ext| folder.join(format!("{name}.{ext}"))) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
