//! `FileBytes`: the bytes of a file, read where they are needed and only once.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    recognised::{Kind, Recognised},
    small_file::regular_file,
};
use crate::{Error, Result};

/// Bytes that can be read at any place: a file, or what came out of an archive.
#[derive(Debug)]
pub struct FileBytes {
    path: PathBuf,
    len: u64,
    bytes: Held,
}

#[derive(Debug)]
enum Held {
    File(File),
    Memory(Vec<u8>),
}

/// A range of a `FileBytes` that is known to lie inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// Number of bytes.
    pub len: u64,
}

impl FileBytes {
    /// Opens a file. Its length is taken now; a file that shrinks later gives `Error::Io`.
    ///
    /// # Errors
    /// `Io`; `BadFile` for a folder or a device.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = regular_file(&path).map_err(|why| why.about(&path, "file"))?;
        Self::unnamed(&path, file)
    }

    /// Bytes in memory; `path` is what error messages call them.
    pub fn memory(path: impl AsRef<Path>, bytes: Vec<u8>) -> Self {
        Self { path: path.as_ref().to_path_buf(), len: bytes.len() as u64, bytes: Held::Memory(bytes) }
    }

    /// All of an open file; `path` is what error messages call it.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn unnamed(path: &Path, file: File) -> Result<Self> {
        let len = file.metadata().map_err(Error::io("read", path))?.len();
        Ok(Self { path: path.to_path_buf(), len, bytes: Held::File(file) })
    }

    /// The first bytes of something of `len` bytes in all; the others cannot be read.
    pub(super) fn beginning(path: &Path, bytes: Vec<u8>, len: u64) -> Self {
        Self { path: path.to_path_buf(), len, bytes: Held::Memory(bytes) }
    }

    /// The file's name, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it.
    pub fn whole(&self) -> Span {
        Span { start: 0, len: self.len }
    }

    /// `start..start + len`, or `None` where that is not inside.
    pub fn span(&self, start: u64, len: u64) -> Option<Span> {
        (start.checked_add(len)? <= self.len).then_some(Span { start, len })
    }

    /// Whether it begins so.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn starts_with(&self, head: &[u8]) -> Result<bool> {
        Ok(self.read(Span { start: 0, len: self.len.min(head.len() as u64) })? == head)
    }

    /// Reads a range into memory of its own.
    ///
    /// # Errors
    /// `Io`; `BadFile` for a range that is not inside.
    pub fn read(&self, span: Span) -> Result<Vec<u8>> {
        let checked = self.span(span.start, span.len).and_then(|span| usize::try_from(span.len).ok());
        let len = checked.ok_or_else(|| self.bad("file", "a range outside of it was asked for"))?;
        let mut bytes = vec![0; len];
        self.read_at(span.start, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `into` from `start` on; all of it must be there.
    ///
    /// # Errors
    /// `Io`, or `BadFile` where the bytes end before.
    pub fn read_at(&self, start: u64, into: &mut [u8]) -> Result<()> {
        match &self.bytes {
            Held::File(file) => read_exact_at(file, into, start).map_err(Error::io("read", &self.path)),
            Held::Memory(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let found = bytes.get(start..).and_then(|rest| rest.get(..into.len()));
                into.copy_from_slice(found.ok_or_else(|| self.bad("file", "it is truncated"))?);
                Ok(())
            }
        }
    }

    /// What it is, by its first bytes.
    ///
    /// # Errors
    /// `Io`.
    pub fn recognised(&self) -> Result<Option<Recognised>> {
        let head = Span { start: 0, len: self.len.min(Recognised::HEAD as u64) };
        Ok(Recognised::of(&self.read(head)?))
    }

    /// The error of a reader that `reads` such files, in better words where this file is of another kind, or ends in zeros.
    pub fn explained(&self, format: &'static str, reads: &[Kind], error: Error) -> Error {
        match (&error, self.recognised()) {
            (Error::BadFile { .. }, Ok(Some(found))) if !reads.contains(&found.kind) => {
                self.bad(format, format!("it is {found}"))
            }
            (Error::BadFile { problem, .. }, Ok(_)) if self.ends_in_zeros() => {
                let zeros = "it ends in zeros, as an interrupted copy leaves it: copy or download it again";
                self.bad(format, format!("{zeros} ({problem})"))
            }
            _ => error,
        }
    }

    /// Whether there is nothing where its end should be: room was made for a file that never came whole.
    fn ends_in_zeros(&self) -> bool {
        let len = self.len.min(Recognised::HEAD as u64);
        let tail = self.read(Span { start: self.len - len, len });
        tail.is_ok_and(|tail| tail.len() == Recognised::HEAD && tail.iter().all(|&byte| byte == 0))
    }

    /// `Error::BadFile` about this file.
    pub fn bad(&self, format: &'static str, problem: impl Into<String>) -> Error {
        Error::bad_file(&self.path, format, problem)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, into: &mut [u8], start: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, start)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut into: &mut [u8], mut start: u64) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !into.is_empty() {
        match file.seek_read(into, start)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                into = &mut into[n..];
                start += n as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_the_file_really_is() {
        let said = |bytes: &[u8]| {
            let source = FileBytes::memory("a.pkl", bytes.to_vec());
            let error = source.bad("pickle", "unknown instruction");
            source.explained("pickle", &[Kind::Pickle], error).to_string()
        };
        assert!(said(b"<html>").contains("it is an HTML page"));
        assert!(said(b"\x80\x04}").ends_with("unknown instruction"));
        assert!(said(&[&b"\x80\x04}"[..], &[0; 8000]].concat()).contains("it ends in zeros"));
        assert!(said(&[&b"\x80\x04}"[..], &[0; 100]].concat()).ends_with("unknown instruction"));
        assert!(said(b"\x01\x02\x03").ends_with("unknown instruction"), "nobody knows");
        let source = FileBytes::memory("a.pkl", b"<html>".to_vec());
        let forbidden = Error::ForbiddenGlobal { path: "a.pkl".into(), global: "os.system".into() };
        assert!(source.explained("pickle", &[], forbidden).to_string().contains("os.system"));
    }

    #[test]
    fn a_file_and_its_bytes_read_alike_and_never_outside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"0123456789").unwrap();
        for source in [FileBytes::open(&path).unwrap(), FileBytes::memory(&path, b"0123456789".to_vec())] {
            assert_eq!(source.read(source.span(3, 4).unwrap()).unwrap(), b"3456");
            assert_eq!(source.span(8, 3), None);
            assert_eq!(source.span(u64::MAX, 2), None);
            assert!(source.read(Span { start: 8, len: 3 }).is_err());
            assert!(source.read(Span { start: 0, len: u64::MAX }).is_err());
        }
    }
}
