//! `Files`: a folder or a zip as a sorted list of named byte strings.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    decode, label_list,
    labels::Labels,
    pictures::{self, Counted},
    unwanted::is_unwanted,
};
use crate::{
    Error, Result,
    formats::{
        FileBytes, Kind, Met, walk,
        zip::{Limits, ZipArchive},
    },
};

/// The file in which classes are looked for, at the top of a folder or zip.
pub(in crate::data) const LABELS: &str = "dataset.json";

/// Nothing in a dataset is larger than this; what claims to be is refused before memory is asked for.
pub(in crate::data) const MAX_FILE_BYTES: u64 = 1 << 30;

/// A folder, with everything below it, or a zip. What a system or a tool left there is not in the list.
#[derive(Debug)]
pub(in crate::data) struct Files {
    names: Vec<String>,
    place: Place,
    hidden: Counted,
    again: Counted,
    broken: Vec<String>,
}

#[derive(Debug)]
enum Place {
    /// What unpacks a zip of Windows may leave names with `\` for `/`: these have another name on disk.
    Folder {
        root: PathBuf,
        on_disk: HashMap<String, String>,
    },
    Zip {
        archive: Box<ZipArchive>,
        entries: Vec<usize>,
    },
}

impl Files {
    /// Lists a folder or a zip; names are relative, with `/` (also where a zip of Windows has `\`), in the order of their
    /// bytes.
    pub(in crate::data) fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let files = if metadata.is_dir() { Self::folder(path)? } else { Self::zip(path)? };
        match files.names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                Err(files.bad_whole(format!("two of its files have the name `{}`: remove one", pair[0])))
            }
            None => Ok(files),
        }
    }

    fn zip(path: &Path) -> Result<Self> {
        let bytes = FileBytes::open(path)?;
        let found = bytes.recognised()?.filter(|found| found.kind != Kind::Zip);
        let limits = Limits { entry_size: MAX_FILE_BYTES, ..Limits::default() };
        let archive = ZipArchive::new(bytes, "dataset zip", limits).map_err(|error| match (&error, &found) {
            (Error::BadFile { format, .. }, Some(found)) => {
                Error::bad_file(path, format, format!("it is {}", pictures::recognised(found)))
            }
            _ => error,
        });
        let archive = Box::new(archive?);
        let (mut listed, mut hidden) = (Vec::with_capacity(archive.entries().len()), Counted::default());
        for (i, entry) in archive.entries().iter().enumerate() {
            let name = entry.name.replace('\\', "/");
            if name.split('/').any(is_unwanted) {
                hidden.add(&name);
            } else if !name.ends_with('/') {
                listed.push((name, i));
            }
        }
        listed.sort_unstable();
        let (names, entries) = listed.into_iter().unzip();
        let place = Place::Zip { archive, entries };
        Ok(Self { names, place, hidden, again: Counted::default(), broken: Vec::new() })
    }

    fn folder(root: &Path) -> Result<Self> {
        let place = Place::Folder { root: root.to_path_buf(), on_disk: HashMap::new() };
        let (hidden, again) = (Counted::default(), Counted::default());
        let mut files = Self { names: Vec::new(), place, hidden, again, broken: Vec::new() };
        walk(root, is_unwanted, &mut |path, name, met| {
            match met {
                Met::File if path.strip_prefix(root).unwrap_or(path).to_str().is_none() => {
                    return Err(Error::bad_file(
                        path,
                        "file of a dataset",
                        "its name is not UTF-8: rename it",
                    ));
                }
                Met::File => files.names.push(files.place.listed(name)),
                Met::Neither => files.broken.push(name.to_owned()),
                Met::Unwanted => files.hidden.add(name),
                Met::Again => files.again.add(name),
            }
            Ok(())
        })?;
        files.names.sort_unstable();
        Ok(files)
    }

    /// All names, in the order of their bytes.
    pub(in crate::data) fn names(&self) -> &[String] {
        &self.names
    }

    /// What a system or a tool left there.
    pub(in crate::data) fn hidden(&self) -> &Counted {
        &self.hidden
    }

    /// Links to folders whose files are listed under their own names.
    pub(in crate::data) fn again(&self) -> &Counted {
        &self.again
    }

    /// Links that lead nowhere, pipes and devices.
    pub(in crate::data) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Whether they lie in a zip.
    pub(in crate::data) fn is_zip(&self) -> bool {
        matches!(self.place, Place::Zip { .. })
    }

    /// The number of a name.
    pub(in crate::data) fn find(&self, name: &str) -> Option<usize> {
        self.names().binary_search_by(|n| n.as_str().cmp(name)).ok()
    }

    /// The numbers of the files with this extension, which is in lower case.
    pub(in crate::data) fn with_extension(&self, wanted: &str) -> Vec<usize> {
        (0..self.names().len()).filter(|&i| extension(&self.names()[i]) == wanted).collect()
    }

    /// What `dataset.json` says; `None` where there is none, or its labels are `null`.
    pub(in crate::data) fn labels(&self) -> Result<Option<Labels>> {
        let Some(index) = self.find(LABELS) else { return Ok(None) };
        let read = match &self.place {
            Place::Folder { .. } => {
                let path = self.path(index);
                let file = File::open(&path).map_err(Error::io("read", &path))?;
                let size = file.metadata().map_err(Error::io("read", &path))?.len();
                label_list::read(file, size)
            }
            Place::Zip { archive, entries } => {
                let entry = &archive.entries()[entries[index]];
                label_list::read(archive.reader(entry)?, entry.size)
            }
        };
        read.map_err(|problem| self.bad(index, problem))
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
        match &self.place {
            Place::Folder { .. } => {
                let path = self.path(index);
                let mut bytes = Vec::new();
                File::open(&path)
                    .and_then(|file| file.take(limit).read_to_end(&mut bytes))
                    .map_err(Error::io("read", &path))?;
                Ok(bytes)
            }
            Place::Zip { archive, entries, .. } => archive.peek(&archive.entries()[entries[index]], limit),
        }
    }

    /// A whole file.
    pub(in crate::data) fn read(&self, index: usize) -> Result<Vec<u8>> {
        match &self.place {
            Place::Folder { .. } => {
                let bytes = self.peek(index, MAX_FILE_BYTES + 1)?;
                if bytes.len() as u64 > MAX_FILE_BYTES {
                    return Err(self.bad(index, "is too large for a file of a dataset"));
                }
                Ok(bytes)
            }
            Place::Zip { archive, entries, .. } => archive.read(&archive.entries()[entries[index]]),
        }
    }

    /// The whole file of a picture.
    pub(in crate::data) fn picture(&self, index: usize) -> Result<Vec<u8>> {
        let bytes = self.size(index)?;
        if bytes > decode::EASY_FILE {
            let head = self.peek(index, decode::LONG_HEAD)?;
            decode::check_head(&head, bytes).map_err(|problem| self.bad(index, problem))?;
        }
        self.read(index)
    }

    /// How long a file is.
    pub(in crate::data) fn size(&self, index: usize) -> Result<u64> {
        match &self.place {
            Place::Folder { .. } => {
                let path = self.path(index);
                std::fs::metadata(&path).map(|file| file.len()).map_err(Error::io("read", &path))
            }
            Place::Zip { archive, entries, .. } => Ok(archive.entries()[entries[index]].size),
        }
    }

    /// Size and CRC-32 of a file: from a zip's directory, or by reading.
    fn fingerprint(&self, index: usize) -> Result<(u64, u32)> {
        match &self.place {
            Place::Folder { .. } => {
                let path = self.path(index);
                let mut file = File::open(&path).map_err(Error::io("read", &path))?;
                let (mut crc, mut size, mut chunk) = (flate2::Crc::new(), 0, vec![0; 1 << 16]);
                loop {
                    match file.read(&mut chunk).map_err(Error::io("read", &path))? {
                        0 => return Ok((size, crc.sum())),
                        count => {
                            crc.update(&chunk[..count]);
                            size += count as u64;
                        }
                    }
                }
            }
            Place::Zip { archive, entries, .. } => {
                let entry = &archive.entries()[entries[index]];
                Ok((entry.size, entry.crc32))
            }
        }
    }

    /// Where a file of a folder lies; of a zip, what it is called.
    pub(in crate::data) fn path(&self, index: usize) -> PathBuf {
        self.place.path(&self.names[index])
    }

    /// An error about one file.
    pub(in crate::data) fn bad(&self, index: usize, problem: impl AsRef<str>) -> Error {
        self.bad_named(&self.names[index], problem)
    }

    /// An error about something of this name.
    pub(in crate::data) fn bad_named(&self, name: &str, problem: impl AsRef<str>) -> Error {
        let problem = problem.as_ref();
        match &self.place {
            Place::Folder { .. } => {
                Error::bad_file(self.place.path(name), "file of a dataset", format!("it {problem}"))
            }
            Place::Zip { archive, .. } => {
                archive.source().bad("dataset zip", format!("entry `{name}` {problem}"))
            }
        }
    }

    /// An error about the whole.
    pub(in crate::data) fn bad_whole(&self, problem: impl Into<String>) -> Error {
        match &self.place {
            Place::Folder { root, .. } => Error::bad_file(root, "dataset folder", problem),
            Place::Zip { archive, .. } => archive.source().bad("dataset zip", problem),
        }
    }
}

impl Place {
    /// The name under which a file of a folder is listed.
    fn listed(&mut self, name: &str) -> String {
        let listed = name.replace('\\', "/");
        if let Self::Folder { on_disk, .. } = self
            && listed != name
        {
            on_disk.insert(listed.clone(), name.to_owned());
        }
        listed
    }

    fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder { root, on_disk } => root.join(on_disk.get(name).map_or(name, String::as_str)),
            Self::Zip { .. } => PathBuf::from(name),
        }
    }
}

/// Lowercase extension.
pub(in crate::data) fn extension(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
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
