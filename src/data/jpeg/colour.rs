//! From coefficients to pixels: planes are made, enlarged to one size, and their colours converted.

use super::{
    Refusal, Result,
    headers::{Component, Frame, Tables},
    idct,
};
use crate::data::pixels::Pixels;

/// The finished image.
pub(super) fn assemble(frame: &Frame, tables: &Tables) -> Result<Pixels> {
    let (width, height) = (frame.width, frame.height);
    let planes = frame.components.iter().map(|c| enlarge(c, frame)).collect::<Result<Vec<_>>>()?;
    match planes.as_slice() {
        [gray] => Ok(Pixels::new(width, height, 1, gray.rows(width, height).concat())),
        [a, b, c] => {
            let mut data = vec![0; width * height * 3];
            let is_rgb = is_rgb(frame, tables);
            let converter = Converter::new();
            for (y, out) in data.chunks_exact_mut(width * 3).enumerate() {
                let rows = [a.row(y, width), b.row(y, width), c.row(y, width)];
                for (x, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    let values = [rows[0][x], rows[1][x], rows[2][x]];
                    *pixel = if is_rgb { values } else { converter.rgb(values) };
                }
            }
            Ok(Pixels::new(width, height, 3, data))
        }
        _ => Err(Refusal::Foreign),
    }
}

/// Three components are YCbCr unless an Adobe header or their names say otherwise.
fn is_rgb(frame: &Frame, tables: &Tables) -> bool {
    if tables.jfif {
        return false;
    }
    match tables.adobe {
        Some(transform) => transform == 0,
        None => frame.components.iter().map(|c| c.id).eq(*b"RGB"),
    }
}

/// A plane of samples.
struct Plane {
    stride: usize,
    samples: Vec<u8>,
}

impl Plane {
    fn row(&self, y: usize, width: usize) -> &[u8] {
        &self.samples[y * self.stride..][..width]
    }

    fn rows(&self, width: usize, height: usize) -> Vec<&[u8]> {
        (0..height).map(|y| self.row(y, width)).collect()
    }
}

/// Transforms all blocks of a component.
fn plane(component: &Component) -> Result<Plane> {
    let quantisation = component.quantisation.as_ref().ok_or(Refusal::Damaged("it is cut off"))?;
    let stride = component.blocks_across * 8;
    let mut samples = vec![0; stride * component.blocks_along * 8];
    for (y, rows) in samples.chunks_exact_mut(stride * 8).enumerate() {
        let coefficients = &component.coefficients[y * component.stride * 64..];
        let (blocks, _) = coefficients.as_chunks::<64>();
        for (x, block) in blocks.iter().take(component.blocks_across).enumerate() {
            idct::block(block, quantisation, &mut rows[x * 8..], stride);
        }
    }
    Ok(Plane { stride, samples })
}

/// Brings a component to the size of the image: smoothly where it is half as large, else by repetition.
fn enlarge(component: &Component, frame: &Frame) -> Result<Plane> {
    let plane = plane(component)?;
    let (w, h) = (component.width, component.height);
    if !frame.max_h.is_multiple_of(component.h) || !frame.max_v.is_multiple_of(component.v) {
        return Err(Refusal::Foreign);
    }
    let factors = (frame.max_h / component.h, frame.max_v / component.v);
    if factors == (1, 1) {
        return Ok(plane);
    }
    let stride = w * factors.0;
    let mut samples = vec![0; stride * h * factors.1];
    for (y, out) in samples.chunks_exact_mut(stride).enumerate() {
        let near = plane.row(y / factors.1, w);
        // The row on the other side of this one; at the border the row itself.
        let other = if y % 2 == 0 { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(h - 1) };
        match factors {
            (2, 1) if w > 2 => double(near, out),
            (2, 2) if w > 2 => double_both(near, plane.row(other, w), out),
            (1, 2) => {
                let bias = 1 + (y % 2) as u16;
                for ((out, &near), &far) in out.iter_mut().zip(near).zip(plane.row(other, w)) {
                    *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
                }
            }
            _ => out.chunks_exact_mut(factors.0).zip(near).for_each(|(out, &value)| out.fill(value)),
        }
    }
    Ok(Plane { stride, samples })
}

/// Twice as wide: three parts of the nearer sample, one of the farther.
fn double(row: &[u8], out: &mut [u8]) {
    let at = |i: usize| u16::from(row[i]);
    let last = row.len() - 1;
    for i in 0..=last {
        out[2 * i] = if i == 0 { row[0] } else { ((3 * at(i) + at(i - 1) + 1) >> 2) as u8 };
        out[2 * i + 1] = if i == last { row[last] } else { ((3 * at(i) + at(i + 1) + 2) >> 2) as u8 };
    }
}

/// Twice as wide and high: the same in both directions, rounded once.
fn double_both(near: &[u8], far: &[u8], out: &mut [u8]) {
    let sum = |i: usize| 3 * u16::from(near[i]) + u16::from(far[i]);
    let last = near.len() - 1;
    let mut before = sum(0);
    let mut this = before;
    for (i, pair) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let next = if i == last { this } else { sum(i + 1) };
        pair[0] = ((3 * this + before + 8) >> 4) as u8;
        pair[1] = ((3 * this + next + 7) >> 4) as u8;
        (before, this) = (this, next);
    }
}

/// YCbCr to RGB by tables with 16 fractional bits.
struct Converter {
    red: [i32; 256],
    blue: [i32; 256],
    green_of_red: [i32; 256],
    green_of_blue: [i32; 256],
}

impl Converter {
    fn new() -> Self {
        let half = 1 << 15;
        let table = |f: fn(i32, i32) -> i32| std::array::from_fn(|i| f(i as i32 - 128, half));
        Self {
            red: table(|x, half| (91_881 * x + half) >> 16),
            blue: table(|x, half| (116_130 * x + half) >> 16),
            green_of_red: table(|x, _| -46_802 * x),
            green_of_blue: table(|x, half| -22_554 * x + half),
        }
    }

    fn rgb(&self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let (y, cb, cr) = (i32::from(y), usize::from(cb), usize::from(cr));
        let green = (self.green_of_blue[cb] + self.green_of_red[cr]) >> 16;
        [y + self.red[cr], y + green, y + self.blue[cb]].map(|v| v.clamp(0, 255) as u8)
    }
}
