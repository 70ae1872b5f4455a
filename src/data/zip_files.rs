//! `ZipFiles`: the files of a zip, read from any number of threads at once.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, ZipArchive};

use crate::{Error, Result};

/// Size of a local header without the name and the extra field.
const LOCAL_HEADER: u64 = 30;

/// An open zip: its directory, and the file to read from.
#[derive(Debug)]
pub(in crate::data) struct ZipFiles {
    path: PathBuf,
    file: File,
    file_bytes: u64,
    names: Vec<String>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    header_start: u64,
    compressed: u64,
    size: u64,
    crc32: u32,
    method: CompressionMethod,
}

impl ZipFiles {
    pub(in crate::data) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let file_bytes = file.metadata().map_err(Error::io("read", path))?.len();
        let bad = |problem: String| Error::bad_file(path, "dataset zip", problem);
        let unreadable = |e: zip::result::ZipError| {
            bad(format!("it is truncated or no zip at all ({e}): copy or download it again"))
        };
        let reader = file.try_clone().map_err(Error::io("read", path))?;
        let archive = ZipArchive::new(BufReader::new(reader)).map_err(unreadable)?;
        if archive.has_duplicate_names() {
            return Err(bad("two of its entries have the same name: make it again".to_owned()));
        }
        let mut listed = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let data = archive.by_index_data(index).map_err(unreadable)?;
            let name = data.name().map_err(unreadable)?.into_owned();
            if data.is_dir() {
                continue;
            }
            if leaves_the_zip(&name) {
                return Err(bad(format!(
                    "entry `{name}` points outside of the zip: refused; make it again with relative names"
                )));
            }
            if data.encrypted() {
                return Err(bad(format!("entry `{name}` is encrypted: make it again without a password")));
            }
            let entry = Entry {
                header_start: data.header_start(),
                compressed: data.compressed_size(),
                size: data.size(),
                crc32: data.crc32(),
                method: data.compression(),
            };
            listed.push((name, entry));
        }
        listed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let (names, entries) = listed.into_iter().unzip();
        Ok(Self { path: path.to_path_buf(), file, file_bytes, names, entries })
    }

    pub(in crate::data) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::data) fn names(&self) -> &[String] {
        &self.names
    }

    pub(in crate::data) fn fingerprint(&self, index: usize) -> (u64, u32) {
        (self.entries[index].size, self.entries[index].crc32)
    }

    pub(in crate::data) fn bad(&self, name: &str, problem: &str) -> Error {
        Error::bad_file(&self.path, "dataset zip", format!("entry `{name}` {problem}"))
    }

    /// A whole entry, its checksum compared.
    pub(in crate::data) fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let entry = &self.entries[index];
        let bad = |problem: &str| self.bad(&self.names[index], problem);
        if entry.size > limit {
            return Err(bad(&format!("claims {} bytes, too many for a file of a dataset", entry.size)));
        }
        let bytes = self.peek(index, entry.size + 1)?;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        if bytes.len() as u64 != entry.size || crc.sum() != entry.crc32 {
            return Err(bad("is damaged (size or checksum differ): copy or download the zip again"));
        }
        Ok(bytes)
    }

    /// The first bytes of an entry, at most `limit` of them; no checksum is compared.
    pub(in crate::data) fn peek(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let entry = &self.entries[index];
        let bad = |problem: &str| self.bad(&self.names[index], problem);
        let start = self.data_start(entry).map_err(Error::io("read", &self.path))?;
        if start.saturating_add(entry.compressed) > self.file_bytes {
            return Err(bad("reaches beyond the end of the file: copy or download the zip again"));
        }
        let mut bytes = Vec::new();
        let data = At { file: &self.file, position: start }.take(entry.compressed);
        let read = match entry.method {
            CompressionMethod::Stored => data.take(limit).read_to_end(&mut bytes),
            CompressionMethod::Deflated => {
                flate2::bufread::DeflateDecoder::new(BufReader::new(data)).take(limit).read_to_end(&mut bytes)
            }
            method => return Err(bad(&format!("is compressed with {method}: store or deflate it"))),
        };
        match read {
            Ok(_) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput || e.kind() == io::ErrorKind::InvalidData => {
                Err(bad("is damaged (it does not decompress): copy or download the zip again"))
            }
            Err(e) => Err(Error::io("read", &self.path)(e)),
        }
    }

    /// Where an entry's data start: behind the local header, whose lengths may differ from the directory's.
    fn data_start(&self, entry: &Entry) -> io::Result<u64> {
        let mut header = [0; LOCAL_HEADER as usize];
        At { file: &self.file, position: entry.header_start }.read_exact(&mut header)?;
        let length = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        Ok(entry.header_start + LOCAL_HEADER + length(26) + length(28))
    }
}

/// Whether a name could end up elsewhere than below the folder it is unpacked into.
fn leaves_the_zip(name: &str) -> bool {
    let absolute = name.starts_with(['/', '\\']) || name.get(1..2) == Some(":");
    absolute || name.contains('\0') || name.split(['/', '\\']).any(|part| part == "..")
}

/// Reads a file from a position of its own, so that threads can share the file.
struct At<'a> {
    file: &'a File,
    position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.position)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(self.file, buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
pub(in crate::data) mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    /// Writes a zip of the given entries.
    pub(in crate::data) fn write_zip(path: &Path, entries: &[(&str, &[u8])], method: CompressionMethod) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in entries {
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn stored_and_deflated_entries_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let path = dir.path().join("x.zip");
            write_zip(&path, &[("b", &[7; 1000]), ("a", b"text")], method);
            let zip = ZipFiles::open(&path).unwrap();
            assert_eq!(zip.names(), ["a", "b"]);
            assert_eq!(zip.read(0, 1000).unwrap(), b"text");
            assert_eq!(zip.read(1, 1000).unwrap(), [7; 1000]);
            assert_eq!(zip.peek(1, 3).unwrap(), [7; 3]);
            let error = zip.read(1, 999).unwrap_err().to_string();
            assert!(error.contains("entry `b` claims 1000 bytes"), "{error}");
        }
    }

    #[test]
    fn names_that_leave_the_zip_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:\\evil.png", "a\\..\\b.png"] {
            let path = dir.path().join("x.zip");
            write_zip(&path, &[(name, b"")], CompressionMethod::Stored);
            let error = ZipFiles::open(&path).unwrap_err().to_string();
            assert!(error.contains("points outside of the zip"), "{name}: {error}");
        }
        assert!(!leaves_the_zip("a..b/..c.png"));
    }

    #[test]
    fn a_truncated_zip_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.zip");
        write_zip(&path, &[("a.png", &[7; 500])], CompressionMethod::Stored);
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 10, 300, bytes.len() - 5] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = ZipFiles::open(&path).unwrap_err().to_string();
            assert!(error.contains("truncated or no zip at all"), "{length}: {error}");
            assert!(error.contains("download it again"), "{length}: {error}");
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.zip");
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            write_zip(&path, &[("a.png", b"some bytes of an image")], method);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[45] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let error = ZipFiles::open(&path).unwrap().read(0, 1000).unwrap_err().to_string();
            assert!(error.contains("entry `a.png` is damaged"), "{error}");
        }
    }
}
