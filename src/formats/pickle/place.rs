//! `Place`: where the elements of a storage are, in the file or in a text of it that stands for bytes.
//!
//! Before protocol 3 pickles had no bytes: they are the text of the same code points (Latin-1), to be encoded by whoever
//! reads it. Such a text stays in the file, as bytes do, and is decoded where it is wanted.

use super::super::file_bytes::{FileBytes, Span};
use crate::Result;

/// What is decoded at once.
const CHUNK: u64 = 64 * 1024;
/// The pickles before the elements of a storage's archive are a kilobyte.
const HEAD: usize = 64 * 1024;

/// A text in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LongText {
    /// Its bytes there.
    pub span: Span,
    /// Whether they are Latin-1 with escapes such as `\u005c`, as in protocol 0; else they are UTF-8.
    pub escaped: bool,
}

/// Where bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here in the file.
    File(Span),
    /// At these of the bytes that a text stands for.
    Text(LongText, Span),
}

impl Place {
    /// `len` bytes from `start` on, which are known to be there.
    pub(super) fn read(&self, source: &FileBytes, start: u64, len: u64) -> Result<Vec<u8>> {
        match self {
            Self::File(span) => source.read(Span { start: span.start + start, len }),
            Self::Text(text, span) => {
                let mut bytes = Vec::with_capacity(len as usize);
                let (first, mut at) = (span.start + start, 0);
                text.decode(source, |decoded| {
                    let skipped = first.saturating_sub(at).min(decoded.len() as u64) as usize;
                    let wanted = (len - bytes.len() as u64).min((decoded.len() - skipped) as u64) as usize;
                    bytes.extend_from_slice(&decoded[skipped..skipped + wanted]);
                    at += decoded.len() as u64;
                    (bytes.len() as u64) < len
                })?;
                Ok(bytes)
            }
        }
    }

    /// What has to be read of the file for any part of it.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::File(_) => 0,
            Self::Text(text, _) => text.span.len,
        }
    }
}

impl LongText {
    /// The bytes that it stands for, as a file of which only the beginning can be read.
    pub(super) fn beginning(&self, source: &FileBytes) -> Result<FileBytes> {
        let (mut head, mut len) = (Vec::new(), 0);
        self.decode(source, |decoded| {
            let missing = (HEAD - head.len()).min(decoded.len());
            head.extend_from_slice(&decoded[..missing]);
            len += decoded.len() as u64;
            true
        })?;
        Ok(FileBytes::beginning(source.path(), head, len))
    }

    /// All the bytes that it stands for.
    pub(super) fn bytes(&self, source: &FileBytes) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.decode(source, |decoded| {
            bytes.extend_from_slice(decoded);
            true
        })?;
        Ok(bytes)
    }

    /// Hands the bytes on in pieces, until somebody has enough.
    fn decode(&self, source: &FileBytes, mut enough: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let bad = || source.bad("torch archive", "a text that should be bytes is not Latin-1");
        let (mut rest, mut decoded) = (Vec::new(), Vec::new());
        let end = self.span.start + self.span.len;
        let mut at = self.span.start;
        while at < end {
            let len = (end - at).min(CHUNK);
            rest.extend(source.read(Span { start: at, len })?);
            at += len;
            decoded.clear();
            let used = if self.escaped {
                unescape(&rest, at == end, &mut decoded)
            } else {
                utf8(&rest, &mut decoded)
            };
            let used = used.ok_or_else(bad)?;
            rest.drain(..used);
            if !enough(&decoded) {
                return Ok(());
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(bad()) }
    }
}

/// Decodes whole characters; how many bytes they were.
fn utf8(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes[at..] {
            [byte @ 0..=0x7f, ..] => {
                out.push(byte);
                at += 1;
            }
            [high @ 0xc2..=0xc3, low @ 0x80..=0xbf, ..] => {
                out.push(high << 6 | low & 0x3f);
                at += 2;
            }
            [] | [0xc2..=0xc3] => return Some(at),
            _ => return None,
        }
    }
}

/// The same; a backslash that begins no escape stands for itself.
fn unescape(bytes: &[u8], is_end: bool, out: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = match (byte, bytes.get(at + 1)) {
            (b'\\', None) if !is_end => return Some(at),
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                out.push(byte);
                at += 1;
                continue;
            }
        };
        let Some(hex) = bytes.get(at + 2..at + 2 + digits) else { return (!is_end).then_some(at) };
        let code = std::str::from_utf8(hex).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok())?;
        out.push(u8::try_from(code).ok()?);
        at += 2 + digits;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_text_stand_for_the_same_bytes_wherever_they_are_cut() {
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i * 7 % 256) as u8).collect();
        let utf8: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        let escape = |&byte: &u8| match byte {
            b'\\' | b'\n' | 0 | b'\r' | 0x1a => format!("\\u{byte:04x}").into_bytes(),
            byte => vec![byte],
        };
        let escaped: Vec<u8> = bytes.iter().flat_map(escape).collect();
        for (text, escaped) in [(utf8.into_bytes(), false), (escaped, true)] {
            let text_len = text.len() as u64;
            let source = FileBytes::memory("x", [&b"ab"[..], &text, b"cd"].concat());
            let text = LongText { span: Span { start: 2, len: text_len }, escaped };
            let beginning = text.beginning(&source).unwrap();
            assert_eq!(beginning.len(), bytes.len() as u64);
            assert_eq!(beginning.read(Span { start: 5, len: 9 }).unwrap(), bytes[5..14]);
            let place = Place::Text(text, Span { start: 10, len: 299_990 });
            assert_eq!(place.read(&source, 0, 299_990).unwrap(), bytes[10..]);
            assert_eq!(place.read(&source, 99_990, 5).unwrap(), bytes[100_000..100_005]);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, escaped) in [
            (&b"\xc4\x80"[..], false),
            (b"a\xc2", false),
            (b"\\u0100", true),
            (b"\\u00", true),
            (b"\\uzzzz", true),
        ] {
            let source = FileBytes::memory("x", text.to_vec());
            let text = LongText { span: source.whole(), escaped };
            assert!(text.beginning(&source).is_err(), "{text:?}");
        }
    }
}
