//! The convolution itself; with turned weights also the gradient to its input.

use super::{
    super::{
        gemm::{PANEL, Product, multiply},
        memory::with_scratch,
        pool::{self, Shares},
        simd::{Simd, dispatch, for_lanes, load, store},
    },
    Convolution3x3, SKEW,
    tiles::{self, Images, Layout},
    transform::{Input, Output, Transform},
    weights::{self, Filters},
};

/// y `[n, h', w', k]` = x `[n, h, w, c]` * weights `[k, c, 3, 3]` + bias. `flip`: weights `[c, k, 3, 3]`, turned: the
/// gradient to the input, with c and k exchanged.
pub fn forward(
    e: Convolution3x3,
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
    e: Convolution3x3,
    x: &[f32],
    weights: &[f32],
    flip: bool,
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    assert_eq!([x.len(), y.len()], e.lens());
    assert!(bias.is_none_or(|bias| bias.len() == e.k));
    let convolution = Convolution::<N> {
        e,
        total: e.all_tiles(N - 2),
        x,
        weights: Filters { values: weights, c: e.c, k: e.k, flip },
        bias,
        y: Shares::new(y),
    };
    if convolution.has_few_tiles() { convolution.by_panels() } else { convolution.by_tiles() }
}

/// One convolution under way.
struct Convolution<'a, const N: usize> {
    e: Convolution3x3,
    /// Tiles of all images.
    total: usize,
    x: &'a [f32],
    weights: Filters<'a>,
    bias: Option<&'a [f32]>,
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
                with_scratch(layout.len(N) + products_len, |scratch| {
                    let (inputs, products) = scratch.split_at_mut(layout.len(N));
                    self.images().transform::<Input<N>>(tiles, Shares::new(inputs), 0, layout);
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
        with_scratch(layout.len(N), |inputs| {
            let shares = Shares::new(inputs);
            pool::for_each(self.total.div_ceil(8), 16 * layout.len(N), |part| {
                let tiles = (part * 8, (part * 8 + 8).min(self.total));
                self.images().transform::<Input<N>>(tiles, shares, part * 8, layout);
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
            some_tiles::<Output<N>>(
                self.e,
                (from, to),
                (first, width),
                (inputs.as_ptr(), plane),
                u.as_ptr(),
                self.bias,
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

dispatch!(
    unsafe fn some_tiles<V: Simd, T: Transform>(
        e: Convolution3x3,
        tiles: (usize, usize),
        columns: (usize, usize),
        inputs: (*const f32, usize),
        u: *const f32,
        bias: Option<&[f32]>,
        products: *mut f32,
        y: *mut f32,
    ) {
        let (count, width) = (tiles.1 - tiles.0, columns.1);
        let plane = count * PANEL + SKEW;
        for element in 0..T::FROM * T::FROM {
            multiply(Product::plain(
                [count, width.next_multiple_of(V::LANES), e.c],
                (inputs.0.add(element * inputs.1), e.c),
                (u.add(element * weights::plane(e.c)), PANEL),
                (products.add(element * plane), PANEL),
            ));
        }
        for tile in 0..count {
            outputs::<V, T>(&e, bias, y, tiles.0 + tile, columns, products.add(tile * PANEL), plane);
        }
    }
);

/// Transforms one tile's products back and writes channels `first..first + width` of its outputs.
#[inline(always)]
unsafe fn outputs<V: Simd, T: Transform>(
    e: &Convolution3x3,
    bias: Option<&[f32]>,
    y: *mut f32,
    tile: usize,
    (first, width): (usize, usize),
    products: *const f32,
    plane: usize,
) {
    let [h, w] = e.out();
    let (image, row, column) = tiles::place([h, w], T::TO, tile);
    let (rows, columns) = (T::TO.min(h - row), T::TO.min(w - column));
    // SAFETY: the caller vouches for the panel's products of this tile, and for its outputs.
    unsafe {
        let corner = y.add(((image * h + row) * w + column) * e.k + first);
        for_lanes!(V, width, |channel, count| {
            let mut tile = [[V::splat(0.0); 6]; 6];
            for i in 0..T::FROM {
                for j in 0..T::FROM {
                    tile[i][j] = V::load(products.add((i * T::FROM + j) * plane + channel));
                }
            }
            let tile = T::tile(tile);
            let bias = match bias {
                Some(bias) => load(bias.as_ptr().add(first + channel), count),
                None => V::splat(0.0),
            };
            for i in 0..T::TO {
                for j in 0..T::TO {
                    if i < rows && j < columns {
                        store(tile[i][j].add(bias), corner.add((i * w + j) * e.k + channel), count);
                    }
                }
            }
        });
    }
}
