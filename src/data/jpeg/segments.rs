//! The segments of a JPEG file, one after another.

use super::Result;
use crate::data::decode::damaged;

/// What a file that ends too early is called.
pub(super) fn cut() -> String {
    damaged("it is cut off")
}

/// Kinds that browsers and cameras do not write.
fn foreign(marker: u8) -> String {
    let kind = match marker {
        0xC3 => "lossless",
        0xC9 | 0xCA => "arithmetically coded",
        _ => "hierarchical",
    };
    format!("is a {kind} JPEG, which is not read: save it as PNG or as a usual JPEG")
}

/// One marker and what belongs to it.
pub(super) enum Segment<'a> {
    /// SOF0, 1 or 2.
    Frame { kind: u8, payload: &'a [u8] },
    /// SOS; the data follow.
    Scan { payload: &'a [u8] },
    /// Anything else.
    Other { marker: u8, payload: &'a [u8] },
}

/// The segments of a file, one after another.
pub(super) struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(b"\xFF\xD8").ok_or(damaged("it does not begin as a JPEG"))?;
        Ok(Self { rest })
    }

    /// What follows the segment read last.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.rest = &self.rest[count..];
    }

    /// The next segment; `None` at the end of the image.
    pub(super) fn next_segment(&mut self) -> Result<Option<Segment<'a>>> {
        loop {
            // Whatever is not a marker is skipped, as libjpeg does.
            let at = self.rest.iter().position(|&b| b == 0xFF).ok_or_else(cut)?;
            self.skip(at);
            let fill = self.rest.iter().take_while(|&&b| b == 0xFF).count();
            let marker = *self.rest.get(fill).ok_or_else(cut)?;
            self.skip(fill + 1);
            match marker {
                0x00 | 0x01 | 0xD0..=0xD8 => {}
                0xD9 => return Ok(None),
                _ => {
                    let length = self.rest.get(..2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
                    let payload = length.and_then(|length| self.rest.get(2..length));
                    let payload = payload.ok_or_else(cut)?;
                    self.skip(payload.len() + 2);
                    return match marker {
                        0xC0..=0xC2 => Ok(Some(Segment::Frame { kind: marker, payload })),
                        0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => Err(foreign(marker)),
                        0xDA => Ok(Some(Segment::Scan { payload })),
                        _ => Ok(Some(Segment::Other { marker, payload })),
                    };
                }
            }
        }
    }
}
