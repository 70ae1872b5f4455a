//! From coefficients to pixels: planes are made, enlarged to one size, and their colours converted.

#![allow(clippy::inline_always, reason = "compiled anew inside `wide`")]

use super::{
    Refusal, Result,
    headers::{Component, Frame, Tables},
    idct,
};
use crate::{data::pixels::Pixels, kernels::wide};

/// The finished image.
pub(super) fn assemble(frame: &Frame, tables: &Tables) -> Result<Pixels> {
    wide(
        #[inline(always)]
        || assemble_wide(frame, tables),
    )
}

#[inline(always)]
fn assemble_wide(frame: &Frame, tables: &Tables) -> Result<Pixels> {
    let (width, height) = (frame.width, frame.height);
    let mut planes = Vec::with_capacity(frame.components.len());
    for component in &frame.components {
        planes.push(enlarge(component, frame)?);
    }
    match planes.as_slice() {
        [gray] => Ok(Pixels::new(width, height, 1, gray.rows(width, height).concat())),
        [a, b, c] => {
            let mut data = vec![0; width * height * 3];
            let mut colours = [(); 3].map(|()| vec![0; width]);
            let is_rgb = is_rgb(frame, tables);
            for (y, out) in data.chunks_exact_mut(width * 3).enumerate() {
                let rows = [a.row(y, width), b.row(y, width), c.row(y, width)];
                if is_rgb {
                    interleave(rows, out);
                } else {
                    let [red, green, blue] = &mut colours;
                    convert(rows, [&mut *red, &mut *green, &mut *blue]);
                    interleave([red, green, blue], out);
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
#[inline(always)]
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
#[inline(always)]
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
    let mut sums = vec![0; w];
    for (y, out) in samples.chunks_exact_mut(stride).enumerate() {
        let near = plane.row(y / factors.1, w);
        // The row on the other side of this one; at the border the row itself.
        let other = if y % 2 == 0 { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(h - 1) };
        match factors {
            (2, 1) if w > 2 => double(near, out),
            (2, 2) if w > 2 => double_both(near, plane.row(other, w), &mut sums, out),
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
#[inline(always)]
fn double(row: &[u8], out: &mut [u8]) {
    let last = row.len() - 1;
    out[0] = row[0];
    out[2 * last + 1] = row[last];
    for ((pair, &left), &right) in out[1..].as_chunks_mut::<2>().0.iter_mut().zip(row).zip(&row[1..]) {
        let (left, right) = (u16::from(left), u16::from(right));
        *pair = [((3 * left + right + 2) >> 2) as u8, ((3 * right + left + 1) >> 2) as u8];
    }
}

/// Twice as wide and high: the same in both directions, rounded once. `sums` is scratch, as long as a row.
#[inline(always)]
fn double_both(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
    for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    let last = near.len() - 1;
    out[0] = ((4 * sums[0] + 8) >> 4) as u8;
    out[2 * last + 1] = ((4 * sums[last] + 7) >> 4) as u8;
    for ((pair, &left), &right) in out[1..].as_chunks_mut::<2>().0.iter_mut().zip(&*sums).zip(&sums[1..]) {
        *pair = [((3 * left + right + 7) >> 4) as u8, ((3 * right + left + 8) >> 4) as u8];
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
