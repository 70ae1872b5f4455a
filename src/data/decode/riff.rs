//! The container of WebP files: chunks with four letters, a size and an even number of bytes.

use super::{Header, Mode, damaged};

/// Bits of the extended header.
const ALPHA: u8 = 16;
const ANIMATION: u8 = 2;

/// A chunk, as far as the file goes.
struct Chunk<'a> {
    kind: [u8; 4],
    size: usize,
    data: &'a [u8],
}

fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let [a, b, c, d, size @ ..] = *head;
        let size = u32::from_le_bytes(size) as usize;
        let data = &rest[..size.min(rest.len())];
        bytes = rest.get(size.next_multiple_of(2)..).unwrap_or_default();
        Some(Chunk { kind: [a, b, c, d], size, data })
    })
}

/// What a file says of itself, with the image that it shows first.
pub(super) struct Container<'a> {
    pub(super) header: Header,
    /// Where the image is on the canvas, from the left and from the top.
    pub(super) corner: [usize; 2],
    pub(super) still: Still<'a>,
}

impl<'a> Container<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let cut = || damaged("it is cut off");
        let body = bytes.get(12..).ok_or_else(cut)?;
        let Some(first) = chunks(body).next() else { return Err(cut()) };
        if first.kind != *b"VP8X" {
            let still = Still::find(body)?;
            let mode = if still.has_alpha() { Mode::Rgba } else { Mode::Rgb };
            return Ok(Self {
                header: Header { width: still.width, height: still.height, mode },
                corner: [0, 0],
                still,
            });
        }
        let number = |data: &[u8], at: usize| {
            let bytes = data.get(at..at + 3).ok_or_else(cut)?;
            Ok::<_, String>(usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16)
        };
        let flags = *first.data.first().ok_or_else(cut)?;
        let (width, height) = (number(first.data, 4)? + 1, number(first.data, 7)? + 1);
        let mode = |has_alpha| if has_alpha { Mode::Rgba } else { Mode::Rgb };
        let header = |has_alpha| Header { width, height, mode: mode(has_alpha) };
        if flags & ANIMATION != 0 {
            let frame = chunks(body).find(|chunk| chunk.kind == *b"ANMF").ok_or_else(cut)?;
            let still = Still::find(frame.data.get(16..).ok_or_else(cut)?)?;
            let [left, top, w, h] = [0, 3, 6, 9].map(|at| number(frame.data, at));
            if [w? + 1, h? + 1] != [still.width, still.height] {
                return Err(damaged("its first frame has two sizes"));
            }
            return Ok(Self { header: header(flags & ALPHA != 0), corner: [2 * left?, 2 * top?], still });
        }
        let mut still = Still::find(body)?;
        if [width, height] != [still.width, still.height] {
            return Err(damaged("it has two sizes"));
        }
        // Without loss, the image's own header says whether there is alpha. With loss, the header says whether it counts.
        let has_alpha = still.has_alpha() || still.is_lossy && flags & ALPHA != 0;
        still.alpha = still.alpha.filter(|_| flags & ALPHA != 0);
        Ok(Self { header: header(has_alpha), corner: [0, 0], still })
    }
}

/// One image.
pub(super) struct Still<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) is_lossy: bool,
    /// The bit of an image without loss.
    has_alpha_inside: bool,
    /// Of an image with loss, in a chunk of its own.
    alpha: Option<Chunk<'a>>,
    image: Chunk<'a>,
}

impl<'a> Still<'a> {
    /// The first image among chunks.
    fn find(bytes: &'a [u8]) -> Result<Self, String> {
        let cut = || damaged("it is cut off");
        let mut alpha = None;
        for chunk in chunks(bytes) {
            let number = |at: usize| {
                chunk.data.get(at..at + 4).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b))
            };
            match &chunk.kind {
                b"ALPH" => alpha = Some(chunk),
                b"VP8 " => {
                    let size = number(6).ok_or_else(cut)?;
                    let (width, height) = (size as usize & 0x3FFF, (size >> 16) as usize & 0x3FFF);
                    return Ok(Self {
                        width,
                        height,
                        is_lossy: true,
                        has_alpha_inside: false,
                        alpha,
                        image: chunk,
                    });
                }
                b"VP8L" => {
                    let bits = number(1).ok_or_else(cut)?;
                    let (width, height) = (bits as usize & 0x3FFF, (bits >> 14) as usize & 0x3FFF);
                    let has_alpha_inside = bits >> 28 & 1 != 0;
                    let (width, height) = (width + 1, height + 1);
                    return Ok(Self {
                        width,
                        height,
                        is_lossy: false,
                        has_alpha_inside,
                        alpha: None,
                        image: chunk,
                    });
                }
                _ => {}
            }
        }
        Err(cut())
    }

    pub(super) fn has_alpha(&self) -> bool {
        self.has_alpha_inside || self.alpha.is_some()
    }

    /// A file of this image alone.
    pub(super) fn to_file(&self) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        let mut add = |kind: &[u8], data: &[u8], size: usize| {
            file.extend_from_slice(kind);
            file.extend((size as u32).to_le_bytes());
            file.extend_from_slice(data);
            file.resize(file.len().next_multiple_of(2), 0);
        };
        if let Some(alpha) = &self.alpha {
            let mut extended = vec![ALPHA, 0, 0, 0];
            for size in [self.width, self.height] {
                extended.extend(&(size as u32).wrapping_sub(1).to_le_bytes()[..3]);
            }
            add(b"VP8X", &extended, extended.len());
            add(b"ALPH", alpha.data, alpha.size);
        }
        add(&self.image.kind, self.image.data, self.image.size);
        let size = (file.len() - 8) as u32;
        file[4..8].copy_from_slice(&size.to_le_bytes());
        file
    }
}
