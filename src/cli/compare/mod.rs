//! `sida compare`: metrics, settings, pictures and curves of two runs or stages side by side.

mod named;
mod report_file;
mod stage_folder;

use std::path::Path;

use serde_json::json;

use super::output;
use crate::{
    Error, Result,
    checkpoint::atomic,
    report::comparison::{self, Comparison},
    terminal,
};

/// Shows what differs, and writes it as a page where one is wanted.
///
/// # Errors
/// `Usage` for a path that leads to no run, and for a page that cannot be there; `NewerFormat`; `Io` for the page.
pub(super) fn compare(a: &Path, b: &Path, page: Option<&Path>, json: bool) -> Result<()> {
    if let Some(page) = page {
        output::can_hold(page)?;
    }
    let [a, b] = [named::read(a)?, named::read(b)?];
    let comparison = Comparison::of(&a, &b)?;
    if let Some(page) = page {
        atomic::write(page, comparison::html(&comparison).as_bytes())?;
    }
    if json {
        let mut result = comparison::json(&comparison);
        result["html"] = json!(page);
        output::json(&result);
        return Ok(());
    }
    output::line(comparison::text(&comparison));
    if let Some(page) = page {
        say!("\npage: {}", terminal::path(page));
    }
    Ok(())
}

/// What a path should have been.
const WANTED: &str = "name a pipeline's folder such as `runs/quickstart`, a point of a sweep such as \
                      `runs/digits-alpha/points/alpha=0.5`, a stage's folder such as `runs/quickstart/sid-0d8e9129`, or \
                      a `report.json`";

/// Something that was named and cannot be compared.
fn unusable(path: &Path, problem: impl std::fmt::Display) -> Error {
    Error::Usage(format!(
        "cannot compare `{}`: {}; {WANTED}",
        terminal::path(path),
        terminal::name(&problem.to_string())
    ))
}
