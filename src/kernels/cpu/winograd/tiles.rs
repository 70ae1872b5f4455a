//! Tiles of images into the tiles' domain.

use super::{
    super::simd::{Simd, for_lanes},
    Extents,
    transform::{Input, OutputGradient, Transform},
};

/// Where a tile lies: its image and the first row and column of its outputs.
pub(super) fn place(extents: &Extents, m: usize, tile: usize) -> (usize, usize, usize) {
    let (down, across) = extents.tiles(m);
    (tile / (down * across), tile / across % down * m, tile % across * m)
}

/// Addresses of the pixels of the tile of side `side` whose first pixel is (y, x), which may lie outside the
/// image; pixels outside are those of `zero`.
#[inline(always)]
unsafe fn pixels(
    image: *const f32,
    [h, w, channels]: [usize; 3],
    (y, x): (isize, isize),
    side: usize,
    zero: *const f32,
) -> [[*const f32; 6]; 6] {
    let mut pixels = [[zero; 6]; 6];
    for (i, line) in pixels.iter_mut().enumerate().take(side) {
        for (j, pixel) in line.iter_mut().enumerate().take(side) {
            let (y, x) = (y + i as isize, x + j as isize);
            if (0..h as isize).contains(&y) && (0..w as isize).contains(&x) {
                *pixel = image.add((y as usize * w + x as usize) * channels);
            }
        }
    }
    pixels
}

/// Transforms the tile with the given pixels, lane by lane of channels, into `to[element][channel]` with
/// `plane` floats between elements.
#[inline(always)]
unsafe fn one<V: Simd, T: Transform>(
    pixels: &[[*const f32; 6]; 6],
    channels: usize,
    to: *mut f32,
    plane: usize,
) {
    for_lanes!(V, channels, |channel, count| {
        let mut tile = [[V::splat(0.0); 6]; 6];
        for i in 0..T::FROM {
            for j in 0..T::FROM {
                let from = pixels[i][j].add(channel);
                tile[i][j] = if count == V::LANES { V::load(from) } else { V::load_part(from, count) };
            }
        }
        let tile = T::tile(tile);
        for i in 0..T::TO {
            for j in 0..T::TO {
                let to = to.add((i * T::TO + j) * plane + channel);
                if count == V::LANES { tile[i][j].store(to) } else { tile[i][j].store_part(to, count) }
            }
        }
    });
}

/// Input tiles `from..to` of x `[n, h, w, c]` into `out[element][tile][c]`. `zero`: c zeros.
#[inline(always)]
pub(super) unsafe fn input<V: Simd, const N: usize>(
    e: &Extents,
    x: *const f32,
    (from, to): (usize, usize),
    out: *mut f32,
    plane: usize,
    zero: *const f32,
) {
    for tile in from..to {
        let (image, y, x0) = place(e, N - 2, tile);
        let first = (y as isize - 1, x0 as isize - 1);
        let pixels = pixels(x.add(image * e.h * e.w * e.c), [e.h, e.w, e.c], first, N, zero);
        one::<V, Input<N>>(&pixels, e.c, out.add((tile - from) * e.c), plane);
    }
}

/// Tiles `from..to` of the output gradient `[n, h, w, k]` into `out[element][tile][k]`. `zero`: k zeros.
#[inline(always)]
pub(super) unsafe fn output_gradient<V: Simd, const N: usize>(
    e: &Extents,
    gradient: *const f32,
    (from, to): (usize, usize),
    out: *mut f32,
    plane: usize,
    zero: *const f32,
) {
    for tile in from..to {
        let (image, y, x) = place(e, N - 2, tile);
        let first = (y as isize, x as isize);
        let pixels = pixels(gradient.add(image * e.h * e.w * e.k), [e.h, e.w, e.k], first, N - 2, zero);
        one::<V, OutputGradient<N>>(&pixels, e.k, out.add((tile - from) * e.k), plane);
    }
}
