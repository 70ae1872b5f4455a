//! Small files, read as a whole.

use std::{fs, io::Read, path::Path};

use crate::{Error, Result};

/// All of a regular file of at most `most` bytes.
///
/// # Errors
/// `Io`; `BadFile` for one that is larger, and for what is no file: a pipe may never end.
pub fn read_small(path: &Path, format: &'static str, most: u64) -> Result<Vec<u8>> {
    if !fs::metadata(path).map_err(Error::io("read", path))?.is_file() {
        return Err(Error::bad_file(path, format, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    let found = fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    if found.map_err(Error::io("read", path))? as u64 > most {
        return Err(Error::bad_file(path, format, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
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
