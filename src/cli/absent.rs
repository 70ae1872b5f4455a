//! What is not here, in words: local files, what they are and what makes them; and what has to be downloaded.

use std::{fmt::Write as _, path::Path};

use super::columns::bytes;
use crate::{
    pipeline::Absent,
    terminal::{self, quoted},
};

/// Files that a command is shown with.
const MOST: usize = 3;

/// A block for each kind, before which a line is left free; nothing where all is here. `pipelines` are the files that read it.
pub(super) fn blocks(absent: &Absent, pipelines: &[&Path]) -> String {
    files(absent) + &downloads(absent, pipelines)
}

/// Local files.
pub(super) fn files(absent: &Absent) -> String {
    let mut text = String::new();
    for file in absent.files.values() {
        let what = file.what.map(|what| format!(": {what}")).unwrap_or_default();
        let size = file.bytes.map(|size| format!(" (about {})", bytes(size))).unwrap_or_default();
        let _ = write!(text, "\n  {}{what}{size}\n    {}", file.said(), terminal::name(&file.help));
    }
    if text.is_empty() { text } else { format!("\n\nnot here:{text}") }
}

/// Files from addresses.
fn downloads(absent: &Absent, pipelines: &[&Path]) -> String {
    if absent.downloads.is_empty() {
        return String::new();
    }
    let mut text = "\n\nto download:".to_owned();
    for file in &absent.downloads {
        let size =
            file.bytes.map_or_else(|| "size not known".to_owned(), |size| format!("about {}", bytes(size)));
        let _ = write!(text, "\n  {} ({size})", file.what);
    }
    let total: u64 = absent.downloads.iter().filter_map(|file| file.bytes).sum();
    text + &format!("\n  {} in all", bytes(total)) + &fetch(absent, pipelines)
}

/// The command that brings the files from addresses, on a line of its own.
pub(super) fn fetch(absent: &Absent, pipelines: &[&Path]) -> String {
    if absent.downloads.is_empty() {
        return String::new();
    }
    let named = pipelines.iter().map(|path| quoted(&path.to_string_lossy())).collect::<Vec<_>>().join(" ");
    let named = if pipelines.len() > MOST { "FILE..." } else { &named };
    format!("\n  `sida fetch {named}` brings them, as `run` does")
}
