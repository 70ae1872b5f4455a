//! `Files`: a folder or a zip as a sorted list of named byte strings.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::labels;
use crate::{
    Error, Result,
    formats::{
        FileBytes,
        zip::{Limits, ZipArchive},
    },
};

/// The file in which classes are looked for, at the top of a folder or zip.
pub(in crate::data) const LABELS: &str = "dataset.json";

/// Nothing in a dataset is larger than this; what claims to be is refused before memory is asked for.
pub(in crate::data) const MAX_FILE_BYTES: u64 = 1 << 30;

/// A folder, with everything below it, or a zip.
#[derive(Debug)]
pub(in crate::data) enum Files {
    Folder { root: PathBuf, names: Vec<String> },
    Zip { archive: Box<ZipArchive>, names: Vec<String>, entries: Vec<usize> },
}

impl Files {
    /// Lists a folder or a zip; names are relative, with `/`, in the order of their bytes.
    pub(in crate::data) fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if !metadata.is_dir() {
            let limits = Limits { entry_size: MAX_FILE_BYTES, ..Limits::default() };
            let archive = Box::new(ZipArchive::new(FileBytes::open(path)?, "dataset zip", limits)?);
            let names = archive.entries().iter().map(|entry| entry.name.clone()).enumerate();
            let mut listed: Vec<(usize, String)> = names.collect();
            listed.sort_unstable_by(|a, b| a.1.cmp(&b.1));
            let (entries, names) = listed.into_iter().unzip();
            return Ok(Self::Zip { archive, names, entries });
        }
        let mut names = Vec::new();
        list(path, "", &mut names)?;
        names.sort_unstable();
        Ok(Self::Folder { root: path.to_path_buf(), names })
    }

    /// All names, in the order of their bytes.
    pub(in crate::data) fn names(&self) -> &[String] {
        match self {
            Self::Folder { names, .. } | Self::Zip { names, .. } => names,
        }
    }

    /// The number of a name.
    pub(in crate::data) fn find(&self, name: &str) -> Option<usize> {
        self.names().binary_search_by(|n| n.as_str().cmp(name)).ok()
    }

    /// The numbers of the files with one of these extensions, which are in lower case.
    pub(in crate::data) fn with_extension(&self, wanted: &[&str]) -> Vec<usize> {
        let is_wanted = |&i: &usize| wanted.contains(&extension(&self.names()[i]).as_str());
        (0..self.names().len()).filter(is_wanted).collect()
    }

    /// The names and classes of `dataset.json`; `None` where there is none, or it says `null`.
    pub(in crate::data) fn labels(&self) -> Result<Option<Vec<(String, u32)>>> {
        let Some(index) = self.find(LABELS) else { return Ok(None) };
        labels::parse(&self.read(index)?).map_err(|problem| self.bad(index, problem))
    }

    /// Feeds a hash with the names, sizes and checksums of files: the same for a folder and a zip of it, stored or
    /// deflated.
    pub(in crate::data) fn hash(&self, indices: Vec<usize>) -> Result<blake3::Hash> {
        let prints = indices.par_iter().map(|&index| self.fingerprint(index)).collect::<Result<Vec<_>>>()?;
        let mut hash = blake3::Hasher::new();
        for (index, (size, crc)) in indices.into_iter().zip(prints) {
            let name = self.names()[index].as_bytes();
            hash.update(&(name.len() as u64).to_le_bytes()).update(name);
            hash.update(&size.to_le_bytes()).update(&crc.to_le_bytes());
        }
        Ok(hash.finalize())
    }

    /// The first bytes of a file, at most `limit` of them.
    pub(in crate::data) fn peek(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        match self {
            Self::Folder { root, names } => {
                let path = root.join(&names[index]);
                let mut bytes = Vec::new();
                File::open(&path)
                    .and_then(|file| file.take(limit).read_to_end(&mut bytes))
                    .map_err(Error::io("read", &path))?;
                Ok(bytes)
            }
            Self::Zip { archive, entries, .. } => archive.peek(&archive.entries()[entries[index]], limit),
        }
    }

    /// A whole file.
    pub(in crate::data) fn read(&self, index: usize) -> Result<Vec<u8>> {
        match self {
            Self::Folder { .. } => {
                let bytes = self.peek(index, MAX_FILE_BYTES + 1)?;
                if bytes.len() as u64 > MAX_FILE_BYTES {
                    return Err(self.bad(index, "is too large for a file of a dataset"));
                }
                Ok(bytes)
            }
            Self::Zip { archive, entries, .. } => archive.read(&archive.entries()[entries[index]]),
        }
    }

    /// Size and CRC-32 of a file: from a zip's directory, or by reading.
    fn fingerprint(&self, index: usize) -> Result<(u64, u32)> {
        match self {
            Self::Folder { .. } => {
                let bytes = self.read(index)?;
                let mut crc = flate2::Crc::new();
                crc.update(&bytes);
                Ok((bytes.len() as u64, crc.sum()))
            }
            Self::Zip { archive, entries, .. } => {
                let entry = &archive.entries()[entries[index]];
                Ok((entry.size, entry.crc32))
            }
        }
    }

    /// An error about one file.
    pub(in crate::data) fn bad(&self, index: usize, problem: impl AsRef<str>) -> Error {
        let problem = problem.as_ref();
        match self {
            Self::Folder { root, names } => {
                Error::bad_file(root.join(&names[index]), "file of a dataset", format!("it {problem}"))
            }
            Self::Zip { archive, names, .. } => {
                archive.source().bad("dataset zip", format!("entry `{}` {problem}", names[index]))
            }
        }
    }

    /// An error about the whole.
    pub(in crate::data) fn bad_whole(&self, problem: impl Into<String>) -> Error {
        match self {
            Self::Folder { root, .. } => Error::bad_file(root, "dataset folder", problem),
            Self::Zip { archive, .. } => archive.source().bad("dataset zip", problem),
        }
    }
}

/// Lowercase extension.
pub(in crate::data) fn extension(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// Files below a folder; links to files are followed, links to folders are not (they may form a loop).
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list the folder", folder))? {
        let entry = entry.map_err(Error::io("list the folder", folder))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            return Err(Error::bad_file(&path, "file of a dataset", "its name is not UTF-8: rename it"));
        };
        let name = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if kind.is_dir() {
            list(&path, &format!("{name}/"), names)?;
        } else if kind.is_file() || path.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_with_its_subfolders() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        std::fs::write(dir.path().join("b/c/2.png"), b"xyz").unwrap();
        std::fs::write(dir.path().join("a.png"), b"").unwrap();
        let files = Files::open(dir.path()).unwrap();
        assert_eq!(files.names(), ["a.png", "b/c/2.png"]);
        assert_eq!(files.read(1).unwrap(), b"xyz");
        assert_eq!(files.peek(1, 2).unwrap(), b"xy");
        assert_eq!(files.find("b/c/2.png"), Some(1));
        assert_eq!(files.fingerprint(1).unwrap(), (3, 0xEB8E_BA67));
    }

    #[test]
    fn an_absent_path_is_named() {
        let error = Files::open(Path::new("/nowhere/data.zip")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read `/nowhere/data.zip`"), "{error}");
    }
}
