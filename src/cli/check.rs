//! `sida check`: every mistake of every file at once.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output;
use crate::{
    Error, Result,
    pipeline::{Mistake, Source, mistake},
};

#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    mistakes: Vec<Mistake>,
}

/// Checks the files; in JSON, one object on standard output.
///
/// # Errors
/// `Mistakes` of all files together; `Usage` for a file that cannot be read.
pub(super) fn check(files: &[PathBuf], json: bool) -> Result<()> {
    let checked: Vec<Checked> = files.iter().map(|file| one(file)).collect::<Result<_>>()?;
    let mistakes: Vec<&Mistake> = checked.iter().flat_map(|file| &file.mistakes).collect();
    if json {
        let report = serde_json::json!({ "ok": mistakes.is_empty(), "files": checked });
        output::line(format!("{report:#}"));
    } else {
        for file in checked.iter().filter(|file| file.ok) {
            output::line(format!("{}: ok", file.file));
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    let rendered = if json {
        format!("{} mistakes, see standard output", mistakes.len())
    } else {
        let of_file =
            |file: &Checked| (!file.ok).then(|| mistake::as_error(file.mistakes.clone()).to_string());
        checked.iter().filter_map(of_file).collect::<Vec<_>>().join("\n\n")
    };
    Err(Error::Mistakes { count: mistakes.len(), rendered })
}

fn one(file: &Path) -> Result<Checked> {
    let mut mistakes = Source::read(file)?.judge(&[]).err().unwrap_or_default();
    mistakes.sort();
    mistakes.dedup();
    Ok(Checked { file: file.display().to_string(), ok: mistakes.is_empty(), mistakes })
}
