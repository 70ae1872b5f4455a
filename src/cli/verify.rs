//! `sida verify`: whether what is on disk is what was made.

use std::path::Path;

use super::output;
use crate::{Error, Result, pipeline::verify::verify as look, terminal};

/// Reads every finished file and every checkpoint that a folder refers to.
///
/// # Errors
/// `Damaged` with a count; `Usage` where the folder holds no runs.
pub(super) fn verify(path: &Path, json: bool) -> Result<()> {
    let found = look(path)?;
    let damaged = found.iter().filter(|stage| !stage.problems.is_empty()).count();
    if json {
        output::json(&serde_json::json!({ "ok": damaged == 0, "stages": found }));
    } else {
        for stage in &found {
            let state = match (stage.problems.is_empty(), stage.finished) {
                (false, _) => "damaged",
                (true, true) => "whole",
                (true, false) => "unfinished",
            };
            let problems: Vec<String> = stage.problems.iter().map(|problem| format!(": {problem}")).collect();
            say!("{state}: {}{}", terminal::path(&stage.folder), problems.concat());
        }
    }
    if damaged == 0 { Ok(()) } else { Err(Error::Damaged { damaged, total: found.len() }) }
}
