//! What only EDM2 has: magnitude-preserving SiLU with a gain, pixel norm, normalised weights. NHWC.

use super::{
    elementwise::{load, silu_derivative, store},
    pool::{self, Shares, with_scratch},
    simd::{Simd, dispatch, for_lanes, sigmoid},
};

/// What the output of SiLU is divided by to keep the magnitude of standard normal inputs.
const MAGNITUDE: f32 = 0.596;

/// y = silu(x * gain) / 0.596; x and y `[n, hw, c]`, gain `[n, c]`.
pub(crate) fn mp_silu([n, hw, c]: [usize; 3], x: &[f32], gain: Option<&[f32]>, y: &mut [f32]) {
    assert!(x.len() == n * hw * c && y.len() == x.len() && gain.is_none_or(|gain| gain.len() == n * c));
    let y = Shares::new(y);
    pool::for_each(n, x.len() * 16, |image| {
        with_scratch(c, |gains| {
            fill_gains(gain, image, gains);
            let at = image * hw * c;
            // SAFETY: parts are disjoint images; lengths as just checked.
            unsafe { mp_silu_raw(x.as_ptr().add(at), gains.as_ptr(), y.at(at), hw, c) }
        });
    });
}

fn fill_gains(gain: Option<&[f32]>, image: usize, gains: &mut [f32]) {
    match gain {
        Some(gain) => gains.copy_from_slice(&gain[image * gains.len()..][..gains.len()]),
        None => gains.fill(1.0),
    }
}

#[inline(always)]
unsafe fn mp_silu_body<V: Simd>(x: *const f32, gain: *const f32, y: *mut f32, rows: usize, c: usize) {
    for row in 0..rows {
        for_lanes!(V, c, |i, count| {
            let z = load::<V>(x.add(row * c + i), count).mul(load(gain.add(i), count));
            store(z.mul(sigmoid(z)).mul(V::splat(1.0 / MAGNITUDE)), y.add(row * c + i), count);
        });
    }
}
dispatch!(fn mp_silu_raw(x: *const f32, gain: *const f32, y: *mut f32, rows: usize, c: usize) = mp_silu_body);

/// The gradients to x, and to the gain `[n, c]` (always written).
pub(crate) fn mp_silu_gradient(
    [n, hw, c]: [usize; 3],
    x: &[f32],
    gain: Option<&[f32]>,
    gradient: &[f32],
    dx: &mut [f32],
    dgain: &mut [f32],
) {
    assert!(x.len() == n * hw * c && dx.len() == x.len() && gradient.len() == x.len());
    assert!(dgain.len() == n * c && gain.is_none_or(|gain| gain.len() == n * c));
    let (dx, dgain) = (Shares::new(dx), Shares::new(dgain));
    pool::for_each(n, x.len() * 20, |image| {
        with_scratch(c, |gains| {
            fill_gains(gain, image, gains);
            let at = image * hw * c;
            // SAFETY: parts are disjoint images; lengths as just checked.
            unsafe {
                let (x, gradient) = (x.as_ptr().add(at), gradient.as_ptr().add(at));
                mp_silu_gradient_raw(x, gains.as_ptr(), gradient, dx.at(at), dgain.at(image * c), hw, c);
            }
        });
    });
}

#[inline(always)]
unsafe fn mp_silu_gradient_body<V: Simd>(
    x: *const f32,
    gain: *const f32,
    gradient: *const f32,
    dx: *mut f32,
    dgain: *mut f32,
    rows: usize,
    c: usize,
) {
    for_lanes!(V, c, |i, count| {
        let gain = load::<V>(gain.add(i), count);
        let mut sum = V::splat(0.0);
        for row in 0..rows {
            let x = load::<V>(x.add(row * c + i), count);
            let slope = silu_derivative(x.mul(gain)).mul(V::splat(1.0 / MAGNITUDE));
            let dz = load::<V>(gradient.add(row * c + i), count).mul(slope);
            sum = dz.mul_add(x, sum);
            store(dz.mul(gain), dx.add(row * c + i), count);
        }
        store(sum, dgain.add(i), count);
    });
}
dispatch!(fn mp_silu_gradient_raw(x: *const f32, gain: *const f32, gradient: *const f32, dx: *mut f32, dgain: *mut f32, rows: usize, c: usize) = mp_silu_gradient_body);

