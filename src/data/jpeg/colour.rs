//! Colours: the components of a row become gray or RGB.

#![allow(clippy::inline_always, reason = "compiled anew inside `wide`")]

use super::{canvas::Canvas, frame::Frame, tables::Tables};
use crate::{
    data::{decode::Decoded, pixels::Pixels},
    kernels::wide,
};

/// What the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    Gray,
    Rgb,
    YCbCr,
    Cmyk,
    /// The first three inks as luma and differences.
    Ycck,
}

impl Colours {
    /// Three components are YCbCr unless an Adobe header or their names say otherwise; four are inks as they are unless an Adobe
    /// header says otherwise.
    fn of(frame: &Frame, tables: &Tables) -> Self {
        let is_named_rgb = || frame.components.iter().map(|c| c.id).eq(*b"RGB");
        match (frame.components.len(), tables.adobe) {
            (1, _) => Self::Gray,
            (3, _) if tables.jfif => Self::YCbCr,
            (3, Some(0)) => Self::Rgb,
            (3, None) if is_named_rgb() => Self::Rgb,
            (3, _) => Self::YCbCr,
            (_, None | Some(0)) => Self::Cmyk,
            _ => Self::Ycck,
        }
    }
}

/// The finished image.
pub(super) fn finish(canvas: Canvas, frame: &Frame, tables: &Tables) -> Decoded {
    let colours = Colours::of(frame, tables);
    let (width, height, mode) = (frame.width, frame.height, frame.header().mode);
    let channels = if colours == Colours::Gray { 1 } else { 3 };
    let Canvas { components, mut data, .. } = canvas;
    if colours != Colours::Gray {
        wide(
            #[inline(always)]
            || convert_rows(&mut data, width, components, colours),
        );
        // Four inks became three colours. The memory behind them stays: giving it back may copy the rest.
        data.truncate(width * height * channels);
    }
    Decoded { pixels: Pixels::new(width, height, channels, data), mode }
}

/// Converts the rows in place, from the first on: a row of the result ends no later than the row that it is made of.
#[inline(always)]
fn convert_rows(data: &mut [u8], width: usize, components: usize, colours: Colours) {
    let length = width * components;
    let mut row = vec![0; length];
    let mut rgb = [(); 3].map(|()| vec![0; width]);
    for y in 0..data.len() / length {
        row.copy_from_slice(&data[y * length..][..length]);
        let out = &mut data[y * width * 3..][..width * 3];
        let (colour, key) = row.split_at(width * 3);
        let (a, rest) = colour.split_at(width);
        let (b, c) = rest.split_at(width);
        if colours == Colours::Rgb || colours == Colours::Cmyk {
            interleave([a, b, c], out);
        } else {
            let [red, green, blue] = &mut rgb;
            convert([a, b, c], [&mut *red, &mut *green, &mut *blue]);
            interleave([red, green, blue], out);
        }
        if components == 4 {
            print_inks(out, key, colours == Colours::Ycck);
        }
    }
}

/// Inks become light, as Python's imaging library does it: it takes all four for inverted, as Adobe writes them. `pixels` hold
/// three inks as they stand in the file, or their opposites, where they were luma and differences.
#[inline(always)]
fn print_inks(pixels: &mut [u8], key: &[u8], is_opposite: bool) {
    let flip = if is_opposite { 0 } else { 255 };
    for (pixel, &key) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(key) {
        let key = u32::from(key);
        for value in pixel {
            let product = u32::from(*value ^ flip) * key + 128;
            let darker = ((product >> 8) + product) >> 8;
            *value = key.saturating_sub(darker) as u8;
        }
    }
}

#[inline(always)]
fn interleave([a, b, c]: [&[u8]; 3], out: &mut [u8]) {
    for (((pixel, &a), &b), &c) in out.as_chunks_mut::<3>().0.iter_mut().zip(a).zip(b).zip(c) {
        *pixel = [a, b, c];
    }
}

#[inline(always)]
fn limit(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

/// YCbCr to RGB with 16 fractional bits, a row at a time.
#[inline(always)]
fn convert([luma, blue_ness, red_ness]: [&[u8]; 3], [red, green, blue]: [&mut [u8]; 3]) {
    const HALF: i32 = 1 << 15;
    let inputs = luma.iter().zip(blue_ness).zip(red_ness);
    let outputs = red.iter_mut().zip(green).zip(blue);
    for (((&y, &cb), &cr), ((red, green), blue)) in inputs.zip(outputs) {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        *red = limit(y + ((91_881 * cr + HALF) >> 16));
        *green = limit(y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16));
        *blue = limit(y + ((116_130 * cb + HALF) >> 16));
    }
}
