//! The terminal: the one door through which text leaves the program for it.
//!
//! Names of files, tensors and classes, and lines of YAML are other people's text: a terminal would obey the control
//! characters in them. And standard error may be gone (a full disk, a closed pipe) while days of training go on:
//! what cannot be said is dropped, and nothing else happens.

use std::{
    borrow::Cow,
    env,
    io::{self, IsTerminal as _, Write},
    path::Path,
    sync::OnceLock,
};

use serde_json::{Map, Value, json};
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime as _, SystemTime},
};

use crate::secret;

/// How standard error is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// One JSON object per line.
    pub json: bool,
    /// Nothing but errors.
    pub quiet: bool,
}

static VOICE: OnceLock<Voice> = OnceLock::new();

/// Chooses how standard error is written, once and for all.
pub fn speak(voice: Voice) {
    VOICE.get_or_init(|| voice);
}

fn voice() -> Voice {
    VOICE.get().copied().unwrap_or_default()
}

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

/// Whether GitHub reads what is written, and obeys lines that begin with `::`.
pub fn is_github() -> bool {
    static GITHUB: OnceLock<bool> = OnceLock::new();
    *GITHUB.get_or_init(|| env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true"))
}

/// A line that GitHub is to obey: to standard output, or to standard error where `aside`. Where both hold JSON and
/// nothing else, nobody reads it.
pub fn command(line: &str, aside: bool) {
    let written = match aside {
        false => send(&mut io::stdout().lock(), &plain(line)),
        true if voice().json => Ok(()),
        true => send(&mut io::stderr().lock(), &plain(line)),
    };
    drop(written);
}

/// A line of progress, to standard error; dropped where that cannot be written.
pub fn note(line: &str) {
    progress(|| line.to_owned(), || Map::from_iter([("message".to_owned(), line.trim().into())]));
}

/// Progress, as a line or as the fields of a JSON object.
pub fn progress(line: impl FnOnce() -> String, fields: impl FnOnce() -> Map<String, Value>) {
    match voice() {
        Voice { quiet: true, .. } => {}
        Voice { json: true, .. } => object("INFO", fields()),
        Voice { json: false, .. } => to_stderr(&line()),
    }
}

/// An error, as text or as JSON objects.
pub fn error(text: &str, objects: impl IntoIterator<Item = Map<String, Value>>) {
    if voice().json {
        objects.into_iter().for_each(|fields| object("ERROR", fields));
    } else {
        to_stderr(text);
    }
}

/// A line of the log as a JSON object: when, how grave, and what.
fn object(level: &str, fields: Map<String, Value>) {
    let mut now = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut now));
    let mut object =
        Map::from_iter([("timestamp".to_owned(), json!(now)), ("level".to_owned(), json!(level))]);
    object.extend(fields);
    to_stderr(&Value::Object(object).to_string());
}

/// Whether somebody looks at standard error through a terminal that can redraw a line.
pub fn is_lively() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    voice() == Voice::default() && !dumb && io::stderr().is_terminal()
}

fn to_stderr(line: &str) {
    let _ = write(&mut io::stderr().lock(), line);
}

fn write(to: &mut impl Write, line: &str) -> io::Result<()> {
    let line = plain(line);
    if is_github() { send(to, &inert(&line)) } else { send(to, &line) }
}

fn send(to: &mut impl Write, line: &str) -> io::Result<()> {
    to.write_all(line.as_bytes())?;
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

/// Lines in which GitHub finds nothing to obey: a command begins with `::`, or is anywhere in `##[` and `]`.
fn inert(lines: &str) -> String {
    let line = |line: &str| {
        let line = line.replace("##[", r"#\u0023[");
        let rest = line.trim_start();
        match rest.strip_prefix("::") {
            Some(after) => format!(r"{}\u003a:{after}", &line[..line.len() - rest.len()]),
            None => line,
        }
    };
    lines.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Somebody's name for something, on one line: line ends and tabs are escaped, too.
pub fn name(text: &str) -> Cow<'_, str> {
    if text.contains(is_obeyed) { Cow::Owned(escaped(text, is_obeyed)) } else { Cow::Borrowed(text) }
}

/// A path, on one line.
pub fn path(path: &Path) -> String {
    name(&path.to_string_lossy()).into_owned()
}

/// A word as a shell reads it, without credentials.
pub fn quoted(word: &str) -> String {
    let word = secret::masked(word);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
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
        let text = String::from_utf8_lossy(bytes);
        let text = if is_github() { inert(&plain(&text)) } else { plain(&text).into_owned() };
        let _ = io::stderr().lock().write_all(text.as_bytes());
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
        let json = json!({ "a": hostile }).to_string();
        let read: Value = serde_json::from_str(&plain(&json)).unwrap();
        assert_eq!(read["a"], hostile);
    }

    #[test]
    fn github_obeys_nothing_that_somebody_else_wrote() {
        let hostile = "a ::b\n  ::error::c\nd ##[add-mask]e\r::f";
        assert_eq!(inert(hostile), "a ::b\n  \\u003a:error::c\nd #\\u0023[add-mask]e\r::f");
    }

    #[test]
    fn credentials_do_not_leave() {
        assert_eq!(plain("from https://u:p@h/a\u{1b}"), r"from https://***:***@h/a\u001b");
    }

    #[test]
    fn a_command_can_be_pasted_and_holds_no_credentials() {
        assert_eq!(quoted("--set"), "--set");
        assert_eq!(quoted("a='b c'"), r"'a='\''b c'\'''");
        assert_eq!(quoted("x=https://me:pw@h/a"), "'x=https://***:***@h/a'");
        assert_eq!(quoted(""), "''");
    }
}
