//! Image files become `Pixels`: the same bytes as Python's imaging library (Pillow) makes of them, or a refusal.
//!
//! The format is what the contents say, whatever the name. What is read, and as what, is in the table of
//! `tests/pictures`, which Pillow recorded.

mod bmp;
mod bmp_rows;
mod foreign;
mod limits;
mod mode;
mod png;
mod riff;
mod webp;

use limits::check_file;
pub(in crate::data) use limits::{EASY_FILE, SCRATCH, check_size};
pub(in crate::data) use mode::{Decoded, Mode};

use super::{jpeg, pixels::Pixels};

/// A header that says more than an image's kind and size is within so many bytes, but for camera files with long comments.
pub(in crate::data) const HEAD: u64 = 4096;
/// All of them are within so many.
pub(in crate::data) const LONG_HEAD: u64 = 1 << 20;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct Header {
    /// In pixels.
    pub(in crate::data) width: usize,
    pub(in crate::data) height: usize,
    pub(in crate::data) mode: Mode,
}

/// What is read here.
#[derive(Clone, Copy)]
enum Format {
    Png,
    Jpeg,
    Bmp,
    WebP,
}

impl Format {
    fn of(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [] => Err("is empty (0 bytes): it was not written completely; replace or remove it".into()),
            [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Ok(Self::Png),
            [0xFF, 0xD8, 0xFF, ..] => Ok(Self::Jpeg),
            [b'B', b'M', ..] => Ok(Self::Bmp),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            _ => Err(foreign::words(bytes)),
        }
    }
}

/// Decodes an image file.
///
/// # Errors
/// A fragment that says what is wrong and what to do, for the caller to put behind the file's name.
pub(in crate::data) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    match Format::of(bytes)? {
        Format::Png => png::decode(bytes),
        Format::Jpeg => jpeg::decode(bytes),
        Format::Bmp => bmp::decode(bytes),
        Format::WebP => webp::decode(bytes),
    }
}

/// Channels, height and width as a dataset of EDM's has them, from the first bytes of a file; `None` where they do not tell,
/// or such a dataset refuses the file.
pub(in crate::data) fn shape(head: &[u8]) -> Option<[usize; 3]> {
    let Header { width, height, mode } = header(head).ok()?;
    check_size(width, height).ok()?;
    Some([mode.edm_channels().ok()?, height, width])
}

/// What the first bytes of a file say of it.
fn header(head: &[u8]) -> Result<Header, String> {
    match Format::of(head)? {
        Format::Png => png::header(head),
        Format::Jpeg => jpeg::header(head),
        Format::Bmp => bmp::header(head),
        Format::WebP => webp::header(head),
    }
}

/// Refuses a file of so many bytes that is no image, or much longer than the one that its first bytes speak of.
///
/// # Errors
/// As `decode`.
pub(in crate::data) fn check_head(head: &[u8], bytes: u64) -> Result<(), String> {
    let Header { width, height, .. } = header(head)?;
    check_size(width, height)?;
    check_file([width, height], bytes)
}

/// The words for a file that is broken.
pub(in crate::data) fn damaged(why: impl std::fmt::Display) -> String {
    format!("cannot be decoded ({why}): replace or remove it")
}

impl Pixels {
    /// Decodes an image file of any known format.
    ///
    /// # Errors
    /// A fragment that says what is wrong and what to do, for the caller to put behind the file's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        decode(bytes).map(|decoded| decoded.pixels)
    }
}

#[cfg(test)]
mod tests;
