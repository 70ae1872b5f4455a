//! Tiles of images into the tiles' domain.

use super::{
    super::{
        gemm::PANEL,
        memory::with_scratch,
        pool::Shares,
        simd::{Simd, dispatch, for_lanes, load, store},
    },
    SKEW,
    transform::Transform,
};

/// Where a tile lies: its image and the first row and column of its outputs.
pub(super) fn place([h, w]: [usize; 2], m: usize, tile: usize) -> (usize, usize, usize) {
    let (down, across) = (h.div_ceil(m), w.div_ceil(m));
    (tile / (down * across), tile / across % down * m, tile % across * m)
}

/// Addresses of the pixels of the tile of side `side` whose first pixel is (y, x), which may lie outside the
/// image; pixels outside are those of `zero`.
#[inline(always)]
fn pixels(
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
                *pixel = image.wrapping_add((y as usize * w + x as usize) * channels);
            }
        }
    }
    pixels
}

/// Where transformed tiles go.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Floats between elements.
    pub(super) plane: usize,
    /// Floats between panels of [`PANEL`] channels.
    pub(super) panel: usize,
    /// Floats between tiles.
    pub(super) row: usize,
}

impl Layout {
    /// `[element][tile][channel]`, for so many tiles.
    pub(super) fn rows(tiles: usize, channels: usize) -> Self {
        Self { plane: tiles * channels + SKEW, panel: PANEL, row: channels }
    }

    /// `[element][panel][tile][PANEL]`, for so many tiles.
    pub(super) fn panels(tiles: usize, channels: usize) -> Self {
        let panel = tiles * PANEL;
        Self { plane: channels.div_ceil(PANEL) * panel + SKEW, panel, row: PANEL }
    }

    /// Floats of all elements of tiles of side `n`.
    pub(super) fn len(&self, n: usize) -> usize {
        n * n * self.plane
    }
}

/// Images whose tiles are wanted, as `[n, h, w, channels]`.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pub(super) values: &'a [f32],
    /// Their rows and columns.
    pub(super) extents: [usize; 2],
    /// Rows and columns of the outputs that tiles divide up.
    pub(super) grid: [usize; 2],
    /// How far a tile begins before its first output.
    pub(super) margin: usize,
    pub(super) channels: usize,
}

impl Images<'_> {
    /// Input tiles or, as `T` says, those of an output gradient: `from..to` become the tiles from `at` on of `out`.
    /// Calls at the same time need disjoint tiles.
    pub(super) fn transform<T: Transform>(
        self,
        (from, to): (usize, usize),
        out: Shares,
        at: usize,
        layout: Layout,
    ) {
        let per_image: usize = self.grid.iter().map(|len| len.div_ceil(T::TO - 2)).product();
        let image = self.extents.iter().product::<usize>() * self.channels;
        assert!(from <= to && to.div_ceil(per_image) * image <= self.values.len());
        assert!((at + to - from) * layout.row <= layout.plane && layout.len(T::TO) <= out.len());
        with_scratch(self.channels, |zeros| {
            zeros.fill(0.0);
            let out = out.at(at * layout.row);
            // SAFETY: lengths as just checked; disjoint as the callers see to.
            unsafe { transform::<T>(self, (from, to), out, layout, zeros.as_ptr()) }
        });
    }
}

dispatch!(
    /// `T` goes from the part of a tile that is read to a whole tile, lane by lane of channels.
    unsafe fn transform<V: Simd, T: Transform>(
        images: Images<'_>,
        tiles: (usize, usize),
        out: *mut f32,
        layout: Layout,
        zero: *const f32,
    ) {
        let Images { values, extents: [h, w], grid, margin, channels } = images;
        for tile in tiles.0..tiles.1 {
            let (image, y, x) = place(grid, T::TO - 2, tile);
            let first = (y as isize - margin as isize, x as isize - margin as isize);
            let image = values.as_ptr().add(image * h * w * channels);
            let pixels = pixels(image, [h, w, channels], first, T::FROM, zero);
            let out = out.add((tile - tiles.0) * layout.row);
            for_lanes!(V, channels, |channel, count| {
                let mut tile = [[V::splat(0.0); 6]; 6];
                for i in 0..T::FROM {
                    for j in 0..T::FROM {
                        tile[i][j] = load(pixels[i][j].add(channel), count);
                    }
                }
                let tile = T::tile(tile);
                let out = out.add(channel / PANEL * layout.panel + channel % PANEL);
                for i in 0..T::TO {
                    for j in 0..T::TO {
                        store(tile[i][j], out.add((i * T::TO + j) * layout.plane), count);
                    }
                }
            });
        }
    }
);
