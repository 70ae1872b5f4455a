//! Results, on standard output.

use std::io::{ErrorKind, Write};

/// Writes a line. A reader that has gone away, such as `head`, is no error; anything else is said once.
pub(super) fn line(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(text.as_ref().as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("cannot write to standard output: {error}");
    }
}