/// Rows that one part takes.
fn rows_per_part(c: usize) -> usize {
    (32 * 1024 / c.max(1)).max(1)
}

/// y = x / (eps + root mean square over channels); x and y `[rows, c]`.
pub(crate) fn pixel_norm(c: usize, eps: f32, x: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len() && x.len().is_multiple_of(c));
    let (rows, per_part) = (x.len() / c, rows_per_part(c));
    let y = Shares::new(y);
    pool::for_each(rows.div_ceil(per_part), x.len() * 8, |part| {
        let first = part * per_part;
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let x = x.as_ptr().add(first * c);
            pixel_norm_raw(x, y.at(first * c), per_part.min(rows - first), c, eps);
        }
    });
}

#[inline(always)]
unsafe fn pixel_norm_body<V: Simd>(x: *const f32, y: *mut f32, rows: usize, c: usize, eps: f32) {
    for row in 0..rows {
        let (x, y) = (x.add(row * c), y.add(row * c));
        let mut squares = V::splat(0.0);
        for_lanes!(V, c, |i, count| {
            let x = load::<V>(x.add(i), count);
            squares = x.mul_add(x, squares);
        });
        let factor = V::splat(1.0 / ((squares.sum() / c as f32).sqrt() + eps));
        for_lanes!(V, c, |i, count| {
            store(load::<V>(x.add(i), count).mul(factor), y.add(i), count);
        });
    }
}
dispatch!(fn pixel_norm_raw(x: *const f32, y: *mut f32, rows: usize, c: usize, eps: f32) = pixel_norm_body);

/// dx = gradient / (eps + rms) - x * (gradient . x) / (c * rms * (eps + rms)^2).
pub(crate) fn pixel_norm_gradient(c: usize, eps: f32, x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dx.len() && gradient.len() == x.len() && x.len().is_multiple_of(c));
    let (rows, per_part) = (x.len() / c, rows_per_part(c));
    let dx = Shares::new(dx);
    pool::for_each(rows.div_ceil(per_part), x.len() * 12, |part| {
        let first = part * per_part;
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let (x, gradient) = (x.as_ptr().add(first * c), gradient.as_ptr().add(first * c));
            pixel_norm_gradient_raw(x, gradient, dx.at(first * c), per_part.min(rows - first), c, eps);
        }
    });
}

#[inline(always)]
unsafe fn pixel_norm_gradient_body<V: Simd>(
    x: *const f32,
    gradient: *const f32,
    dx: *mut f32,
    rows: usize,
    c: usize,
    eps: f32,
) {
    for row in 0..rows {
        let (x, gradient, dx) = (x.add(row * c), gradient.add(row * c), dx.add(row * c));
        let (mut squares, mut dots) = (V::splat(0.0), V::splat(0.0));
        for_lanes!(V, c, |i, count| {
            let x = load::<V>(x.add(i), count);
            squares = x.mul_add(x, squares);
            dots = x.mul_add(load(gradient.add(i), count), dots);
        });
        let rms = (squares.sum() / c as f32).sqrt();
        let factor = 1.0 / (rms + eps);
        // Where all is zero, so is the direction in which the length would change.
        let along = if rms > 0.0 { dots.sum() * factor * factor / (c as f32 * rms) } else { 0.0 };
        for_lanes!(V, c, |i, count| {
            let straight = load::<V>(gradient.add(i), count).mul(V::splat(factor));
            store(load::<V>(x.add(i), count).mul_sub_from(V::splat(along), straight), dx.add(i), count);
        });
    }
}
dispatch!(fn pixel_norm_gradient_raw(x: *const f32, gradient: *const f32, dx: *mut f32, rows: usize, c: usize, eps: f32) = pixel_norm_gradient_body);

