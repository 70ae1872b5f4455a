//! Small components are brought to the size of the image.

#![allow(clippy::inline_always, reason = "compiled anew inside `wide`")]

use super::frame::Frame;
use crate::kernels::wide;

/// Brings a component to the size of the image: smoothly where it is half as large, else by repetition. `take` is given
/// every row with its number; rows may be a little longer than the image.
pub(super) fn enlarge(plane: &[u8], component: usize, frame: &Frame, take: impl FnMut(usize, &[u8])) {
    wide(
        #[inline(always)]
        || enlarge_wide(plane, component, frame, take),
    );
}

#[inline(always)]
fn enlarge_wide(plane: &[u8], component: usize, frame: &Frame, mut take: impl FnMut(usize, &[u8])) {
    let component = &frame.components[component];
    let (w, h) = (component.width, component.height);
    let factors = (frame.max_h / component.h, frame.max_v / component.v);
    let row = |y: usize| &plane[y * w..][..w];
    let mut out = vec![0; w * factors.0];
    let mut sums = vec![0; w];
    for y in 0..frame.height {
        let near = row(y / factors.1);
        // The row on the other side of this one; at the border the row itself.
        let other = if y % 2 == 0 { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(h - 1) };
        match factors {
            (2, 1) if w > 2 => double(near, &mut out),
            (2, 2) if w > 2 => double_both(near, row(other), &mut sums, &mut out),
            (1, 2) => {
                let bias = 1 + (y % 2) as u16;
                for ((out, &near), &far) in out.iter_mut().zip(near).zip(row(other)) {
                    *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
                }
            }
            _ => out.chunks_exact_mut(factors.0).zip(near).for_each(|(out, &value)| out.fill(value)),
        }
        take(y, &out);
    }
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
