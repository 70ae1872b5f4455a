//! PNG of every colour type and depth but 16-bit gray, row by row.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Info, InterlaceInfo, Limits, Transformations};

use super::{Decoded, Header, Mode, SCRATCH, check_size, damaged};
use crate::data::pixels::Pixels;

/// The header's chunk stands at a fixed place.
pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    let cut = || damaged("it is cut off");
    let number =
        |at: usize| bytes.get(at..at + 4).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
    let (width, height) = (number(16).ok_or_else(cut)? as usize, number(20).ok_or_else(cut)? as usize);
    let [depth, color] = *bytes.get(24..26).and_then(|b| b.first_chunk()).ok_or_else(cut)?;
    let mode = match (color, depth) {
        (0, 1) => Mode::Bits,
        (0, 16) => return Err("has 16-bit gray: save it with 8 bits per sample".into()),
        (0, _) => Mode::Gray,
        (2, _) => Mode::Rgb,
        (3, _) => Mode::Palette,
        (4, _) => Mode::GrayAlpha,
        (6, _) => Mode::Rgba,
        _ => return Err(damaged(format!("it has the unknown colour type {color}"))),
    };
    Ok(Header { width, height, mode })
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let Header { width, height, mode } = header(bytes)?;
    check_size(width, height)?;
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: SCRATCH / 2 });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(broken)?;
    let samples = Samples::new(reader.info(), mode);
    let row_bytes = width * samples.channels;
    let mut data = vec![0; row_bytes * height];
    let mut pass_row = Vec::new();
    let mut y = 0;
    while let Some(row) = reader.next_interlaced_row().map_err(broken)? {
        match row.interlace() {
            InterlaceInfo::Null(_) => {
                let out = data.get_mut(y * row_bytes..(y + 1) * row_bytes);
                samples.unpack(row.data(), out.ok_or_else(|| damaged("it has too many rows"))?);
                y += 1;
            }
            InterlaceInfo::Adam7(info) => {
                pass_row.resize(row_bytes, 0);
                samples.unpack(row.data(), &mut pass_row);
                png::expand_interlaced_row(&mut data, row_bytes, &pass_row, info, samples.channels as u8 * 8);
            }
        }
    }
    reader.finish().map_err(broken)?;
    Ok(Decoded { pixels: Pixels::new(width, height, samples.channels, data), mode })
}

/// The crate's words, without the names of its types.
fn broken(error: png::DecodingError) -> String {
    let words = error.to_string();
    damaged(words.split(" while decoding ").next().unwrap_or(&words))
}

/// How samples become channels.
struct Samples {
    /// Of the result, with alpha.
    channels: usize,
    /// Samples of a pixel in the file.
    each: usize,
    depth: u32,
    /// RGB and alpha of every index.
    palette: Option<Vec<[u8; 4]>>,
    /// The samples of the colour that is transparent, as they stand in the file.
    key: Option<Vec<u16>>,
}

impl Samples {
    fn new(info: &Info<'_>, mode: Mode) -> Self {
        let depth = match info.bit_depth {
            BitDepth::One => 1,
            BitDepth::Two => 2,
            BitDepth::Four => 4,
            BitDepth::Eight => 8,
            BitDepth::Sixteen => 16,
        };
        let each = info.color_type.samples();
        let transparency = info.trns.as_deref();
        if mode == Mode::Palette {
            let colours = info.palette.as_deref().unwrap_or_default();
            let mut palette = vec![[0, 0, 0, 255]; 256];
            for (entry, colour) in palette.iter_mut().zip(colours.as_chunks::<3>().0) {
                entry[..3].copy_from_slice(colour);
            }
            for (entry, &alpha) in palette.iter_mut().zip(transparency.unwrap_or_default()) {
                entry[3] = alpha;
            }
            let channels = if transparency.is_some() { 4 } else { 3 };
            return Self { channels, each, depth, palette: Some(palette), key: None };
        }
        let alpha = matches!(info.color_type, ColorType::GrayscaleAlpha | ColorType::Rgba);
        let key = transparency.filter(|_| !alpha).map(|key| match depth {
            16 => key.as_chunks::<2>().0.iter().map(|&b| u16::from_be_bytes(b)).collect(),
            _ => key.iter().map(|&b| u16::from(b)).collect(),
        });
        let channels = each + usize::from(key.is_some());
        Self { channels, each, depth, palette: None, key }
    }

    /// One row, or one row of a pass.
    fn unpack(&self, row: &[u8], out: &mut [u8]) {
        let values = |i: usize| sample(row, i, self.depth);
        let pixels = row.len() * 8 / self.depth as usize / self.each;
        let out = out.chunks_exact_mut(self.channels).take(pixels).enumerate();
        match (&self.palette, &self.key) {
            (Some(palette), _) => {
                for (x, pixel) in out {
                    pixel.copy_from_slice(&palette[usize::from(values(x)) & 255][..self.channels]);
                }
            }
            (None, None) if self.depth == 8 => {
                for (x, pixel) in out {
                    pixel.copy_from_slice(&row[x * self.each..][..self.each]);
                }
            }
            (None, key) => {
                for (x, pixel) in out {
                    let mut is_key = true;
                    for c in 0..self.each {
                        let value = values(x * self.each + c);
                        is_key &= key.as_ref().is_some_and(|key| key.get(c) == Some(&value));
                        pixel[c] = self.eight_bits(value);
                    }
                    if key.is_some() {
                        pixel[self.each] = if is_key { 0 } else { 255 };
                    }
                }
            }
        }
    }

    /// Small depths are spread over 0 to 255; of 16 bits the high byte counts, as in Python's imaging library.
    fn eight_bits(&self, value: u16) -> u8 {
        match self.depth {
            16 => (value >> 8) as u8,
            depth => (u32::from(value) * (255 / ((1 << depth) - 1))) as u8,
        }
    }
}

/// Sample `i` of a row.
fn sample(row: &[u8], i: usize, depth: u32) -> u16 {
    match depth {
        16 => u16::from_be_bytes([row[2 * i], row[2 * i + 1]]),
        8 => u16::from(row[i]),
        depth => {
            let bit = i * depth as usize;
            let shift = 8 - depth - (bit % 8) as u32;
            u16::from(row[bit / 8] >> shift & ((1 << depth) - 1))
        }
    }
}
