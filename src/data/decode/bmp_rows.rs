//! The pixels of a BMP, plain or in runs, from the first row in the file to the last.

use super::{Mode, damaged};

/// How they are written.
#[derive(Clone, Copy)]
pub(super) enum Layout<'a> {
    /// `bits` per index, the first in the highest bits; the palette's entries are blue, green, red and perhaps one more.
    Indices { bits: u32, palette: &'a [u8], entry: usize },
    /// The same as runs of equal indices.
    Runs { bits: u32, palette: &'a [u8], entry: usize },
    /// Five bits each of blue and red, `green` bits between them.
    Sixteen { green: u32 },
    /// Whole bytes: so many for a pixel, and where each channel is among them.
    Bytes { each: usize, places: &'static [usize] },
}

/// The channels and the pixels.
pub(super) fn read(
    data: &[u8],
    [width, height]: [usize; 2],
    mode: Mode,
    layout: &Layout<'_>,
) -> Result<(usize, Vec<u8>), String> {
    match *layout {
        Layout::Indices { bits, palette, entry } => {
            let stride = (width * bits as usize).div_ceil(32) * 4;
            let rows = rows(data, stride, (width * bits as usize).div_ceil(8), height)?;
            let per_byte = 8 / bits as usize;
            let index = move |row: &[u8], x: usize| {
                let shift = 8 - bits - (x % per_byte) as u32 * bits;
                row[x / per_byte] >> shift & (255 >> (8 - bits))
            };
            let indices = rows.flat_map(|row| (0..width).map(move |x| index(row, x)));
            Ok(coloured(indices, width * height, mode, palette, entry))
        }
        Layout::Runs { bits, palette, entry } => {
            let indices = runs(data, [width, height], bits == 4)?;
            Ok(coloured(indices.into_iter(), width * height, mode, palette, entry))
        }
        Layout::Sixteen { green } => {
            let rows = rows(data, (2 * width).div_ceil(4) * 4, 2 * width, height)?;
            let spread =
                |value: u32, bits: u32| ((value & ((1 << bits) - 1)) * 255 / ((1 << bits) - 1)) as u8;
            let mut pixels = Vec::with_capacity(width * height * 3);
            for pair in rows.flat_map(|row| row.as_chunks::<2>().0) {
                let value = u32::from(u16::from_le_bytes(*pair));
                pixels.extend([spread(value >> (5 + green), 5), spread(value >> 5, green), spread(value, 5)]);
            }
            Ok((3, pixels))
        }
        Layout::Bytes { each, places } => {
            let rows = rows(data, (each * width).div_ceil(4) * 4, each * width, height)?;
            let mut pixels = Vec::with_capacity(width * height * places.len());
            for pixel in rows.flat_map(|row| row.chunks_exact(each)) {
                pixels.extend(places.iter().map(|&place| pixel[place]));
            }
            Ok((places.len(), pixels))
        }
    }
}

/// Rows of `used` bytes that begin `stride` bytes apart; the last may lack its padding.
fn rows(
    data: &[u8],
    stride: usize,
    used: usize,
    height: usize,
) -> Result<impl Iterator<Item = &[u8]>, String> {
    if data.len() < stride * (height - 1) + used {
        return Err(damaged("it is cut off"));
    }
    Ok(data.chunks(stride).take(height).map(move |row| &row[..used]))
}

/// Indices become grays, or colours of the palette; what is beyond its end is black.
fn coloured(
    indices: impl Iterator<Item = u8>,
    count: usize,
    mode: Mode,
    palette: &[u8],
    entry: usize,
) -> (usize, Vec<u8>) {
    let mut pixels = Vec::with_capacity(if mode == Mode::Palette { 3 * count } else { count });
    match mode {
        Mode::Bits => pixels.extend(indices.map(|bit| bit * 255)),
        Mode::Gray => pixels.extend(indices),
        _ => {
            for index in indices {
                let colour = palette.get(usize::from(index) * entry..).and_then(|rest| rest.first_chunk());
                let [blue, green, red] = *colour.unwrap_or(&[0; 3]);
                pixels.extend([red, green, blue]);
            }
        }
    }
    (if mode == Mode::Palette { 3 } else { 1 }, pixels)
}

/// Runs, unpacked; what they leave out is index 0.
fn runs(data: &[u8], [width, height]: [usize; 2], is_half: bool) -> Result<Vec<u8>, String> {
    let cut = || damaged("it is cut off");
    let total = width * height;
    let mut indices: Vec<u8> = Vec::with_capacity(total);
    let (mut at, mut x) = (0, 0);
    let half = |byte: u8, i: usize| match (is_half, i % 2) {
        (false, _) => byte,
        (true, 0) => byte >> 4,
        (true, _) => byte & 15,
    };
    while indices.len() < total {
        let &[count, value] = data.get(at..at + 2).and_then(|b| b.first_chunk()).ok_or_else(cut)?;
        at += 2;
        match (count, value) {
            (0, 0) => {
                // To the end of the row; nothing where it is reached already.
                indices.resize(indices.len().next_multiple_of(width), 0);
                x = 0;
            }
            (0, 1) => break,
            (0, 2) => {
                let &[right, up] = data.get(at..at + 2).and_then(|b| b.first_chunk()).ok_or_else(cut)?;
                at += 2;
                let gap = usize::from(right) + usize::from(up) * width;
                indices.resize((indices.len() + gap).min(total), 0);
                x = indices.len() % width;
            }
            (0, count) => {
                let count = usize::from(count);
                let bytes = if is_half { count.div_ceil(2) } else { count };
                let list = data.get(at..at + bytes).ok_or_else(cut)?;
                let number = if is_half { 2 } else { 1 };
                indices.extend((0..count).map(|i| half(list[i / number], i)));
                at += bytes.next_multiple_of(2);
                x += count;
            }
            (count, value) => {
                // No run goes beyond its row.
                let count = usize::from(count).min(width.saturating_sub(x));
                indices.extend((0..count).map(|i| half(value, i)));
                x += count;
            }
        }
    }
    // An end before the end is what Python's imaging library calls truncated.
    if indices.len() < total {
        return Err(cut());
    }
    indices.truncate(total);
    Ok(indices)
}
