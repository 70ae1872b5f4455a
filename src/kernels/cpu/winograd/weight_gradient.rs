//! The gradient to the weights of a 3x3 convolution.

use super::{
    super::{
        gemm::{PANEL, Product, multiply_transposed_a},
        memory::with_scratch,
        pool::{self, Shares},
        simd::{Simd, dispatch, for_lanes, load, store},
    },
    Convolution3x3, SKEW,
    tiles::{Images, Layout},
    transform::{Input, OutputGradient, Transform, WeightGradient},
};

/// dw `[k, c, 3, 3]` from x `[n, h, w, c]` and the output gradient `[n, h', w', k]`.
pub fn weight_gradient(e: Convolution3x3, x: &[f32], gradient: &[f32], dw: &mut [f32]) {
    assert_eq!([x.len(), gradient.len()], e.lens());
    assert_eq!(dw.len(), 9 * e.c * e.k);
    let (extents, grid) = ([e.h, e.w], e.out());
    let x = Images { values: x, extents, grid, margin: e.padding, channels: e.c };
    let gradient = Images { values: gradient, extents: grid, grid, margin: 0, channels: e.k };
    if e.prefers_large_tiles() {
        Sums::<6>::new(e).weight_gradient(x, gradient, dw);
    } else {
        Sums::<4>::new(e).weight_gradient(x, gradient, dw);
    }
}

/// Sums over tiles, one matrix `[k, c]` per element of a tile. How they are split depends on the extents alone, never
/// on the number of threads, so the result is the same to the bit for any.
struct Sums<const N: usize> {
    c: usize,
    k: usize,
    /// Tiles of all images.
    total: usize,
    /// Independent partial sums. Where the sums are large there is one, which all threads work on, element by
    /// element; where they fit into a thread's cache, each thread sums up slices of the tiles.
    slices: usize,
    /// Tiles of a slice.
    slice: usize,
    /// Tiles that are transformed before the products are taken.
    batch: usize,
}

impl<const N: usize> Sums<N> {
    fn new(e: Convolution3x3) -> Self {
        const SMALL_SUMS: usize = 320 * 1024 / size_of::<f32>();
        const SHARED_CACHE: usize = 8 * 1024 * 1024 / size_of::<f32>();
        const CACHE: usize = 512 * 1024 / size_of::<f32>();
        let total = e.all_tiles(N - 2);
        let small = N * N * e.c * e.k <= SMALL_SUMS;
        let slices = if small { total.div_ceil(32).clamp(1, 16) } else { 1 };
        let slice = total.div_ceil(slices).next_multiple_of(8);
        let cache = if small { CACHE } else { SHARED_CACHE };
        let most = (cache / (N * N * (e.c + e.k))).clamp(32, 512);
        // Batches of equal size.
        let batch = slice.div_ceil(slice.div_ceil(most)).next_multiple_of(8);
        Self { c: e.c, k: e.k, total, slices, slice, batch }
    }

    /// Floats between elements of the sums.
    fn plane(&self) -> usize {
        self.c * self.k + SKEW
    }

    fn weight_gradient(&self, x: Images, gradient: Images, dw: &mut [f32]) {
        let len = N * N * self.plane();
        with_scratch(self.slices * len, |sums| {
            let shares = Shares::new(sums);
            let slice = |index: usize| {
                // SAFETY: one slice, one part.
                let sums = unsafe { shares.range(index * len, len) };
                self.add_slice(x, gradient, index, sums);
            };
            if self.slices == 1 {
                slice(0);
            } else {
                pool::for_each(self.slices, 2 * N * N * self.total * self.c * self.k, slice);
            }
            self.transform(sums, dw);
        });
    }

