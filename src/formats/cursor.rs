//! `Cursor`: reads a part of a `FileBytes` from front to back, stepping over what nobody wants to see.

use super::file_bytes::{FileBytes, Span};
use crate::Result;

const BUFFER: usize = 16 * 1024;

/// A reading position inside a range of a `FileBytes`.
pub(super) struct Cursor<'a> {
    source: &'a FileBytes,
    format: &'static str,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where in the source the buffer begins.
    buffered: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a FileBytes, span: Span, format: &'static str) -> Self {
        let (position, end) = (span.start, span.start.saturating_add(span.len).min(source.len()));
        Self { source, format, position, end, buffer: Vec::new(), buffered: 0 }
    }

    /// The next byte to be read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// How much is left.
    pub(super) fn left(&self) -> u64 {
        self.end - self.position
    }

    /// A complaint about the file.
    pub(super) fn bad(&self, problem: impl Into<String>) -> crate::Error {
        self.source.bad(self.format, problem)
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// The next `N` bytes, at most eight, as a little-endian number.
    pub(super) fn unsigned<const N: usize>(&mut self) -> Result<u64> {
        let bytes: [u8; N] = self.array()?;
        Ok(bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    /// The next `len` bytes; `len` is checked against what is left before memory is taken.
    pub(super) fn take(&mut self, len: u64) -> Result<Vec<u8>> {
        self.expect(len)?;
        let mut out = vec![0; len as usize];
        self.fill(&mut out)?;
        Ok(out)
    }

    /// Steps over `len` bytes and says where they are.
    pub(super) fn skip(&mut self, len: u64) -> Result<Span> {
        self.expect(len)?;
        let span = Span { start: self.position, len };
        self.position += len;
        Ok(span)
    }

    /// The bytes up to a line feed, which is swallowed; at most `limit` of them.
    pub(super) fn line(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(line),
                byte if line.len() < limit => line.push(byte),
                _ => return Err(self.bad(format!("a line is longer than {limit} bytes"))),
            }
        }
    }

    /// Steps over a line and its line feed and says where it is.
    pub(super) fn line_span(&mut self) -> Result<Span> {
        let start = self.position;
        while self.left() > 0 {
            let at = self.buffered_at(1)?;
            let seen = &self.buffer[at..];
            if let Some(len) = seen.iter().position(|&byte| byte == b'\n') {
                let end = self.position + len as u64;
                self.position = end + 1;
                return Ok(Span { start, len: end - start });
            }
            self.position += seen.len() as u64;
        }
        Err(self.bad("it is truncated inside a line: copy or download it again"))
    }

    fn expect(&self, len: u64) -> Result<()> {
        if len <= self.left() {
            return Ok(());
        }
        Err(self.bad(format!(
            "it is truncated: {len} bytes are announced at byte {}, but only {} are left: copy or download it again",
            self.position,
            self.left()
        )))
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        self.expect(out.len() as u64)?;
        if out.len() > BUFFER {
            self.source.read_at(self.position, out)?;
        } else {
            let at = self.buffered_at(out.len())?;
            out.copy_from_slice(&self.buffer[at..at + out.len()]);
        }
        self.position += out.len() as u64;
        Ok(())
    }

    /// Makes sure that `len` bytes from the position on are in the buffer; says where.
    fn buffered_at(&mut self, len: usize) -> Result<usize> {
        let inside = self.position >= self.buffered
            && self.position + len as u64 <= self.buffered + self.buffer.len() as u64;
        if !inside {
            self.buffer.resize(self.left().min(BUFFER as u64) as usize, 0);
            self.buffered = self.position;
            self.source.read_at(self.position, &mut self.buffer)?;
        }
        Ok((self.position - self.buffered) as usize)
    }
}
