//! `sida gc`: what no pipeline's folder refers to, and removing it.

use std::path::Path;

use super::{columns::bytes, output};
use crate::{
    Result,
    pipeline::{store::remove, verify::unused},
    terminal,
};

/// Lists the stages in the store that nothing refers to; with `delete` removes them.
///
/// # Errors
/// `Io` for what cannot be removed; `NewerFormat` and `Unusable` for what another version of the program made.
pub(super) fn gc(runs: &Path, delete: bool, json: bool) -> Result<()> {
    let found = unused(runs)?;
    let mut removed = Vec::new();
    for stage in found.iter().filter(|_| delete) {
        if remove(&stage.folder)?.is_none() {
            removed.push(&stage.folder);
        }
    }
    if json {
        output::json(&serde_json::json!({ "unused": found, "removed": removed }));
        return Ok(());
    }
    for stage in &found {
        let what = match (delete, removed.contains(&&stage.folder)) {
            (true, true) => "removed",
            (true, false) => "being made now, left",
            (false, _) => "unused",
        };
        say!("{what}: {} ({})", terminal::path(&stage.folder), bytes(stage.bytes));
    }
    let total = bytes(found.iter().map(|stage| stage.bytes).sum());
    match (found.len(), delete) {
        (0, _) => say!("every stage belongs to a pipeline's folder"),
        (n, false) => say!("{n} stages, {total}: `sida gc --delete` removes them"),
        (_, true) => say!("{} stages removed", removed.len()),
    }
    Ok(())
}