    /// The sums over one slice of the tiles. With other slices in work at the same time, this thread is alone on it.
    fn add_slice(&self, x: Images, gradient: Images, slice: usize, sums: &mut [f32]) {
        let (start, end) = ((slice * self.slice).min(self.total), ((slice + 1) * self.slice).min(self.total));
        if start == end {
            return sums.fill(0.0);
        }
        let layouts = [Layout::panels(self.batch, self.c), Layout::panels(self.batch, self.k)];
        let [inputs_len, gradients_len] = layouts.map(|layout| layout.len(N));
        with_scratch(inputs_len + gradients_len, |scratch| {
            let (inputs, gradients) = scratch.split_at_mut(inputs_len);
            for from in (start..end).step_by(self.batch) {
                let count = self.batch.min(end - from);
                let (to_inputs, to_gradients) = (Shares::new(inputs), Shares::new(gradients));
                pool::for_each(count.div_ceil(8), 16 * (inputs_len + gradients_len), |part| {
                    let at = part * 8;
                    let tiles = (from + at, from + (at + 8).min(count));
                    x.transform::<Input<N>>(tiles, to_inputs, at, layouts[0]);
                    gradient.transform::<OutputGradient<N>>(tiles, to_gradients, at, layouts[1]);
                });
                let first = from == start;
                self.add_products(count, (inputs, layouts[0]), (gradients, layouts[1]), first, sums);
            }
        });
    }

    /// `sums[element]` (+)= gradients `[k, count]` times inputs `[count, c]`.
    fn add_products(
        &self,
        count: usize,
        (inputs, input_layout): (&[f32], Layout),
        (gradients, gradient_layout): (&[f32], Layout),
        first: bool,
        sums: &mut [f32],
    ) {
        /// So many tiles of two panels fit into the first-level cache.
        const TILES: usize = 96;
        let panels = self.k.div_ceil(PANEL);
        let sums = Shares::new(sums);
        pool::for_each(N * N * panels, 2 * N * N * count * self.c * self.k, |part| {
            let (element, panel) = (part / panels, part % panels);
            let rows = PANEL.min(self.k - panel * PANEL);
            // SAFETY: parts write disjoint rows of the sums; the layouts hold `count` tiles of all panels.
            unsafe {
                let a = gradients[element * gradient_layout.plane + panel * gradient_layout.panel..].as_ptr();
                let b = inputs[element * input_layout.plane..].as_ptr();
                let to = sums.at(element * self.plane() + panel * PANEL * self.c);
                for from in (0..count).step_by(TILES) {
                    let product = Product {
                        b_panel: input_layout.panel,
                        ..Product::plain(
                            [rows, self.c, TILES.min(count - from)],
                            (a.add(from * PANEL), PANEL),
                            (b.add(from * PANEL), PANEL),
                            (to, self.c),
                        )
                    };
                    multiply_transposed_a(if first && from == 0 { product } else { product.accumulate() });
                }
            }
        });
    }

    /// The sums of all slices, in order, back to weights.
    fn transform(&self, sums: &[f32], dw: &mut [f32]) {
        let shares = Shares::new(dw);
        let parts = self.k.div_ceil(8);
        pool::for_each(parts, 4 * self.slices * N * N * self.c * self.k, |part| {
            let rows = (part * 8, (part * 8 + 8).min(self.k));
            // SAFETY: parts are disjoint ranges of k; `sums` holds all elements, `dw` was checked by the caller.
            unsafe {
                let sums = (sums.as_ptr(), self.slices, self.plane());
                transform_rows::<WeightGradient<N>>(self.c, rows, sums, shares.at(0));
            }
        });
    }
}

dispatch!(
    unsafe fn transform_rows<V: Simd, T: Transform>(
        c: usize,
        rows: (usize, usize),
        sums: (*const f32, usize, usize),
        dw: *mut f32,
    ) {
        let (sums, slices, plane) = sums;
        for row in rows.0..rows.1 {
            for_lanes!(V, c, |column, count| {
                let mut tile = [[V::splat(0.0); 6]; 6];
                for slice in 0..slices {
                    for i in 0..T::FROM {
                        for j in 0..T::FROM {
                            let element = (slice * T::FROM + i) * T::FROM + j;
                            let from = sums.add(element * plane + row * c + column);
                            tile[i][j] = tile[i][j].add(load(from, count));
                        }
                    }
                }
                let tile = T::tile(tile);
                // From vectors of one tap each to nine taps of each lane.
                let to = dw.add((row * c + column) * 9);
                for_lanes!(V, 9, |tap, taps| {
                    let vectors = std::array::from_fn(|i| {
                        let tap = (tap + i).min(8);
                        tile[tap / 3][tap % 3]
                    });
                    for (lane, vector) in V::transpose(vectors).into_iter().enumerate().take(count) {
                        store(vector, to.add(lane * 9 + tap), taps);
                    }
                });
            });
        }
    }
);
