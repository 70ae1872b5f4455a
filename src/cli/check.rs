//! `sida check`: every mistake of every file at once.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::{fetch::all_here, output, places::cache};
use crate::{
    Error, Result,
    pipeline::{Mistake, Source, mistake},
};

/// What is said of a file: that it is right, what is wrong in it, or why it cannot be read.
#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    error: Option<String>,
    mistakes: Vec<Mistake>,
}

/// Checks the files, every one of them, and with `offline` whether what they read is in the cache; in JSON, one object on standard output.
///
/// # Errors
/// `Mistakes` of all files together, and those that cannot be read.
pub(super) fn check(files: &[PathBuf], offline: bool, json: bool) -> Result<()> {
    let checked: Vec<Checked> = files.iter().map(|file| one(file, offline)).collect();
    let ok = checked.iter().all(|file| file.ok);
    if json {
        output::json(&json!({ "ok": ok, "files": checked }));
    } else {
        for file in checked.iter().filter(|file| file.ok) {
            output::line(format!("{}: ok", file.file));
        }
    }
    if ok {
        return Ok(());
    }
    let wrong = checked.iter().filter(|file| !file.ok).count();
    let mut mistakes = Vec::new();
    let mut rendered = Vec::new();
    for file in checked {
        if let Some(error) = file.error {
            rendered.push(format!("error: {error}"));
            mistakes.push(json!({ "file": file.file, "message": error }));
        } else if let Error::Mistakes { mistakes: of_file, rendered: text } = mistake::as_error(file.mistakes)
            && !of_file.is_empty()
        {
            rendered.push(text);
            mistakes.extend(of_file);
        }
    }
    let rendered = if json {
        format!("{wrong} of {} files are wrong or cannot be read, see standard output", files.len())
    } else {
        rendered.join("\n\n")
    };
    Err(Error::Mistakes { mistakes, rendered })
}

fn one(file: &Path, offline: bool) -> Checked {
    let (error, mut mistakes) = match Source::read(file) {
        Ok(source) => match source.judge(&[]) {
            Ok(parsed) if offline => {
                let here = all_here(std::iter::once(&parsed), &cache());
                (here.err().map(|error| error.to_string()), Vec::new())
            }
            Ok(_) => (None, Vec::new()),
            Err(mistakes) => (None, mistakes),
        },
        Err(error) => (Some(error.to_string()), Vec::new()),
    };
    mistakes.sort();
    mistakes.dedup();
    let ok = error.is_none() && mistakes.is_empty();
    Checked { file: file.display().to_string(), ok, error, mistakes }
}
