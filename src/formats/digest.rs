//! `Digest`: what a finished file or folder holds, so that damage is noticed.

use std::{path::Path, time::UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{files_below, small_file::regular_file};
use crate::{Error, Result};

/// What a file, or a folder with all that lies below it, holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Size; of a folder, of all its files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// When the newest file was written, in nanoseconds since 1970; only a hint whether to look again.
    pub written_ns: u64,
    /// BLAKE3 of the contents; of a folder, of the names, sizes and contents in it.
    pub blake3: String,
}

impl Digest {
    /// Reads everything.
    ///
    /// # Errors
    /// `Io` for what cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let mut hash = blake3::Hasher::new();
        let mut digest = Self::walk(path, |file, name, bytes| {
            if let Some(name) = name {
                hash.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
                hash.update(&bytes.to_le_bytes());
            }
            let reader = regular_file(file).map_err(|why| why.about(file, "file"))?;
            hash.update_reader(reader).map_err(Error::io("read", file))?;
            Ok(())
        })?;
        digest.blake3 = hash.finalize().to_hex().to_string();
        Ok(digest)
    }

    /// The size of a file, or of all files below a folder.
    ///
    /// # Errors
    /// `Io` for what cannot be listed.
    pub fn size(path: &Path) -> Result<u64> {
        Ok(Self::walk(path, |_, _, _| Ok(()))?.bytes)
    }

    /// What is wrong with `path` now; `None` where it still holds this. A file of the same size that was not written
    /// since is believed, unless `thorough`.
    pub fn damage(&self, path: &Path, thorough: bool) -> Option<String> {
        if !path.exists() {
            return Some("is gone".to_owned());
        }
        let now = match Self::walk(path, |_, _, _| Ok(())) {
            Ok(now) => now,
            Err(error) => return Some(format!("cannot be read ({error})")),
        };
        if now.files != self.files {
            return Some(format!("holds {} of {} files", now.files, self.files));
        }
        if now.bytes != self.bytes {
            return Some(format!("has {} bytes and had {}", now.bytes, self.bytes));
        }
        if !thorough && now.written_ns == self.written_ns {
            return None;
        }
        match Self::of(path) {
            Ok(now) if now.blake3 == self.blake3 => None,
            Ok(_) => Some("was changed after it was made".to_owned()),
            Err(error) => Some(format!("cannot be read ({error})")),
        }
    }

    /// Sizes and times; `visit` gets every file, its name below the folder, and its size.
    fn walk(path: &Path, mut visit: impl FnMut(&Path, Option<&str>, u64) -> Result<()>) -> Result<Self> {
        let mut all = Self { bytes: 0, files: 0, written_ns: 0, blake3: String::new() };
        files_below(path, &mut |file, name, metadata| {
            let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            all.bytes += metadata.len();
            all.files += 1;
            all.written_ns = all.written_ns.max(written.map_or(0, |since| since.as_nanos() as u64));
            visit(file, name, metadata.len())
        })?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn damage_of_a_file_and_of_a_folder_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("images");
        fs::create_dir_all(folder.join("b")).unwrap();
        fs::write(folder.join("a"), "one").unwrap();
        fs::write(folder.join("b/c"), "two").unwrap();
        let digest = Digest::of(&folder).unwrap();
        assert_eq!((digest.files, digest.bytes), (2, 6));
        assert_eq!(digest.damage(&folder, true), None);

        let whole = fs::metadata(folder.join("a")).unwrap().modified().unwrap();
        fs::write(folder.join("a"), "0ne").unwrap();
        assert_eq!(digest.damage(&folder, false).unwrap(), "was changed after it was made");
        let set_back = |time| {
            fs::File::options().write(true).open(folder.join("a")).unwrap().set_modified(time).unwrap();
        };
        set_back(whole);
        assert_eq!(digest.damage(&folder, true).unwrap(), "was changed after it was made");
        fs::write(folder.join("a"), "one").unwrap();
        assert_eq!(digest.damage(&folder, false), None, "written again, and the same");
        fs::write(folder.join("a"), "on").unwrap();
        assert_eq!(digest.damage(&folder, false).unwrap(), "has 5 bytes and had 6");
        fs::remove_file(folder.join("a")).unwrap();
        assert_eq!(digest.damage(&folder, false).unwrap(), "holds 1 of 2 files");
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(digest.damage(&folder, false).unwrap(), "is gone");
    }
}
