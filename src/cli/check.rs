//! `sida check`: every mistake of every file at once.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::{
    absent,
    fetch::all_here,
    output,
    places::{cache, runs},
};
use crate::{
    Error, Result,
    pipeline::{Absent, Mistake, Source, mistake},
};

/// What is said of a file: that it is right, what is wrong in it, or why it cannot be read.
#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    error: Option<String>,
    mistakes: Vec<Mistake>,
    /// Of a file that is right, what it reads and this machine does not have: a pipeline may be checked without its data.
    not_here: Option<Absent>,
}

/// Checks the files, every one of them, and with `offline` whether what they read is in the cache; in JSON, one object on standard output.
///
/// # Errors
/// `Mistakes` of all files together, and those that cannot be read.
pub(super) fn check(files: &[PathBuf], offline: bool, json: bool) -> Result<()> {
    let mut checked: Vec<Checked> = files.iter().map(|file| one(file, offline)).collect();
    let ok = checked.iter().all(|file| file.ok);
    if json {
        output::json(&json!({ "ok": ok, "files": checked }));
    } else {
        for file in checked.iter().filter(|file| file.ok) {
            output::line(format!("{}: ok", file.file));
        }
        let mut not_here = Absent::default();
        checked.iter_mut().filter_map(|file| file.not_here.take()).for_each(|absent| not_here.extend(absent));
        let right = checked.iter().filter(|file| file.ok).map(|file| Path::new(&file.file));
        let blocks = absent::blocks(&not_here, &right.collect::<Vec<_>>());
        if !blocks.is_empty() {
            output::line(blocks.strip_prefix('\n').unwrap_or_default());
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
    let mut not_here = None;
    let (error, mut mistakes) = match Source::read(file) {
        Ok(source) => match source.judge(&[]) {
            Ok(parsed) => {
                let (cache, runs) = (cache(), runs());
                not_here = Some(Absent::of(parsed.pipelines(), &source.search, &cache, &runs));
                let here = if offline { all_here(std::iter::once(&parsed), &cache) } else { Ok(()) };
                (here.err().map(|error| error.to_string()), Vec::new())
            }
            Err(mistakes) => (None, mistakes),
        },
        Err(error) => (Some(error.to_string()), Vec::new()),
    };
    mistakes.sort();
    mistakes.dedup();
    let ok = error.is_none() && mistakes.is_empty();
    Checked { file: file.display().to_string(), ok, error, mistakes, not_here }
}
