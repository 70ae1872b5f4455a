//! Tiles of images into the tiles' domain.

use super::{
    super::{
        gemm::PANEL,
        pool::{Shares, with_scratch},
        simd::{Simd, dispatch, for_lanes, load, store},
    },
    SKEW,
    transform::{Input, OutputGradient, Transform},
};

/// Where a tile lies: its image and the first row and column of its outputs.
pub(super) fn place([h, w]: [usize; 2], m: usize, tile: usize) -> (usize, usize, usize) {
    let (down, across) = (h.div_ceil(m), w.div_ceil(m));
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

/// Transforms the tile with the given pixels, lane by lane of channels. `plane`: floats between elements of the
/// result; `panel`: between panels of [`PANEL`] channels.
#[inline(always)]
unsafe fn one<V: Simd, T: Transform>(
    pixels: &[[*const f32; 6]; 6],
    channels: usize,
    to: *mut f32,
    plane: usize,
    panel: usize,
) {
    for_lanes!(V, channels, |channel, count| {
        let mut tile = [[V::splat(0.0); 6]; 6];
        for i in 0..T::FROM {
            for j in 0..T::FROM {
                tile[i][j] = load(pixels[i][j].add(channel), count);
            }
        }
        let tile = T::tile(tile);
        let to = to.add(channel / PANEL * panel + channel % PANEL);
        for i in 0..T::TO {
            for j in 0..T::TO {
                store(tile[i][j], to.add((i * T::TO + j) * plane), count);
            }
        }
    });
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

    /// Floats of all elements of tiles of side `N`.
    pub(super) fn len<const N: usize>(&self) -> usize {
        N * N * self.plane
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
    /// Input tiles `from..to` become the tiles from `at` on of `out`. Calls at the same time need disjoint tiles.
    pub(super) fn input<const N: usize>(self, tiles: (usize, usize), out: Shares, at: usize, layout: Layout) {
        self.check::<N>(tiles, &out, at, layout);
        let to = out.at(at * layout.row);
        // SAFETY: lengths as just checked; disjoint as the callers see to.
        self.with_zeros(|zero| unsafe { input::<N>(self, tiles, to, layout, zero) });
    }

    /// The same for tiles of an output gradient.
    pub(super) fn gradient<const N: usize>(
        self,
        tiles: (usize, usize),
        out: Shares,
        at: usize,
        layout: Layout,
    ) {
        self.check::<N>(tiles, &out, at, layout);
        let to = out.at(at * layout.row);
        // SAFETY: as above.
        self.with_zeros(|zero| unsafe { gradient::<N>(self, tiles, to, layout, zero) });
    }

    fn check<const N: usize>(&self, (from, to): (usize, usize), out: &Shares, at: usize, layout: Layout) {
        let per_image: usize = self.grid.iter().map(|len| len.div_ceil(N - 2)).product();
        let image = self.extents.iter().product::<usize>() * self.channels;
        assert!(from <= to && to.div_ceil(per_image) * image <= self.values.len());
        assert!((at + to - from) * layout.row <= layout.plane && layout.len::<N>() <= out.len());
    }

    fn with_zeros(&self, f: impl FnOnce(*const f32)) {
        with_scratch(self.channels, |zeros| {
            zeros.fill(0.0);
            f(zeros.as_ptr());
        });
    }
}

/// `side`: of the part of a tile that is read; `m`: of its outputs.
#[inline(always)]
unsafe fn tiles_body<V: Simd, T: Transform>(
    images: Images<'_>,
    (m, side): (usize, usize),
    (from, to): (usize, usize),
    out: *mut f32,
    layout: Layout,
    zero: *const f32,
) {
    let Images { values, extents: [h, w], grid, margin, channels } = images;
    for tile in from..to {
        let (image, y, x) = place(grid, m, tile);
        let first = (y as isize - margin as isize, x as isize - margin as isize);
        let image = values.as_ptr().add(image * h * w * channels);
        let pixels = pixels(image, [h, w, channels], first, side, zero);
        one::<V, T>(&pixels, channels, out.add((tile - from) * layout.row), layout.plane, layout.panel);
    }
}

#[inline(always)]
unsafe fn input_body<V: Simd, const N: usize>(
    images: Images<'_>,
    tiles: (usize, usize),
    out: *mut f32,
    layout: Layout,
    zero: *const f32,
) {
    tiles_body::<V, Input<N>>(images, (N - 2, N), tiles, out, layout, zero);
}
dispatch!(fn input<const N: usize>(images: Images<'_>, tiles: (usize, usize), out: *mut f32, layout: Layout, zero: *const f32) = input_body);

#[inline(always)]
unsafe fn gradient_body<V: Simd, const N: usize>(
    images: Images<'_>,
    tiles: (usize, usize),
    out: *mut f32,
    layout: Layout,
    zero: *const f32,
) {
    tiles_body::<V, OutputGradient<N>>(images, (N - 2, N - 2), tiles, out, layout, zero);
}
dispatch!(fn gradient<const N: usize>(images: Images<'_>, tiles: (usize, usize), out: *mut f32, layout: Layout, zero: *const f32) = gradient_body);
