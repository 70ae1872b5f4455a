//! `ZipArchive`: the entries of a zip, read at random from any number of threads, with limits.
//!
//! The crate `zip` reads the directory; entries are read here, because it would read them one after another.

use std::{
    collections::HashMap,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

use flate2::bufread::DeflateDecoder;
use zip::CompressionMethod;

use super::{
    file_bytes::{FileBytes, Span},
    recognised::Kind,
};
use crate::{Error, Result, terminal};

/// Size of a local header without the name and the extra field.
const LOCAL_HEADER: u64 = 30;
/// What to do about an archive that is not what it was when it was made.
const AGAIN: &str = "copy or download it again";

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

/// An open archive.
#[derive(Debug)]
pub struct ZipArchive {
    source: FileBytes,
    format: &'static str,
    limits: Limits,
    entries: Vec<ZipEntry>,
    by_name: HashMap<String, usize>,
}

/// One file of an archive.
#[derive(Clone, Debug)]
pub struct ZipEntry {
    /// Its path in the archive: relative, and nowhere out of it.
    pub name: String,
    /// Its length when unpacked.
    pub size: u64,
    /// Its CRC-32.
    pub crc32: u32,
    pub(super) packed_size: u64,
    method: CompressionMethod,
    header: u64,
}

impl ZipArchive {
    /// Reads the directory of an archive; folders are left out. `format` is what error messages call it, such as
    /// `dataset zip`.
    ///
    /// # Errors
    /// `BadFile` for damage, for names that leave the archive or stand twice, for encryption, and for more entries than
    /// the limit.
    pub fn new(source: FileBytes, format: &'static str, limits: Limits) -> Result<Self> {
        let bad = |problem: String| source.bad(format, problem);
        let unreadable = |e| {
            let error = bad(format!("it is truncated or no zip at all ({e}): {AGAIN}"));
            source.explained(format, &[Kind::Zip], error)
        };
        // Before an entry is held: a directory of millions of them takes gigabytes.
        let too_many =
            |entries: u64| bad(format!("it has {entries} entries; {} is the limit", limits.entries));
        if let Some(entries) = claimed_entries(&source)?.filter(|&entries| entries > limits.entries) {
            return Err(too_many(entries));
        }
        let reader = BufReader::new(At { source: &source, position: 0 });
        let archive = zip::ZipArchive::new(reader).map_err(unreadable)?;
        if archive.len() as u64 > limits.entries {
            return Err(too_many(archive.len() as u64));
        }
        if archive.has_duplicate_names() {
            return Err(bad("two of its entries have the same name: make it again".to_owned()));
        }
        let mut entries = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let data = archive.by_index_data(index).map_err(unreadable)?;
            let name = data.name().map_err(unreadable)?.into_owned();
            if data.is_dir() {
                continue;
            }
            let shown = terminal::name(&name);
            if leaves_the_archive(&name) {
                let problem = "points outside of the zip: refused; make it again with relative names";
                return Err(bad(format!("entry `{shown}` {problem}")));
            }
            if data.encrypted() {
                return Err(bad(format!("entry `{shown}` is encrypted: make it again without a password")));
            }
            entries.push(ZipEntry {
                size: data.size(),
                crc32: data.crc32(),
                packed_size: data.compressed_size(),
                method: data.compression(),
                header: data.header_start(),
                name,
            });
        }
        let by_name = entries.iter().enumerate().map(|(i, entry)| (entry.name.clone(), i)).collect();
        drop(archive);
        Ok(Self { source, format, limits, entries, by_name })
    }

    /// Everything in it, in the directory's order.
    pub fn entries(&self) -> &[ZipEntry] {
        &self.entries
    }

    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&ZipEntry> {
        self.by_name.get(name).map(|&i| &self.entries[i])
    }

    /// The archive's own bytes.
    pub fn source(&self) -> &FileBytes {
        &self.source
    }

    /// Gives the bytes back, for readers of spans.
    pub fn into_source(self) -> FileBytes {
        self.source
    }

    /// Unpacks an entry and checks its length and CRC.
    ///
    /// # Errors
    /// `BadFile` for damage, an unknown method, or more bytes than the limit.
    pub fn read(&self, entry: &ZipEntry) -> Result<Vec<u8>> {
        let limit = self.limits.entry_size;
        if entry.size > limit {
            return Err(self.bad(entry, format!("claims {} bytes, the limit is {limit}", entry.size)));
        }
        let bytes = self.peek(entry, entry.size + 1)?;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        if bytes.len() as u64 != entry.size || crc.sum() != entry.crc32 {
            return Err(self.bad(entry, format!("is damaged (size or checksum differ): {AGAIN}")));
        }
        Ok(bytes)
    }

    /// The first bytes of an entry, at most `limit` of them; no checksum is compared.
    ///
    /// # Errors
    /// `BadFile` for damage and an unknown method.
    pub fn peek(&self, entry: &ZipEntry, limit: u64) -> Result<Vec<u8>> {
        let Span { start, len } = self.packed_span(entry)?;
        let data = At { source: &self.source, position: start }.take(len);
        // Deflate expands at most about 1030-fold; what claims more lies, and gets no memory for it.
        let mut bytes = Vec::with_capacity(limit.min(entry.size).min(len.saturating_mul(1040)) as usize);
        let read = match entry.method {
            CompressionMethod::Stored => data.take(limit).read_to_end(&mut bytes),
            CompressionMethod::Deflated => {
                DeflateDecoder::new(BufReader::new(data)).take(limit).read_to_end(&mut bytes)
            }
            method => {
                return Err(self.bad(entry, format!("is compressed with {method}: store or deflate it")));
            }
        };
        match read {
            Ok(_) => Ok(bytes),
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                Err(self.bad(entry, format!("is damaged (it does not decompress): {AGAIN}")))
            }
            Err(e) => Err(Error::io("read", self.source.path())(e)),
        }
    }

    /// Unpacks an entry while it is read, for those who need no more than a part of it at a time. At its end length and
    /// CRC are compared; what is wrong is an error of the kind `InvalidData`.
    ///
    /// # Errors
    /// `BadFile` for an unknown method.
    pub fn reader<'a>(&'a self, entry: &'a ZipEntry) -> Result<Box<dyn Read + 'a>> {
        let Span { start, len } = self.packed_span(entry)?;
        let data = At { source: &self.source, position: start }.take(len);
        let unpacked: Box<dyn Read> = match entry.method {
            CompressionMethod::Stored => Box::new(data),
            CompressionMethod::Deflated => Box::new(DeflateDecoder::new(BufReader::new(data))),
            method => {
                return Err(self.bad(entry, format!("is compressed with {method}: store or deflate it")));
            }
        };
        // One byte more than it claims is enough to see that it lies.
        let unpacked = unpacked.take(entry.size.saturating_add(1));
        Ok(Box::new(Checked { unpacked, entry, read: 0, crc: flate2::Crc::new() }))
    }

    /// Where a stored entry's bytes lie in the archive.
    ///
    /// # Errors
    /// `BadFile` where it is packed, or not where the directory says.
    pub fn span(&self, entry: &ZipEntry) -> Result<Span> {
        if entry.method != CompressionMethod::Stored || entry.size != entry.packed_size {
            return Err(self.bad(
                entry,
                "is packed where it must be stored: unzip all and `zip -0` it again".to_owned(),
            ));
        }
        self.packed_span(entry)
    }

    /// Behind the local header, whose lengths may differ from the directory's.
    fn packed_span(&self, entry: &ZipEntry) -> Result<Span> {
        let lost = || self.bad(entry, format!("reaches beyond the end of the archive: {AGAIN}"));
        let header = self.source.read(self.source.span(entry.header, LOCAL_HEADER).ok_or_else(lost)?)?;
        let length = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let start = entry.header + LOCAL_HEADER + length(26) + length(28);
        self.source.span(start, entry.packed_size).ok_or_else(lost)
    }

    fn bad(&self, entry: &ZipEntry, problem: String) -> Error {
        self.source.bad(self.format, format!("entry `{}` {problem}", terminal::name(&entry.name)))
    }
}

