//! The convolution itself; with turned weights also the gradient to its input.

use std::ptr::null;

use super::{
    super::{
        gemm::{PANEL, Product, multiply},
        pool::{self, Shares, with_scratch},
        simd::{Simd, dispatch, for_lanes, load, store},
    },
    Extents, SKEW,
    tiles::{self, Images, Layout},
    transform::{Output, Transform},
    weights::{self, Source},
};

/// y `[n, h', w', k]` = x `[n, h, w, c]` * weights `[k, c, 3, 3]` + bias. `flip`: weights `[c, k, 3, 3]`, turned: the
/// gradient to the input, with c and k exchanged.
pub fn forward(e: Extents, x: &[f32], weights: &[f32], flip: bool, bias: Option<&[f32]>, y: &mut [f32]) {
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
    assert_eq!([x.len(), y.len()], e.lens());
    assert!(bias.is_none_or(|bias| bias.len() == e.k));
    let bias = bias.map_or(null(), <[f32]>::as_ptr) as usize;
    let convolution = Convolution::<N> {
        e,
        total: e.all_tiles(N - 2),
        x,
        weights: Source { values: weights, c: e.c, k: e.k, flip },
        bias,
        y: Shares::new(y),
    };
    if convolution.has_few_tiles() { convolution.by_panels() } else { convolution.by_tiles() }
}

/// One convolution under way.
struct Convolution<'a, const N: usize> {
    e: Extents,
    /// Tiles of all images.
    total: usize,
    x: &'a [f32],
    weights: Source<'a>,
    /// Address of k values, or 0.
    bias: usize,
    y: Shares,
}

impl<const N: usize> Convolution<'_, N> {
    /// With few tiles and many channels the weights are what moves through memory: each thread then takes panels of
    /// them, which it transforms where it needs them. (How work is split changes no result.)
    fn has_few_tiles(&self) -> bool {
        const SHARED_CACHE: usize = 4 * 1024 * 1024 / size_of::<f32>();
        let panels = self.weights.panels();
        panels >= pool::threads()
            && panels * PANEL > self.total
            && N * N * self.total * self.e.c <= SHARED_CACHE
    }

    fn images(&self) -> Images<'_> {
        Images {
            values: self.x,
            extents: [self.e.h, self.e.w],
            grid: self.e.out(),
            margin: self.e.padding,
            channels: self.e.c,
        }
    }

    fn work(&self) -> usize {
        2 * N * N * self.total * self.e.c * self.e.k
    }

    /// All weights are transformed first; then each part takes tiles through the whole convolution.
    fn by_tiles(&self) {
        let per_part = self.tiles_per_part();
        let panel_len = self.weights.panel_len::<N>();
        let (layout, products_len) = (Layout::rows(per_part, self.e.c), products_len::<N>(per_part));
        with_scratch(self.weights.panels() * panel_len, |u| {
            self.weights.transform::<N>(u);
            let u = &*u;
            pool::for_each(self.total.div_ceil(per_part), self.work(), |part| {
                let tiles = (part * per_part, ((part + 1) * per_part).min(self.total));
                with_scratch(layout.len::<N>() + products_len, |scratch| {
                    let (inputs, products) = scratch.split_at_mut(layout.len::<N>());
                    self.images().input::<N>(tiles, Shares::new(inputs), 0, layout);
                    for (panel, u) in u.chunks_exact(panel_len).enumerate() {
                        self.panel(panel, u, tiles, (inputs, layout.plane), products);
                    }
                });
            });
        });
    }

    /// All tiles are transformed first; then each part takes a panel of weights to all of them.
    fn by_panels(&self) {
        /// Tiles whose products are held at a time.
        const TILES: usize = 64;
        let layout = Layout::rows(self.total, self.e.c);
        let panel_len = self.weights.panel_len::<N>();
        with_scratch(layout.len::<N>(), |inputs| {
            let shares = Shares::new(inputs);
            pool::for_each(self.total.div_ceil(8), 16 * layout.len::<N>(), |part| {
                let tiles = (part * 8, (part * 8 + 8).min(self.total));
                self.images().input::<N>(tiles, shares, part * 8, layout);
            });
            let inputs = &*inputs;
            pool::for_each(self.weights.panels(), self.work(), |panel| {
                with_scratch(panel_len + products_len::<N>(TILES), |scratch| {
                    let (u, products) = scratch.split_at_mut(panel_len);
                    self.weights.transform_panel::<N>(panel, u);
                    for from in (0..self.total).step_by(TILES) {
                        let tiles = (from, (from + TILES).min(self.total));
                        self.panel(panel, u, tiles, (&inputs[from * self.e.c..], layout.plane), products);
                    }
                });
            });
        });
    }

    /// How many tiles to take at a time: their transforms and one panel of products should stay in the second-level
    /// cache, and the parts should come out even for the threads.
    fn tiles_per_part(&self) -> usize {
        const CACHE: usize = 768 * 1024 / size_of::<f32>();
        let most = (CACHE / (N * N * (self.e.c + PANEL.min(self.e.k)))).clamp(8, 128) & !7;
        let of_busiest = |tiles: usize| self.total.div_ceil(tiles).div_ceil(pool::threads()) * tiles;
        (8..=most).rev().step_by(8).min_by_key(|tiles| of_busiest(*tiles)).unwrap_or(8)
    }

    /// The outputs of one panel of weights for the tiles `from..to`. `inputs`: of these tiles, with a distance between
    /// elements.
    fn panel(
        &self,
        panel: usize,
        u: &[f32],
        (from, to): (usize, usize),
        (inputs, plane): (&[f32], usize),
        products: &mut [f32],
    ) {
        assert!(inputs.len() >= (N * N - 1) * plane + (to - from) * self.e.c);
        assert!(u.len() == self.weights.panel_len::<N>() && products.len() >= products_len::<N>(to - from));
        let first = panel * PANEL;
        let width = PANEL.min(self.e.k - first);
        // SAFETY: each tile and panel writes its own outputs; all lengths were checked here and above.
        unsafe {
            some_tiles::<N>(
                self.e,
                (from, to),
                (first, width),
                (inputs.as_ptr(), plane),
                u.as_ptr(),
                self.bias as *const f32,
                products.as_mut_ptr(),
                self.y.at(0),
            );
        }
    }
}

