//! Results, on standard output.

use crate::terminal;

/// Writes a line. A reader that has gone away, such as `head`, is no error; anything else is said.
pub(super) fn line(text: impl AsRef<str>) {
    if let Err(error) = terminal::result(text.as_ref()) {
        terminal::note(&format!("cannot write to standard output: {error}"));
    }
}

/// Writes a result as JSON.
pub(super) fn json(value: &serde_json::Value) {
    line(format!("{value:#}"));
}
