//! 3x3 "same" convolutions of stride 1 by Winograd's minimal filtering, NHWC: F(2x2, 3x3) with tiles of 4x4
//! and F(4x4, 3x3) with tiles of 6x6 (Lavin and Gray, arXiv:1509.09308).
//!
//! Tiles and weights are transformed, one matrix product per element of the tile does the work, and the result
//! is transformed back. The larger tile needs 2.25 instead of 4 multiplications per output; its interpolation
//! points 0, +-5/8, +-3/2, infinity keep the error near 3e-6 of the largest value (0, +-1, +-2: 1e-5).

mod forward;
mod tiles;
mod transform;
mod weight_gradient;
mod weights;

pub(crate) use forward::forward;
pub(crate) use weight_gradient::weight_gradient;

/// The extents of one convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// Images.
    pub(crate) n: usize,
    /// Rows of an image.
    pub(crate) h: usize,
    /// Columns of an image.
    pub(crate) w: usize,
    /// Input channels.
    pub(crate) c: usize,
    /// Output channels.
    pub(crate) k: usize,
}

impl Extents {
    /// Tiles along (y, x) of one image, for tiles that yield `m` x `m` outputs.
    fn tiles(&self, m: usize) -> (usize, usize) {
        (self.h.div_ceil(m), self.w.div_ceil(m))
    }

    /// Tiles of all images.
    fn all_tiles(&self, m: usize) -> usize {
        let (down, across) = self.tiles(m);
        self.n * down * across
    }

    /// Whether tiles of 6x6 need fewer multiplications than tiles of 4x4: not where the images are so small
    /// that most of a tile's outputs fall outside.
    fn prefers_large_tiles(&self) -> bool {
        36 * self.all_tiles(4) < 16 * self.all_tiles(2)
    }
}

/// The extra floats between the planes of transformed tiles: strides of powers of two would alias in the cache.
const SKEW: usize = 16;
