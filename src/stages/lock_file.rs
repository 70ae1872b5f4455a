//! `LockFile`: beside a pipeline, what came from the addresses in it. Something else later is an error.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::addresses::Content;
use crate::{
    Error, Result,
    checkpoint::atomic,
    formats::{Unread, read_at_most},
    terminal,
};

const HEAD: &str = "\
# What came from the addresses of this pipeline: SHA-256, bytes, address. Written by sida.
# Another content later is an error; delete an address' line to accept one.
";
/// A lock file is smaller.
const LARGEST: u64 = 4 << 20;

/// The file `NAME.lock` beside `NAME.yaml`: a line per address, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile(PathBuf);

type Lines = BTreeMap<String, Content>;

impl LockFile {
    /// The one of a pipeline's file.
    pub fn beside(pipeline: &Path) -> Self {
        Self(pipeline.with_extension("lock"))
    }

    /// Its path, to be shown.
    pub(super) fn shown(&self) -> String {
        terminal::path(&self.0)
    }

    /// Whether it can be read; one that is not there can.
    ///
    /// # Errors
    /// `Usage` with the line that is none.
    pub fn check(&self) -> Result<()> {
        self.read().map(drop)
    }

    /// What came from an address, by its public form.
    pub(super) fn get(&self, address: &str) -> Option<Content> {
        self.read().ok()?.remove(address)
    }

    /// Writes down what came from an address. Where that cannot be written there is a warning and no more: pipelines may lie in
    /// a folder that is read-only.
    pub(super) fn set(&self, address: &str, content: &Content) {
        let written = self.read().and_then(|mut lines| {
            if lines.insert(address.to_owned(), content.clone()).as_ref() == Some(content) {
                return Ok(());
            }
            let line = |(address, content): (&String, &Content)| {
                format!("{}  {}  {address}\n", content.sha256, content.bytes)
            };
            let text = HEAD.to_owned() + &lines.iter().map(line).collect::<String>();
            atomic::write(&self.0, text.as_bytes())
        });
        if let Err(error) = written {
            tracing::warn!(
                "{}: what came from {} is not pinned: {error}",
                self.shown(),
                terminal::name(address)
            );
        }
    }

    fn read(&self) -> Result<Lines> {
        let refused = |problem: String| Error::Usage(format!("`{}`: {problem}", self.shown()));
        let bytes = match read_at_most(&self.0, LARGEST) {
            Ok(bytes) => bytes,
            Err(Unread::Io(error))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Lines::new());
            }
            Err(Unread::Io(error)) => return Err(refused(error.to_string())),
            Err(Unread::NoFile | Unread::TooLarge) => {
                return Err(refused("it is no file, or too large for a lock file".to_owned()));
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
        let mut lines = Lines::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (address, content) = parse(line).ok_or_else(|| {
                let number = number + 1;
                refused(format!(
                    "line {number} is not `SHA-256 bytes address`; delete it, and sida writes it anew"
                ))
            })?;
            if lines.insert(address.to_owned(), content).is_some() {
                return Err(refused(format!("line {} is about an address that has one already", number + 1)));
            }
        }
        Ok(lines)
    }
}

fn parse(line: &str) -> Option<(&str, Content)> {
    let (sha256, rest) = line.split_once(' ')?;
    let (bytes, address) = rest.trim_start().split_once(' ')?;
    let is_hash =
        sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let content = Content { sha256: sha256.to_owned(), bytes: bytes.parse().ok()? };
    is_hash.then_some((address.trim_start(), content))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_sorted_kept_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let lock = LockFile::beside(&dir.path().join("a.yaml"));
        let content = |digit: &str, bytes| Content { sha256: digit.repeat(64), bytes };
        lock.check().unwrap();
        for (address, content) in [
            ("https://b/x", content("1", 7)),
            ("https://a/x y", content("2", 8)),
            ("https://b/x", content("3", 9)),
        ] {
            lock.set(address, &content);
            assert_eq!(lock.get(address), Some(content));
        }
        let text = fs::read_to_string(dir.path().join("a.lock")).unwrap();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let [a, b] = ["2", "3"].map(|digit| digit.repeat(64));
        assert_eq!(lines, [format!("{a}  8  https://a/x y"), format!("{b}  9  https://b/x")]);
        assert_eq!(lock.get("https://c"), None);
    }

    #[test]
    fn what_is_no_line_is_said_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let lock = LockFile::beside(&dir.path().join("a.yaml"));
        let hash = "0".repeat(64);
        let good = format!("{hash}  1  https://a\n");
        for (text, number) in [
            ("<<<<<<< HEAD\n".to_owned(), 1),
            (format!("# comment\n\n{good}{good}"), 4),
            (format!("{hash}  x  https://a\n"), 1),
            (format!("{}  1  https://a\n", "g".repeat(64)), 1),
            (format!("{good}{hash}\n"), 2),
        ] {
            fs::write(dir.path().join("a.lock"), &text).unwrap();
            let error = lock.check().unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(&format!("line {number} ")), "{error}");
            // What somebody wrote is not replaced.
            lock.set("https://b", &Content { sha256: hash.clone(), bytes: 1 });
            assert_eq!(fs::read_to_string(dir.path().join("a.lock")).unwrap(), text);
        }
        fs::write(dir.path().join("a.lock"), [0xff; 9]).unwrap();
        assert!(lock.check().is_err());
    }

    /// Opening a pipe waits for somebody who writes.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let lock = LockFile::beside(&dir.path().join("a.yaml"));
        let made = std::process::Command::new("mkfifo").arg(&lock.0).status().unwrap();
        assert!(made.success());
        assert!(lock.check().unwrap_err().to_string().contains("it is no file"));
    }
}
