//! `junit.xml` of a run: written when it begins and when it ends, however it ends.

use std::{fs, path::Path};

use super::run::Summary;
use crate::{
    Error, Result,
    checkpoint::atomic,
    report::{self, RunError, RunResult},
};

const FILE: &str = "junit.xml";

/// Writes that a run has begun: until its end, and for ever if there is none, the file says that there was no end.
///
/// # Errors
/// `Io`.
pub fn begin(folder: &Path, pipeline: &str) -> Result<()> {
    write(folder, &nothing_but(pipeline, "the run has not come to its end".to_owned()))
}

/// Writes that a run could not begin where another's verdict stands: it must not pass for this one's.
/// Nothing else of the folder is touched; it may be a newer program's.
pub fn refused(folder: &Path, pipeline: &str, error: &Error) {
    if folder.join(FILE).is_file() {
        // The error itself is what has to be said.
        let _ = write(folder, &nothing_but(pipeline, error.to_string()));
    }
}

fn nothing_but(pipeline: &str, message: String) -> RunResult {
    let errors = vec![RunError { stage: None, message }];
    RunResult { pipeline: pipeline.to_owned(), errors, ..RunResult::default() }
}

/// What is known of a run at its end.
pub fn of(pipeline: &str, summary: &Summary, error: Option<&Error>) -> RunResult {
    let seconds = summary.finished.values().filter_map(|finished| finished.record.get("seconds")?.as_f64());
    RunResult {
        pipeline: pipeline.to_owned(),
        // The sum of no numbers is -0.
        seconds: seconds.fold(0.0, |sum, s| sum + s),
        expectations: summary
            .verdicts()
            .into_iter()
            .map(|(stage, verdict)| (stage.to_string(), verdict))
            .collect(),
        errors: error
            .into_iter()
            .map(|error| RunError {
                stage: summary.running.as_ref().map(ToString::to_string),
                message: error.to_string(),
            })
            .collect(),
    }
}

/// Writes the file into a folder, which is made if need be.
///
/// # Errors
/// `Io`.
pub fn write(folder: &Path, result: &RunResult) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    atomic::write(&folder.join(FILE), report::junit(result).as_bytes())
}
