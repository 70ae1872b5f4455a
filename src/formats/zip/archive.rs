//! `ZipArchive`: random access to the entries of a zip, with limits.

use std::{collections::HashMap, io::Read, path::Path};

use super::{
    super::source::{Source, Span},
    directory::{Method, ZipEntry, read_directory, u16_at},
};
use crate::Result;

/// What an archive may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most entries.
    pub entries: u64,
    /// The most bytes that one entry may unpack to.
    pub entry_size: u64,
}

impl Default for Limits {
    /// Enough for ImageNet's images one by one, and for an array of some GiB.
    fn default() -> Self {
        Self { entries: 4_000_000, entry_size: 8 << 30 }
    }
}

/// An open archive. Reading needs no exclusive access: many threads may read at once.
#[derive(Debug)]
pub struct ZipArchive {
    source: Source,
    format: &'static str,
    limits: Limits,
    entries: Vec<ZipEntry>,
    by_name: HashMap<String, usize>,
}

impl ZipArchive {
    /// Opens a file; `format` is what error messages call it, such as `dataset zip`.
    ///
    /// # Errors
    /// As of `new`, and `Io`.
    pub fn open(path: impl AsRef<Path>, format: &'static str) -> Result<Self> {
        Self::new(Source::open(path)?, format, Limits::default())
    }

    /// Reads the directory of an archive. Names that leave the archive's folder are refused.
    ///
    /// # Errors
    /// `BadFile` for damage, names that leave, or more entries than the limit.
    pub fn new(source: Source, format: &'static str, limits: Limits) -> Result<Self> {
        let entries = read_directory(&source, format, limits.entries)?;
        let by_name = entries.iter().enumerate().map(|(i, entry)| (entry.name.clone(), i)).collect();
        Ok(Self { source, format, limits, entries, by_name })
    }

    /// Everything in it, in the directory's order.
    pub fn entries(&self) -> &[ZipEntry] {
        &self.entries
    }

    /// The entry of that name; of several, the last.
    pub fn entry(&self, name: &str) -> Option<&ZipEntry> {
        self.by_name.get(name).map(|&i| &self.entries[i])
    }

    /// The archive's own bytes.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Gives the bytes back, for readers of spans.
    pub fn into_source(self) -> Source {
        self.source
    }

    /// Unpacks an entry and checks its length and CRC.
    ///
    /// # Errors
    /// `BadFile` for damage, an unknown method, encryption, or more bytes than the limit.
    pub fn read(&self, entry: &ZipEntry) -> Result<Vec<u8>> {
        if entry.size > self.limits.entry_size {
            return Err(
                self.bad(entry, format!("is {} bytes, the limit is {}", entry.size, self.limits.entry_size))
            );
        }
        let packed = self.source.read(self.packed_span(entry)?)?;
        let bytes = match entry.method {
            Method::Stored => packed,
            Method::Deflated => self.inflate(entry, &packed)?,
            Method::Unknown(method) => {
                return Err(self.bad(entry, format!("is packed by method {method}, which is not supported")));
            }
        };
        if bytes.len() as u64 != entry.size {
            return Err(self.bad(entry, format!("has {} bytes instead of {}", bytes.len(), entry.size)));
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        if crc.sum() != entry.crc32 {
            return Err(self.bad(entry, "is damaged: its checksum does not match".to_owned()));
        }
        Ok(bytes)
    }

    /// Where a stored entry's bytes lie in the archive.
    ///
    /// # Errors
    /// `BadFile` where it is packed, or not where the directory says.
    pub fn span(&self, entry: &ZipEntry) -> Result<Span> {
        if entry.method != Method::Stored || entry.size != entry.packed_size {
            return Err(self.bad(entry, "is packed where it must be stored".to_owned()));
        }
        self.packed_span(entry)
    }

    fn packed_span(&self, entry: &ZipEntry) -> Result<Span> {
        if entry.encrypted {
            return Err(self.bad(entry, "is encrypted".to_owned()));
        }
        let lost = || self.bad(entry, "lies beyond the end of the archive: it is truncated".to_owned());
        let header = self.source.read(self.source.span(entry.header, 30).ok_or_else(lost)?)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(self.bad(entry, "has no header where the directory says".to_owned()));
        }
        let start = entry.header + 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        self.source.span(start, entry.packed_size).ok_or_else(lost)
    }

    fn inflate(&self, entry: &ZipEntry, packed: &[u8]) -> Result<Vec<u8>> {
        // Deflate expands at most about 1030-fold; what claims more lies, and gets no memory for it.
        let mut bytes = Vec::with_capacity(entry.size.min(packed.len() as u64 * 1040) as usize);
        let inflated = flate2::read::DeflateDecoder::new(packed).take(entry.size + 1).read_to_end(&mut bytes);
        inflated.map_err(|e| self.bad(entry, format!("cannot be unpacked: {e}")))?;
        Ok(bytes)
    }

    fn bad(&self, entry: &ZipEntry, problem: String) -> crate::Error {
        self.source.bad(self.format, format!("entry `{}` {problem}", entry.name))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn written(files: &[(&str, &[u8], CompressionMethod)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes, method) in files {
            let options =
                SimpleFileOptions::default().compression_method(*method).large_file(name.contains("big"));
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn open(bytes: Vec<u8>, limits: Limits) -> Result<ZipArchive> {
        ZipArchive::new(Source::memory("test.zip", bytes), "zip", limits)
    }

    #[test]
    fn reads_what_was_written() {
        let zeros = vec![0; 100_000];
        let files: [(&str, &[u8], _); 3] = [
            ("a/stored", b"hello", CompressionMethod::Stored),
            ("packed", &zeros, CompressionMethod::Deflated),
            ("big", b"zip64", CompressionMethod::Stored),
        ];
        let archive = open(written(&files), Limits::default()).unwrap();
        for (name, bytes, _) in files {
            assert_eq!(archive.read(archive.entry(name).unwrap()).unwrap(), bytes);
        }
        let span = archive.span(archive.entry("a/stored").unwrap()).unwrap();
        assert_eq!(archive.source().read(span).unwrap(), b"hello");
        assert!(archive.span(archive.entry("packed").unwrap()).is_err(), "packed bytes have no span");
    }

    #[test]
    fn limits_and_damage_are_errors() {
        let zeros = vec![0; 100_000];
        let bytes =
            written(&[("x", &zeros, CompressionMethod::Deflated), ("y", b"abc", CompressionMethod::Stored)]);
        assert!(open(bytes.clone(), Limits { entries: 1, ..Limits::default() }).is_err());
        let small = open(bytes.clone(), Limits { entry_size: 99_999, ..Limits::default() }).unwrap();
        assert!(small.read(small.entry("x").unwrap()).is_err());
        let mut damaged = bytes.clone();
        let at = damaged.windows(3).position(|w| w == b"abc").unwrap();
        damaged[at] ^= 1;
        let damaged = open(damaged, Limits::default()).unwrap();
        assert!(damaged.read(damaged.entry("y").unwrap()).is_err());
        for cut in [0, 1, 10, bytes.len() / 2, bytes.len() - 1] {
            assert!(open(bytes[..cut].to_vec(), Limits::default()).is_err(), "cut at {cut}");
        }
    }
}
