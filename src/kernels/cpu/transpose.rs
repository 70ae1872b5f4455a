//! Rows that become columns, for packing.

use super::simd::{Simd, for_lanes, load};

/// Rows of `len` floats, at most one vector's lanes of them at a distance of `stride`, become columns: value i of all
/// rows goes to `to + i * step`.
#[inline(always)]
pub(crate) unsafe fn columns<V: Simd>(
    from: *const f32,
    (rows, stride): (usize, usize),
    len: usize,
    to: *mut f32,
    step: isize,
) {
    // SAFETY: the caller vouches for the rows, and for whole vectors of columns.
    unsafe {
        for_lanes!(V, len, |start, count| {
            let mut vectors = [V::splat(0.0); 16];
            for (row, vector) in vectors.iter_mut().enumerate().take(rows.min(V::LANES)) {
                *vector = load(from.add(row * stride + start), count);
            }
            let vectors = V::transpose(vectors);
            for (i, vector) in vectors.into_iter().enumerate().take(count) {
                vector.store(to.offset((start + i) as isize * step));
            }
        });
    }
}
