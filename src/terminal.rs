//! The terminal: the one door through which text leaves the program for it.
//!
//! Names of files, tensors and classes, and lines of YAML are other people's text: a terminal would obey the control
//! characters in them. And standard error may be gone (a full disk, a closed pipe) while days of training go on:
//! what cannot be said is dropped, and nothing else happens.

use std::{
    borrow::Cow,
    io::{self, Write},
    path::Path,
};

use crate::secret;

/// A line of a result, to standard output.
///
/// # Errors
/// The system's; a reader that has gone away, such as `head`, is none.
pub fn result(line: &str) -> io::Result<()> {
    match write(&mut io::stdout().lock(), line) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A line of progress or an error, to standard error; dropped where that cannot be written.
pub fn note(line: &str) {
    let _ = write(&mut io::stderr().lock(), line);
}

fn write(to: &mut impl Write, line: &str) -> io::Result<()> {
    to.write_all(plain(line).as_bytes())?;
    to.write_all(b"\n")?;
    to.flush()
}

/// Text that a terminal shows and does not obey, over several lines: control characters but for line ends and tabs,
/// and characters that reorder or hide their neighbours, become `\u001b` and the like (which JSON reads as the same
/// character). Credentials of addresses become `***`.
pub fn plain(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| !matches!(c, '\n' | '\t') && is_obeyed(c);
    match secret::masked(text) {
        Cow::Borrowed(text) if !text.contains(obeyed) => Cow::Borrowed(text),
        text => Cow::Owned(escaped(&text, obeyed)),
    }
}

/// Somebody's name for something, on one line: line ends and tabs are escaped, too.
pub fn name(text: &str) -> Cow<'_, str> {
    if text.contains(is_obeyed) { Cow::Owned(escaped(text, is_obeyed)) } else { Cow::Borrowed(text) }
}

/// A path, on one line.
pub fn path(path: &Path) -> String {
    name(&path.to_string_lossy()).into_owned()
}

/// Whether a terminal would do something else with it than show it.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escaped(text: &str, which: impl Fn(char) -> bool) -> String {
    let escape = |c: char| if which(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Where the log goes: standard error, through the same door.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(plain(&String::from_utf8_lossy(bytes)).as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_somebody_else_wrote() {
        let hostile = "a\u{1b}[2J\u{7}\r\u{9b}31m\u{202e}\u{7f}\0 b\n\tc";
        let shown = r"a\u001b[2J\u0007\u000d\u009b31m\u202e\u007f\u0000 b";
        assert_eq!(plain(hostile), format!("{shown}\n\tc"));
        assert_eq!(name(hostile), format!(r"{shown}\u000a\u0009c"));
        assert_eq!(path(Path::new("a\nb")), r"a\u000ab");
        assert!(matches!(plain("größer, 数字"), Cow::Borrowed(_)));
        // What is JSON stays JSON and means the same.
        let json = serde_json::json!({ "a": hostile }).to_string();
        let read: serde_json::Value = serde_json::from_str(&plain(&json)).unwrap();
        assert_eq!(read["a"], hostile);
    }

    #[test]
    fn credentials_do_not_leave() {
        assert_eq!(plain("from https://u:p@h/a\u{1b}"), r"from https://***:***@h/a\u001b");
    }
}
