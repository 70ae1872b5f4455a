//! What only EDM2 has: magnitude-preserving SiLU with a gain, and pixel norm. NHWC.

use super::{
    elementwise::in_rows,
    memory::with_scratch,
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes, load, sigmoid, silu_derivative, store},
};

/// What the output of SiLU is divided by to keep the magnitude of standard normal inputs.
const MAGNITUDE: f32 = 0.596;

/// y = silu(x * gain) / 0.596; x and y `[n, hw, c]`, gain `[n, c]`.
pub fn mp_silu([n, hw, c]: [usize; 3], x: &[f32], gain: Option<&[f32]>, y: &mut [f32]) {
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

dispatch!(
    unsafe fn mp_silu_raw<V: Simd>(x: *const f32, gain: *const f32, y: *mut f32, rows: usize, c: usize) {
        for row in 0..rows {
            for_lanes!(V, c, |i, count| {
                let z = load::<V>(x.add(row * c + i), count).mul(load(gain.add(i), count));
                store(z.mul(sigmoid(z)).mul(V::splat(1.0 / MAGNITUDE)), y.add(row * c + i), count);
            });
        }
    }
);

/// The gradients to x, and to the gain `[n, c]` (always written).
pub fn mp_silu_gradient(
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

dispatch!(
    unsafe fn mp_silu_gradient_raw<V: Simd>(
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
);

/// y = x / (eps + root mean square over channels); x and y `[rows, c]`.
pub fn pixel_norm(c: usize, eps: f32, x: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len() && x.len().is_multiple_of(c));
    let y = Shares::new(y);
    in_rows(x.len(), c, 2, |first, rows| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let x = x.as_ptr().add(first * c);
            pixel_norm_raw(x, y.at(first * c), rows, c, eps);
        }
    });
}

dispatch!(
    unsafe fn pixel_norm_raw<V: Simd>(x: *const f32, y: *mut f32, rows: usize, c: usize, eps: f32) {
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
);

/// dx = gradient / (eps + rms) - x * (gradient . x) / (c * rms * (eps + rms)^2).
pub fn pixel_norm_gradient(c: usize, eps: f32, x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dx.len() && gradient.len() == x.len() && x.len().is_multiple_of(c));
    let dx = Shares::new(dx);
    in_rows(x.len(), c, 3, |first, rows| {
        // SAFETY: parts are disjoint rows; lengths as just checked.
        unsafe {
            let (x, gradient) = (x.as_ptr().add(first * c), gradient.as_ptr().add(first * c));
            pixel_norm_gradient_raw(x, gradient, dx.at(first * c), rows, c, eps);
        }
    });
}

dispatch!(
    unsafe fn pixel_norm_gradient_raw<V: Simd>(
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
);