/// Floats of the products of so many tiles with one panel.
fn products_len<const N: usize>(tiles: usize) -> usize {
    N * N * (tiles * PANEL + SKEW)
}

#[inline(always)]
unsafe fn some_tiles_body<V: Simd, const N: usize>(
    e: Extents,
    (from, to): (usize, usize),
    (first, width): (usize, usize),
    (inputs, input_plane): (*const f32, usize),
    u: *const f32,
    bias: *const f32,
    products: *mut f32,
    y: *mut f32,
) {
    let count = to - from;
    let product_plane = count * PANEL + SKEW;
    for element in 0..N * N {
        multiply(Product::plain(
            [count, width.next_multiple_of(V::LANES), e.c],
            (inputs.add(element * input_plane), e.c),
            (u.add(element * weights::plane(e.c)), PANEL),
            (products.add(element * product_plane), PANEL),
        ));
    }
    for tile in 0..count {
        let products = products.add(tile * PANEL);
        outputs::<V, N>(&e, bias, y, from + tile, (first, width), products, product_plane);
    }
}
dispatch!(fn some_tiles<const N: usize>(e: Extents, tiles: (usize, usize), columns: (usize, usize), inputs: (*const f32, usize), u: *const f32, bias: *const f32, products: *mut f32, y: *mut f32) = some_tiles_body);

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
    let (m, [h, w]) = (N - 2, e.out());
    let (image, row, column) = tiles::place([h, w], m, tile);
    let corner = y.add(((image * h + row) * w + column) * e.k + first);
    let (rows, columns) = (m.min(h - row), m.min(w - column));
    for_lanes!(V, width, |channel, count| {
        let mut tile = [[V::splat(0.0); 6]; 6];
        for i in 0..N {
            for j in 0..N {
                tile[i][j] = V::load(products.add((i * N + j) * plane + channel));
            }
        }
        let tile = Output::<N>::tile(tile);
        let bias = if bias.is_null() { V::splat(0.0) } else { load(bias.add(first + channel), count) };
        for i in 0..m {
            for j in 0..m {
                if i < rows && j < columns {
                    store(tile[i][j].add(bias), corner.add((i * w + j) * e.k + channel), count);
                }
            }
        }
    });
}
