//! EDM2's weights, every row at unit magnitude, and the gradients through that.

use super::{
    elementwise::in_rows,
    pool::Shares,
    simd::{Simd, dispatch, for_lanes, load, store},
};

/// Rows of weights that are normalised.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// How many.
    pub count: usize,
    /// Added to the root mean square of each.
    pub eps: f32,
    /// A constant that all are multiplied by.
    pub factor: f32,
}

/// y = w * factor * gain / (eps + root mean square of the row); w and y `[rows, ...]`.
pub fn normalize(rows: Rows, gain: f32, w: &[f32], y: &mut [f32]) {
    assert!(w.len() == y.len() && rows.count > 0 && w.len().is_multiple_of(rows.count));
    let len = w.len() / rows.count;
    let y = Shares::new(y);
    in_rows(w.len(), len, 2, |first, count| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let (w, y) = (w.as_ptr().add(first * len), y.at(first * len));
            normalize_raw(w, y, count, len, rows.eps, rows.factor * gain);
        }
    });
}

dispatch!(
    unsafe fn normalize_raw<V: Simd>(
        w: *const f32,
        y: *mut f32,
        rows: usize,
        len: usize,
        eps: f32,
        factor: f32,
    ) {
        for row in 0..rows {
            let (w, y) = (w.add(row * len), y.add(row * len));
            let [squares, _] = dots::<V>(w, w, len);
            let factor = V::splat(factor / ((squares / len as f32).sqrt() + eps));
            for_lanes!(V, len, |i, count| {
                store(load::<V>(w.add(i), count).mul(factor), y.add(i), count);
            });
        }
    }
);

/// a . a and a . b, each in four sums that do not wait for each other.
#[inline(always)]
unsafe fn dots<V: Simd>(a: *const f32, b: *const f32, len: usize) -> [f32; 2] {
    // SAFETY: the caller vouches for `len` floats of both.
    unsafe {
        let mut sums = [[V::splat(0.0); 4]; 2];
        for_lanes!(V, len, |i, count| {
            let (a, b) = (load::<V>(a.add(i), count), load::<V>(b.add(i), count));
            let at = i / V::LANES % 4;
            sums[0][at] = a.mul_add(a, sums[0][at]);
            sums[1][at] = a.mul_add(b, sums[1][at]);
        });
        sums.map(|[a, b, c, d]| a.add(b).add(c.add(d)).sum())
    }
}

/// dw = factor * gain * (dy / (eps + rms) - w * (dy . w) / (len * rms * (eps + rms)^2)); returns the
/// gradient to the gain.
pub fn gradient(rows: Rows, gain: f32, w: &[f32], gradient: &[f32], dw: &mut [f32]) -> f32 {
    assert!(w.len() == dw.len() && gradient.len() == w.len());
    assert!(rows.count > 0 && w.len().is_multiple_of(rows.count));
    let len = w.len() / rows.count;
    let dw = Shares::new(dw);
    // The gain's gradient, row by row, is added up in order: the same for any number of threads.
    let mut to_gain = vec![0.0; rows.count];
    let shares = Shares::new(&mut to_gain);
    in_rows(w.len(), len, 3, |first, count| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let (w, gradient) = (w.as_ptr().add(first * len), gradient.as_ptr().add(first * len));
            let (dw, to_gain) = (dw.at(first * len), shares.at(first));
            normalize_gradient_raw(w, gradient, dw, to_gain, (count, len), (rows.eps, rows.factor, gain));
        }
    });
    to_gain.iter().sum()
}

dispatch!(
    unsafe fn normalize_gradient_raw<V: Simd>(
        w: *const f32,
        gradient: *const f32,
        dw: *mut f32,
        to_gain: *mut f32,
        extents: (usize, usize),
        constants: (f32, f32, f32),
    ) {
        let ((rows, len), (eps, factor, gain)) = (extents, constants);
        for row in 0..rows {
            let (w, gradient, dw) = (w.add(row * len), gradient.add(row * len), dw.add(row * len));
            let [squares, dot] = dots::<V>(w, gradient, len);
            let rms = (squares / len as f32).sqrt();
            let reciprocal = 1.0 / (rms + eps);
            *to_gain.add(row) = dot * reciprocal * factor;
            let straight = V::splat(factor * gain * reciprocal);
            // Where all is zero, so is the direction in which the length would change.
            let along = if rms > 0.0 { dot * reciprocal * reciprocal / (len as f32 * rms) } else { 0.0 };
            let along = V::splat(factor * gain * along);
            for_lanes!(V, len, |i, count| {
                let straight = load::<V>(gradient.add(i), count).mul(straight);
                store(load::<V>(w.add(i), count).mul_sub_from(along, straight), dw.add(i), count);
            });
        }
    }
);
