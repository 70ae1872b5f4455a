//! The central directory of a zip archive, zip64 included.

use super::super::{
    cursor::Cursor,
    source::{Source, Span},
};
use crate::Result;

const END: [u8; 4] = *b"PK\x05\x06";
const END_LEN: u64 = 22;
const LONGEST_COMMENT: u64 = 65_535;
const LOCATOR_LEN: u64 = 20;

/// How an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Stored,
    /// Deflate.
    Deflated,
    /// Anything that this program does not unpack.
    Unknown(u16),
}

/// One file of an archive.
#[derive(Clone, Debug)]
pub struct ZipEntry {
    /// Its path in the archive: relative, with `/`, without `..`.
    pub name: String,
    /// Its length when unpacked.
    pub size: u64,
    /// Its length in the archive.
    pub packed_size: u64,
    /// Its CRC-32.
    pub crc32: u32,
    /// How it is stored.
    pub method: Method,
    pub(super) encrypted: bool,
    pub(super) header: u64,
}

impl ZipEntry {
    /// Whether it stands for a folder.
    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// Reads the entries, at most `limit`.
pub(super) fn read_directory(source: &Source, format: &'static str, limit: u64) -> Result<Vec<ZipEntry>> {
    let (count, span) = find_directory(source, format)?;
    if count > limit {
        return Err(source.bad(format, format!("it has {count} entries; {limit} is the limit")));
    }
    // An entry takes 46 bytes at least: the announced number alone never takes memory.
    let mut entries = Vec::with_capacity(count.min(span.len / 46) as usize);
    let mut cursor = Cursor::new(source, span, format);
    for _ in 0..count {
        entries.push(read_entry(&mut cursor)?);
    }
    Ok(entries)
}

/// The number of entries and the directory's place.
fn find_directory(source: &Source, format: &'static str) -> Result<(u64, Span)> {
    let lost = || source.bad(format, "it is truncated or not a zip archive: there is no end of a directory");
    let tail_len = source.len().min(END_LEN + LONGEST_COMMENT);
    let tail_start = source.len() - tail_len;
    let tail = source.read(Span { start: tail_start, len: tail_len })?;
    let at = tail.windows(END_LEN as usize).rposition(|w| w.starts_with(&END)).ok_or_else(lost)?;
    let end = &tail[at..at + END_LEN as usize];
    let mut count = u64::from(u16_at(end, 10));
    let mut len = u64::from(u32_at(end, 12));
    let mut start = u64::from(u32_at(end, 16));
    if count == 0xffff || len == 0xffff_ffff || start == 0xffff_ffff {
        let end_start = tail_start + at as u64;
        if let Some(place) = end_start.checked_sub(LOCATOR_LEN) {
            let locator = source.read(Span { start: place, len: LOCATOR_LEN })?;
            if locator.starts_with(b"PK\x06\x07") {
                let span = source.span(u64_at(&locator, 8), 56).ok_or_else(lost)?;
                let wide = source.read(span)?;
                if !wide.starts_with(b"PK\x06\x06") {
                    return Err(lost());
                }
                (count, len, start) = (u64_at(&wide, 32), u64_at(&wide, 40), u64_at(&wide, 48));
            }
        }
    }
    let span = source
        .span(start, len)
        .ok_or_else(|| source.bad(format, "it is truncated: its directory should lie beyond its end"))?;
    Ok((count, span))
}

fn read_entry(cursor: &mut Cursor<'_>) -> Result<ZipEntry> {
    let fixed: [u8; 46] = cursor.array()?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return Err(cursor.bad(format!("no directory entry at byte {}", cursor.position() - 46)));
    }
    let name = cursor.take(u16_at(&fixed, 28).into())?;
    let extra = cursor.take(u16_at(&fixed, 30).into())?;
    cursor.skip(u16_at(&fixed, 32).into())?;
    let mut wide = Wide::find(&extra);
    let size = wide.or(u32_at(&fixed, 24));
    let packed_size = wide.or(u32_at(&fixed, 20));
    let header = wide.or(u32_at(&fixed, 42));
    let (Some(size), Some(packed_size), Some(header)) = (size, packed_size, header) else {
        return Err(cursor.bad("an entry lacks its zip64 sizes"));
    };
    let name = String::from_utf8(name).map_err(|_| cursor.bad("an entry's name is not UTF-8"))?;
    if !stays_inside(&name) {
        return Err(
            cursor.bad(format!("the entry `{}` would leave the archive's folder", name.escape_debug()))
        );
    }
    let method = match u16_at(&fixed, 10) {
        0 => Method::Stored,
        8 => Method::Deflated,
        other => Method::Unknown(other),
    };
    let (crc32, encrypted) = (u32_at(&fixed, 16), u16_at(&fixed, 8) & 1 == 1);
    Ok(ZipEntry { name, size, packed_size, crc32, method, encrypted, header })
}

/// A name that means a file below the folder it is unpacked into, on every system.
fn stays_inside(name: &str) -> bool {
    let odd = |c: char| c == '\\' || c == ':' || c.is_control();
    !name.is_empty()
        && !name.starts_with('/')
        && !name.contains(odd)
        && name.split('/').all(|part| part != "..")
}

/// The 64-bit sizes of the extra field, in the order in which the 32-bit ones are missing.
struct Wide<'a>(&'a [u8]);

impl<'a> Wide<'a> {
    fn find(mut extra: &'a [u8]) -> Self {
        while extra.len() >= 4 {
            let (id, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
            let Some(body) = extra.get(4..4 + len) else { break };
            if id == 1 {
                return Self(body);
            }
            extra = &extra[4 + len..];
        }
        Self(&[])
    }

    fn or(&mut self, narrow: u32) -> Option<u64> {
        if narrow != u32::MAX {
            return Some(narrow.into());
        }
        let (value, rest) = self.0.split_at_checked(8)?;
        self.0 = rest;
        Some(u64_at(value, 0))
    }
}

/// Callers index inside fixed-size records.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

    #[test]
    fn names_that_leave_are_refused() {
        for name in ["a", "a/b.png", "a/..b/c", "folder/", ".hidden"] {
            assert!(stays_inside(name), "{name}");
        }
        for name in ["", "/a", "../a", "a/../b", "a/..", "C:a", "a\\b", "a\0b", "\n"] {
            assert!(!stays_inside(name), "{name:?}");
        }
    }
}