/// How many entries the end of a zip says that there are; `None` where it has no such end.
fn claimed_entries(source: &FileBytes) -> Result<Option<u64>> {
    const LONGEST_END: u64 = 22 + u16::MAX as u64;
    const LOCATOR: usize = 20;
    let start = source.len().saturating_sub(LONGEST_END + LOCATOR as u64);
    let tail = source.read(Span { start, len: source.len() - start })?;
    let mut ends = tail.windows(4).enumerate().rev();
    let Some((end, _)) = ends.find(|(_, four)| four == b"PK\x05\x06") else { return Ok(None) };
    let Some(count) = tail.get(end + 10..end + 12) else { return Ok(None) };
    let count = u16::from_le_bytes([count[0], count[1]]);
    // More than that many stand in another record, whose place stands before this one (zip64).
    let locator = end.checked_sub(LOCATOR).map(|start| &tail[start..end]);
    let Some(locator) = locator.filter(|locator| count == u16::MAX && locator.starts_with(b"PK\x06\x07"))
    else {
        return Ok(Some(count.into()));
    };
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight of them"));
    let Some(record) = source.span(number(&locator[8..16]), 56) else { return Ok(None) };
    Ok(Some(number(&source.read(record)?[32..40])))
}

/// Whether a name could end up elsewhere than below the folder it is unpacked into.
fn leaves_the_archive(name: &str) -> bool {
    let absolute = name.starts_with(['/', '\\']) || name.get(1..2) == Some(":");
    absolute || name.contains('\0') || name.split(['/', '\\']).any(|part| part == "..")
}

