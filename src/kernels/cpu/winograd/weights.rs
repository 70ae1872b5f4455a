//! Weights into the tiles' domain, packed as the matrix product wants them.

use super::{
    super::{
        gemm::PANEL,
        pool::{self, Shares},
        simd::{Simd, dispatch, for_lanes},
    },
    transform::{Transform, Weights},
};

/// Floats of the transformed weights: `[panel of k][element][c][PANEL]`.
pub(super) fn len<const N: usize>(c: usize, k: usize) -> usize {
    N * N * c * k.next_multiple_of(PANEL)
}

/// Weights `[k, c, 3, 3]` into `u`. `flip`: weights `[c, k, 3, 3]`, turned by 180 degrees, for the convolution
/// that takes output gradients (c channels) to input gradients (k channels).
pub(super) fn transform<const N: usize>(weights: &[f32], c: usize, k: usize, flip: bool, u: &mut [f32]) {
    assert_eq!(weights.len(), 9 * c * k);
    assert_eq!(u.len(), len::<N>(c, k));
    let shares = Shares::new(u);
    let rows = c.div_ceil(8);
    pool::for_each(8, 4 * N * N * c * k, |part| {
        let (from, to) = ((part * rows).min(c), ((part + 1) * rows).min(c));
        // SAFETY: parts are disjoint ranges of c; all lengths were checked above.
        unsafe { some_rows::<N>(weights.as_ptr(), c, k, flip, shares.at(0), from, to) }
    });
}

#[inline(always)]
unsafe fn some_rows_body<V: Simd, const N: usize>(
    weights: *const f32,
    c: usize,
    k: usize,
    flip: bool,
    u: *mut f32,
    from: usize,
    to: usize,
) {
    let mut gathered = [0.0f32; 9 * 16];
    for row in from..to {
        for_lanes!(V, k, |column, count| {
            for lane in 0..count {
                let w =
                    weights.add(if flip { row * k + column + lane } else { (column + lane) * c + row } * 9);
                for tap in 0..9 {
                    gathered[tap * 16 + lane] = *w.add(if flip { 8 - tap } else { tap });
                }
            }
            let mut tile = [[V::splat(0.0); 6]; 6];
            for tap in 0..9 {
                tile[tap / 3][tap % 3] = V::load(gathered.as_ptr().add(tap * 16));
            }
            let tile = Weights::<N>::tile(tile);
            let to = u.add(column / PANEL * PANEL * c * N * N + row * PANEL + column % PANEL);
            for (i, line) in tile.iter().enumerate().take(N) {
                for (j, value) in line.iter().enumerate().take(N) {
                    value.store(to.add((i * N + j) * c * PANEL));
                }
            }
        });
    }
}
dispatch!(fn some_rows<const N: usize>(weights: *const f32, c: usize, k: usize, flip: bool, u: *mut f32, from: usize, to: usize) = some_rows_body);
