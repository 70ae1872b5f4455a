//! The convolution itself; with turned weights also the gradient to its input.

use std::ptr::null;

use super::{
    super::{
        gemm::{PANEL, Product, multiply},
        pool::{self, Shares, with_scratch},
        simd::{Simd, dispatch, for_lanes},
    },
    Extents, SKEW, tiles,
    transform::{Output, Transform},
    weights,
};

/// y `[n, h, w, k]` = x `[n, h, w, c]` * weights `[k, c, 3, 3]` + bias. `flip`: weights `[c, k, 3, 3]`, turned: the
/// gradient to the input, with c and k exchanged.
pub(crate) fn forward(
    e: Extents,
    x: &[f32],
    weights: &[f32],
    flip: bool,
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    if e.prefers_large_tiles() {
        tiled::<6>(e, x, weights, flip, bias, y);
    } else {
        tiled::<4>(e, x, weights, flip, bias, y);
    }
}

fn tiled<const N: usize>(
    e: Extents,
    x: &[f32],
    weights: &[f32],
    flip: bool,
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    assert_eq!(x.len(), e.n * e.h * e.w * e.c);
    assert_eq!(y.len(), e.n * e.h * e.w * e.k);
    assert!(bias.is_none_or(|bias| bias.len() == e.k));
    let bias = bias.map_or(null(), <[f32]>::as_ptr) as usize;
    let total = e.all_tiles(N - 2);
    let per_part = tiles_per_part::<N>(&e, total);
    let shares = Shares::new(y);
    with_scratch(weights::len::<N>(e.c, e.k), |u| {
        weights::transform::<N>(weights, e.c, e.k, flip, u);
        let u = &*u;
        pool::for_each(total.div_ceil(per_part), 2 * N * N * total * e.c * e.k, |part| {
            let (from, to) = (part * per_part, ((part + 1) * per_part).min(total));
            with_scratch(e.c + N * N * (per_part * (e.c + PANEL) + 2 * SKEW), |scratch| {
                // SAFETY: each tile writes its own outputs; all lengths were checked above.
                unsafe {
                    let (bias, scratch) = (bias as *const f32, scratch.as_mut_ptr());
                    some_tiles::<N>(e, x.as_ptr(), u.as_ptr(), bias, shares.at(0), from, to, scratch);
                }
            });
        });
    });
}

/// How many tiles to take at a time: their transforms should stay in the second-level cache, and the parts should
/// come out even for the threads. (Tiles do not interact, so this changes no result.)
fn tiles_per_part<const N: usize>(e: &Extents, total: usize) -> usize {
    const CACHE: usize = 512 * 1024 / size_of::<f32>();
    let most = (CACHE / (N * N * (e.c + PANEL.min(e.k)))).clamp(8, 128) & !7;
    let parts = total.div_ceil(most).next_multiple_of(pool::threads());
    total.div_ceil(parts).next_multiple_of(8)
}

#[inline(always)]
unsafe fn some_tiles_body<V: Simd, const N: usize>(
    e: Extents,
    x: *const f32,
    u: *const f32,
    bias: *const f32,
    y: *mut f32,
    from: usize,
    to: usize,
    scratch: *mut f32,
) {
    let count = to - from;
    let (zero, inputs) = (scratch, scratch.add(e.c));
    let (input_plane, product_plane) = (count * e.c + SKEW, count * PANEL + SKEW);
    let products = inputs.add(N * N * input_plane);
    std::slice::from_raw_parts_mut(zero, e.c).fill(0.0);
    tiles::input::<V, N>(&e, x, (from, to), inputs, input_plane, zero);
    for first in (0..e.k).step_by(PANEL) {
        let width = PANEL.min(e.k - first);
        for element in 0..N * N {
            multiply(Product::plain(
                [count, width.next_multiple_of(V::LANES), e.c],
                (inputs.add(element * input_plane), e.c),
                (u.add((first * N * N + element * PANEL) * e.c), PANEL),
                (products.add(element * product_plane), PANEL),
            ));
        }
        for tile in 0..count {
            outputs::<V, N>(
                &e,
                bias,
                y,
                from + tile,
                (first, width),
                products.add(tile * PANEL),
                product_plane,
            );
        }
    }
}
dispatch!(fn some_tiles<const N: usize>(e: Extents, x: *const f32, u: *const f32, bias: *const f32, y: *mut f32, from: usize, to: usize, scratch: *mut f32) = some_tiles_body);

/// Transforms one tile's products back and writes channels `first..first + width` of its outputs.
#[inline(always)]
unsafe fn outputs<V: Simd, const N: usize>(
    e: &Extents,
    bias: *const f32,
    y: *mut f32,
    tile: usize,
    (first, width): (usize, usize),
    products: *const f32,
    plane: usize,
) {
    let m = N - 2;
    let (image, row, column) = tiles::place(e, m, tile);
    let corner = y.add(((image * e.h + row) * e.w + column) * e.k + first);
    let (rows, columns) = (m.min(e.h - row), m.min(e.w - column));
    for_lanes!(V, width, |channel, count| {
        let mut tile = [[V::splat(0.0); 6]; 6];
        for i in 0..N {
            for j in 0..N {
                tile[i][j] = V::load(products.add((i * N + j) * plane + channel));
            }
        }
        let tile = Output::<N>::tile(tile);
        let bias = match (bias.is_null(), count == V::LANES) {
            (true, _) => V::splat(0.0),
            (false, true) => V::load(bias.add(first + channel)),
            (false, false) => V::load_part(bias.add(first + channel), count),
        };
        for i in 0..m {
            for j in 0..m {
                if i < rows && j < columns {
                    let to = corner.add((i * e.w + j) * e.k + channel);
                    let value = tile[i][j].add(bias);
                    if count == V::LANES { value.store(to) } else { value.store_part(to, count) }
                }
            }
        }
    });
}