/// Rows of weights that are normalised: how many, what is added to their root mean square, and a constant factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    pub(crate) eps: f32,
    pub(crate) factor: f32,
}

impl Rows {
    /// Runs `f(first row, rows)` in parts.
    fn in_parts(self, len: usize, work: usize, f: impl Fn(usize, usize) + Sync) {
        let per_part = rows_per_part(len / self.count.max(1));
        pool::for_each(self.count.div_ceil(per_part), work, |part| {
            let first = part * per_part;
            f(first, per_part.min(self.count - first));
        });
    }
}

/// y = w * factor * gain / (eps + root mean square of the row); w and y `[rows, ...]`.
pub(crate) fn normalize_rows(rows: Rows, gain: f32, w: &[f32], y: &mut [f32]) {
    assert!(w.len() == y.len() && rows.count > 0 && w.len().is_multiple_of(rows.count));
    let len = w.len() / rows.count;
    let y = Shares::new(y);
    rows.in_parts(w.len(), 8 * w.len(), |first, count| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let (w, y) = (w.as_ptr().add(first * len), y.at(first * len));
            normalize_raw(w, y, count, len, rows.eps, rows.factor * gain);
        }
    });
}

#[inline(always)]
unsafe fn normalize_body<V: Simd>(
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
dispatch!(fn normalize_raw(w: *const f32, y: *mut f32, rows: usize, len: usize, eps: f32, factor: f32) = normalize_body);

/// a . a and a . b, each in four sums that do not wait for each other.
#[inline(always)]
unsafe fn dots<V: Simd>(a: *const f32, b: *const f32, len: usize) -> [f32; 2] {
    let mut sums = [[V::splat(0.0); 4]; 2];
    for_lanes!(V, len, |i, count| {
        let (a, b) = (load::<V>(a.add(i), count), load::<V>(b.add(i), count));
        let at = i / V::LANES % 4;
        sums[0][at] = a.mul_add(a, sums[0][at]);
        sums[1][at] = a.mul_add(b, sums[1][at]);
    });
    sums.map(|[a, b, c, d]| a.add(b).add(c.add(d)).sum())
}

/// dw = factor * gain * (dy / (eps + rms) - w * (dy . w) / (len * rms * (eps + rms)^2)); returns the gradient to the gain.
pub(crate) fn normalize_rows_gradient(
    rows: Rows,
    gain: f32,
    w: &[f32],
    gradient: &[f32],
    dw: &mut [f32],
) -> f32 {
    assert!(w.len() == dw.len() && gradient.len() == w.len());
    assert!(rows.count > 0 && w.len().is_multiple_of(rows.count));
    let len = w.len() / rows.count;
    let dw = Shares::new(dw);
    // The gain's gradient, row by row, is added up in order: the same for any number of threads.
    let mut to_gain = vec![0.0; rows.count];
    let shares = Shares::new(&mut to_gain);
    rows.in_parts(w.len(), 12 * w.len(), |first, count| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let (w, gradient) = (w.as_ptr().add(first * len), gradient.as_ptr().add(first * len));
            let (dw, to_gain) = (dw.at(first * len), shares.at(first));
            normalize_gradient_raw(w, gradient, dw, to_gain, (count, len), (rows.eps, rows.factor, gain));
        }
    });
    to_gain.iter().sum()
}

#[inline(always)]
unsafe fn normalize_gradient_body<V: Simd>(
    w: *const f32,
    gradient: *const f32,
    dw: *mut f32,
    to_gain: *mut f32,
    (rows, len): (usize, usize),
    (eps, factor, gain): (f32, f32, f32),
) {
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
dispatch!(fn normalize_gradient_raw(w: *const f32, gradient: *const f32, dw: *mut f32, to_gain: *mut f32, extents: (usize, usize), constants: (f32, f32, f32)) = normalize_gradient_body);