/// Reads a source from a position of its own, so that threads can share it.
struct At<'a> {
    source: &'a FileBytes,
    position: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len().saturating_sub(self.position);
        let count = (buffer.len() as u64).min(left) as usize;
        self.source.read_at(self.position, &mut buffer[..count]).map_err(io::Error::other)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for At<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.source.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// An entry that is compared with what the directory says of it.
struct Checked<'a, R> {
    unpacked: R,
    entry: &'a ZipEntry,
    read: u64,
    crc: flate2::Crc,
}

impl<R: Read> Read for Checked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged =
            |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("is damaged ({what}): {AGAIN}"));
        let count = self.unpacked.read(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => damaged("it does not decompress"),
            _ => e,
        })?;
        self.crc.update(&buffer[..count]);
        self.read += count as u64;
        let (is_end, ZipEntry { size, crc32, .. }) = (count == 0 && !buffer.is_empty(), self.entry);
        if self.read > *size || (is_end && (self.read, self.crc.sum()) != (*size, *crc32)) {
            return Err(damaged("size or checksum differ"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::{ZipWriter, write::SimpleFileOptions};

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
        ZipArchive::new(FileBytes::memory("test.zip", bytes), "zip", limits)
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
            let entry = archive.entry(name).unwrap();
            assert_eq!(archive.read(entry).unwrap(), bytes);
            assert_eq!(archive.peek(entry, 3).unwrap(), bytes[..3]);
            let mut streamed = Vec::new();
            archive.reader(entry).unwrap().read_to_end(&mut streamed).unwrap();
            assert_eq!(streamed, bytes);
        }
        let span = archive.span(archive.entry("a/stored").unwrap()).unwrap();
        assert_eq!(archive.source().read(span).unwrap(), b"hello");
        assert!(archive.span(archive.entry("packed").unwrap()).is_err(), "packed bytes have no span");
    }

    #[test]
    fn limits_and_damage_are_errors_that_say_what_to_do() {
        let zeros = vec![0; 100_000];
        let bytes =
            written(&[("x", &zeros, CompressionMethod::Deflated), ("y", b"abc", CompressionMethod::Stored)]);
        assert!(open(bytes.clone(), Limits { entries: 1, ..Limits::default() }).is_err());
        let small = open(bytes.clone(), Limits { entry_size: 99_999, ..Limits::default() }).unwrap();
        let said = small.read(small.entry("x").unwrap()).unwrap_err().to_string();
        assert!(said.contains("entry `x` claims 100000 bytes"), "{said}");
        for (entry, at) in [("y", bytes.windows(3).position(|w| w == b"abc").unwrap()), ("x", 45)] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let archive = open(damaged, Limits::default()).unwrap();
            let entry = archive.entry(entry).unwrap();
            let said = archive.read(entry).unwrap_err().to_string();
            assert!(said.contains(&format!("entry `{}` is damaged", entry.name)), "{said}");
            let said =
                io::copy(&mut archive.reader(entry).unwrap(), &mut io::sink()).unwrap_err().to_string();
            assert!(said.starts_with("is damaged ("), "{said}");
        }
        let cut = |len: usize| open(bytes[..len].to_vec(), Limits::default()).unwrap_err().to_string();
        for len in [10, bytes.len() / 2, bytes.len() - 1] {
            assert!(cut(len).contains("truncated or no zip at all"), "{}", cut(len));
        }
        assert!(cut(0).contains("it is empty"), "{}", cut(0));
        assert!([0, 1, 10, bytes.len() / 2].iter().all(|&len| cut(len).contains(AGAIN)));
    }

    /// Also beyond 65,535, where another record has the number.
    #[test]
    fn the_number_of_entries_is_known_before_any_is_held() {
        for count in [0, 3, 70_000] {
            let names: Vec<String> = (0..count).map(|i| i.to_string()).collect();
            let files: Vec<_> =
                names.iter().map(|name| (&name[..], &[][..], CompressionMethod::Stored)).collect();
            let bytes = FileBytes::memory("test.zip", written(&files));
            assert_eq!(claimed_entries(&bytes).unwrap(), Some(count));
        }
        assert_eq!(claimed_entries(&FileBytes::memory("test.zip", b"PK".to_vec())).unwrap(), None);
        // Of all that is claimed, nothing is there.
        let mut end = written(&[]);
        end[10..12].copy_from_slice(&60_000_u16.to_le_bytes());
        let said = open(end, Limits { entries: 1000, ..Limits::default() }).unwrap_err().to_string();
        assert!(said.contains("60000 entries; 1000 is the limit"), "{said}");
    }

    #[test]
    fn names_that_leave_the_archive_are_refused() {
        for name in ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:\\evil.png", "a\\..\\b.png"] {
            let said =
                open(written(&[(name, b"", CompressionMethod::Stored)]), Limits::default()).unwrap_err();
            assert!(said.to_string().contains("points outside of the zip"), "{name}: {said}");
        }
        assert!(!leaves_the_archive("a..b/..c.png"));
    }
}
