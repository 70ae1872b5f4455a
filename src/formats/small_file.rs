//! Small files, read as a whole.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use crate::{Error, Result};

/// Why a file is not read.
#[derive(Debug)]
pub enum Unread {
    /// It is no regular file: a pipe may never end.
    NoFile,
    /// It is too large.
    TooLarge,
    /// The system refused.
    Io(io::Error),
}

/// Opens a regular file. A pipe would wait for somebody to write, a device may never end; links are followed.
///
/// # Errors
/// Why it is not opened.
pub fn regular_file(path: &Path) -> std::result::Result<fs::File, Unread> {
    // Asked before, because opening a pipe already waits, and of what was opened, because the two may differ.
    let is_file = |metadata: io::Result<fs::Metadata>| match metadata {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(Unread::NoFile),
        Err(error) => Err(Unread::Io(error)),
    };
    is_file(fs::metadata(path))?;
    let file = fs::File::open(path).map_err(Unread::Io)?;
    is_file(file.metadata())?;
    Ok(file)
}

impl Unread {
    /// The error about a file that could not be read as a whole.
    pub fn about(self, path: &Path, format: &'static str) -> Error {
        match self {
            Self::NoFile => Error::bad_file(path, format, "it is not a regular file"),
            Self::TooLarge => Error::bad_file(path, format, "it is too large"),
            Self::Io(error) => Error::io("read", path)(error),
        }
    }
}

/// All of a regular file of at most `most` bytes.
///
/// # Errors
/// `Io`; `BadFile` for one that is larger, and for what is no file.
pub fn read_small(path: &Path, format: &'static str, most: u64) -> Result<Vec<u8>> {
    read_at_most(path, most).map_err(|why| match why {
        Unread::TooLarge => Error::bad_file(path, format, format!("it has more than {most} bytes")),
        why => why.about(path, format),
    })
}

/// The same, for those who have words of their own for what is wrong.
///
/// # Errors
/// Why it is not read.
pub fn read_at_most(path: &Path, most: u64) -> std::result::Result<Vec<u8>, Unread> {
    let file = regular_file(path)?;
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    let found = file.take(most + 1).read_to_end(&mut bytes);
    if found.map_err(Unread::Io)? as u64 > most { Err(Unread::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_no_file_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"1234").unwrap();
        assert_eq!(read_small(&path, "note", 4).unwrap(), b"1234");
        let said = |path: &Path, most| read_small(path, "note", most).unwrap_err().to_string();
        assert!(said(&path, 3).contains("not a usable note: it has more than 3 bytes"));
        assert!(said(dir.path(), 3).contains("not a regular file"));
        assert!(said(&dir.path().join("b"), 3).contains("cannot read"));
    }
}
