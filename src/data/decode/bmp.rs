//! BMP: the headers of Windows and OS/2, as Python's imaging library understands them.

use super::{
    Decoded, Header, Mode,
    bmp_rows::{self, Layout},
    check_size, damaged,
};
use crate::data::pixels::Pixels;

/// The compressions of the headers.
const RAW: u32 = 0;
const RLE8: u32 = 1;
const RLE4: u32 = 2;
const MASKS: u32 = 3;

/// All that comes before the pixels.
struct Bitmap<'a> {
    header: Header,
    is_top_down: bool,
    layout: Layout<'a>,
    /// Where the pixels begin.
    offset: usize,
}

pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    parse(bytes).map(|bitmap| bitmap.header)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let Bitmap { header: Header { width, height, mode }, is_top_down, layout, offset } = parse(bytes)?;
    check_size(width, height)?;
    let data = bytes.get(offset..).ok_or_else(|| damaged("it is cut off"))?;
    let (channels, mut pixels) = bmp_rows::read(data, [width, height], mode, &layout)?;
    if !is_top_down {
        let row = width * channels;
        for y in 0..height / 2 {
            let (above, below) = pixels.split_at_mut((height - 1 - y) * row);
            above[y * row..][..row].swap_with_slice(&mut below[..row]);
        }
    }
    Ok(Decoded { pixels: Pixels::new(width, height, channels, pixels), mode })
}

fn parse(bytes: &[u8]) -> Result<Bitmap<'_>, String> {
    let cut = || damaged("it is cut off");
    let u16_at =
        |at: usize| bytes.get(at..at + 2).and_then(|b| b.first_chunk()).map(|b| u16::from_le_bytes(*b));
    let u32_at =
        |at: usize| bytes.get(at..at + 4).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
    let long = |at: usize| u32_at(at).ok_or_else(cut);
    let short = |at: usize| u16_at(at).map(u32::from).ok_or_else(cut);
    let size = long(14)? as usize;
    let (width, height, bits, compression, colours, entry) = match size {
        12 => (short(18)?, short(20)? as i32, short(24)?, RAW, 0, 3),
        40 | 52 | 56 | 64 | 108 | 124 => (long(18)?, long(22)? as i32, short(28)?, long(30)?, long(46)?, 4),
        _ => return Err(foreign(&format!("a header of {size} bytes"))),
    };
    let mut offset = long(10)? as usize;
    let palette_at = 14 + size;
    let colours = if colours == 0 { 1 << bits.min(16) } else { colours as usize };
    if bits <= 8 && offset == palette_at {
        // Some writers forget the palette in what they say.
        offset = offset.saturating_add(entry * colours);
    }
    let (mode, layout) = match (bits, compression) {
        (1 | 4 | 8, RAW) | (4, RLE4) | (8, RLE8) => {
            if colours > 256 {
                return Err(foreign(&format!("a palette of {colours} colours")));
            }
            let palette = bytes.get(palette_at..palette_at + entry * colours).ok_or_else(cut)?;
            let is_packed = compression != RAW;
            palette_mode(palette, entry, colours, bits, is_packed)?
        }
        (16, RAW) => (Mode::Rgb, Layout::Sixteen { green: 5 }),
        (24, RAW) => (Mode::Rgb, Layout::Bytes { each: 3, places: &[2, 1, 0] }),
        (32, RAW) => (Mode::Rgb, Layout::Bytes { each: 4, places: &[2, 1, 0] }),
        (16 | 24 | 32, MASKS) => {
            // In the shortest header they follow it, without one for alpha.
            let alpha = if size >= 56 { long(66)? } else { 0 };
            masked(bits, [long(54)?, long(58)?, long(62)?, alpha])?
        }
        _ => return Err(foreign(&format!("{bits} bits with compression {compression}"))),
    };
    let header = Header { width: width as usize, height: height.unsigned_abs() as usize, mode };
    Ok(Bitmap { header, is_top_down: height < 0, layout, offset })
}

fn foreign(what: &str) -> String {
    format!("is a BMP with {what}, which is not read: save it as PNG")
}

/// A palette that is a ramp of grays is no palette: the indices are the grays.
fn palette_mode(
    palette: &[u8],
    entry: usize,
    colours: usize,
    bits: u32,
    is_packed: bool,
) -> Result<(Mode, Layout<'_>), String> {
    let gray = |i: usize| if colours == 2 { i * 255 } else { i };
    let is_ramp = palette
        .chunks_exact(entry)
        .enumerate()
        .all(|(i, c)| c[..3].iter().all(|&v| usize::from(v) == gray(i)));
    let mode = match is_ramp {
        true if colours <= 2 => Mode::Bits,
        true => Mode::Gray,
        false => Mode::Palette,
    };
    // Python's imaging library then reads the wrong number of bits.
    let is_misread = match mode {
        Mode::Bits => bits != 1 || is_packed,
        Mode::Gray => bits != 8 && !is_packed,
        _ => false,
    };
    if is_misread {
        return Err(foreign(&format!("a gray palette of {colours} entries for {bits} bits")));
    }
    let layout = if is_packed {
        Layout::Runs { bits, palette, entry }
    } else {
        Layout::Indices { bits, palette, entry }
    };
    Ok((mode, layout))
}

/// The masks that Python's imaging library knows: where red, green, blue and alpha lie in a pixel.
fn masked(bits: u32, masks: [u32; 4]) -> Result<(Mode, Layout<'static>), String> {
    let bytes = |places: &'static [usize]| {
        let mode = if places.len() == 4 { Mode::Rgba } else { Mode::Rgb };
        Ok((mode, Layout::Bytes { each: bits as usize / 8, places }))
    };
    match (bits, masks) {
        (16, [0xF800, 0x7E0, 0x1F, _]) => Ok((Mode::Rgb, Layout::Sixteen { green: 6 })),
        (16, [0x7C00, 0x3E0, 0x1F, _]) => Ok((Mode::Rgb, Layout::Sixteen { green: 5 })),
        (24, [0xFF_0000, 0xFF00, 0xFF, _]) | (32, [0xFF_0000, 0xFF00, 0xFF, 0]) => bytes(&[2, 1, 0]),
        (32, [0xFF00_0000, 0xFF_0000, 0xFF00, 0]) => bytes(&[3, 2, 1]),
        (32, [0xFF00_0000, 0xFF00, 0xFF, 0]) => bytes(&[3, 1, 0]),
        (32, [0xFF00_0000, 0xFF_0000, 0xFF00, 0xFF]) => bytes(&[3, 2, 1, 0]),
        (32, [0xFF, 0xFF00, 0xFF_0000, 0xFF00_0000]) => bytes(&[0, 1, 2, 3]),
        (32, [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000] | [0, 0, 0, 0]) => bytes(&[2, 1, 0, 3]),
        (32, [0xFF00_0000, 0xFF00, 0xFF, 0xFF_0000]) => bytes(&[3, 1, 0, 2]),
        _ => Err(foreign(&format!("unusual colour masks for {bits} bits"))),
    }
}
